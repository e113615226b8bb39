"""`python src/check.py` is the command that equipoise/commands/check.py holds."""

import sys

from equipoise.commands.check import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
