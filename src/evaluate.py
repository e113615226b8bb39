"""`python src/evaluate.py` is the command that equipoise/commands/evaluate.py holds."""

import sys

from equipoise.commands.evaluate import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
