"""``python -m designtwin`` is the command ``designtwin``."""

import sys

from designtwin.cli import main

if __name__ == "__main__":
    sys.exit(main())
