"""`python -m confcom.quote_helper` is the daemon."""

import sys

from confcom.runtime.interrupts import end_at_once

if __name__ == "__main__":
    # Before the imports, which take some tenths of a second; once it runs, the daemon takes the signals itself.
    end_at_once()
    from confcom.quote_helper.main import main

    sys.exit(main())
