"""`python src/doctor.py` is the command that equipoise/commands/doctor.py holds."""

import sys

from equipoise.commands.doctor import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
