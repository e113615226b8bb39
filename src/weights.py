"""`python src/weights.py` is the command that equipoise/commands/weights.py holds."""

import sys

from equipoise.commands.weights import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
