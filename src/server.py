"""`python src/server.py` is the command that equipoise/commands/server.py holds."""

import sys

from equipoise.commands.server import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
