"""`python src/register.py` is the command that equipoise/commands/register.py holds."""

import sys

from equipoise.commands.register import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
