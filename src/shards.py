"""`python src/shards.py` is the command that equipoise/commands/shards.py holds."""

import sys

from equipoise.commands.shards import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
