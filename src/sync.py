"""`python src/sync.py` is the command that equipoise/commands/sync.py holds."""

import sys

from equipoise.commands.sync import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
