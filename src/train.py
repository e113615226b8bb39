"""`python src/train.py` is the command that equipoise/commands/train.py holds."""

import sys

from equipoise.commands.train import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
