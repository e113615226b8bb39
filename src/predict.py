"""`python src/predict.py` is the command that equipoise/commands/predict.py holds."""

import sys

from equipoise.commands.predict import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
