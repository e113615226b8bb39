"""`python src/export.py` is the command that equipoise/commands/export.py holds."""

import sys

from equipoise.commands.export import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
