"""`python src/decide.py` is the command that equipoise/commands/decide.py holds."""

import sys

from equipoise.commands.decide import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
