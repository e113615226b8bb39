"""`python src/compare.py` is the command that equipoise/commands/compare.py holds."""

import sys

from equipoise.commands.compare import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
