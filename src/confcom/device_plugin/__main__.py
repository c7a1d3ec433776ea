"""`python -m confcom.device_plugin` is the daemon."""

import sys

from confcom.device_plugin.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
