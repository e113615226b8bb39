"""The installed command: `equipoise train …` does in any folder what `python src/train.py …` does in a checkout."""

import ast
import sys
from importlib import import_module
from pathlib import Path

from equipoise.core.commands import EXTRA, as_typed, lacks_pipeline
from equipoise.core.errors import ConfigError, complain, suggestion

HERE = Path(__file__)


def main() -> int:
    """Hand the words to the command that is typed first; return its exit code, 2 if there is no such command."""
    known, words = commands(), sys.argv[1:]
    if not words or words[0] in ("-h", "--help"):
        print("equipoise COMMAND …, in any folder: runs, the store and the cache land there.\n")
        for name, line in known.items():
            print(f"  {name:<10}{line}")
        print("\nequipoise COMMAND --help tells more.")
        return 0
    name, *rest = words
    if name not in known:
        return complain(ConfigError(f"{name}: there is no such command{suggestion(name, list(known))}"))
    if lacks_pipeline():
        return complain(ConfigError(f"equipoise {name} {EXTRA}"))
    code: int = import_module(f"equipoise.commands.{name}").main(rest)
    return code


def commands() -> dict[str, str]:
    """Return what each command does, in a line; the modules are parsed, since an import of all would take seconds."""
    files = sorted(file for file in HERE.parent.glob("*.py") if file.name not in ("__init__.py", HERE.name))
    documents = {file.stem: ast.get_docstring(ast.parse(file.read_bytes())) or "" for file in files}
    return {name: as_typed(document.partition("\n")[0]) for name, document in documents.items()}
