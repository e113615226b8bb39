"""Take a run away as plain Keras: a script of at most 80 lines that trains the same model without this project.

  python src/export.py                                       the run that ended last, as train_plain.py
  python src/export.py run=RUN_ID output=mine/train.py       this one, there
  python src/export.py data=arrays.npz                       with its arrays in that file
  python src/export.py data=none                             the script alone

The script needs TensorFlow, Keras and NumPy, and ends with the run's weights_sha256; its first lines say if it comes
near it alone. It reads the prepared arrays from an npz beside it, which is written too, but for arrays of more than
256 MiB, which are written if data=… names their file. tracking=server: of the server that MLFLOW_TRACKING_URI names.
"""

from collections.abc import Sequence
from pathlib import Path

from equipoise.core import key_values
from equipoise.core.commands import command
from equipoise.core.paths import project_root


def _export(words: Sequence[str]) -> None:
    options = key_values.read(words, ("run", "output", "data", "tracking"))
    where = key_values.store(options)

    from equipoise.tracking.store import existing_store

    store = existing_store(project_root(), where, f"train one: {command('train')}")

    from equipoise.serving import export

    output = Path(options.get("output", "train_plain.py"))
    made = export.export(store, options.get("run", "latest"), output, options.get("data"))
    print(f"{made.script}: {made.lines} lines that train the model of run {made.run} without this project")
    if made.arrays is None:
        print(f"It reads {made.reads}, which is not written: type data={made.reads}")
    else:
        print(f"{made.arrays}: the arrays that it reads")
        print(f"To run it:\n  {made.command}")


def main(words: Sequence[str]) -> int:
    """Do what was typed; return the exit code."""
    return key_values.answer(words, __doc__, _export)
