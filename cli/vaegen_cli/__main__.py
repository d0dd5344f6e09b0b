"""`python -m vaegen_cli` is the `vaegen` command."""

import sys

from vaegen_cli.app import main

if __name__ == "__main__":
    sys.exit(main())
