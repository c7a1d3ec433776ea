"""`python -m confcom.quote_helper` is the daemon."""

import sys

from confcom.quote_helper.main import main

if __name__ == "__main__":
    sys.exit(main())
