"""The table of all runs of the study, which git tracks: a row for each run, length of training and decision rule.

    PYTHONPATH=src:pipelines python pipelines/study/table.py merge OTHER.parquet

adds the rows of another machine's table. Rows are sorted, and the file is written whole or not at all.
"""

import os
import platform
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.compute
import pyarrow.parquet
from filelock import FileLock

from equipoise.core.errors import ConfigError

HERE = Path(__file__).parent
TABLE, QUICK = HERE / "results.parquet", HERE / "quick.parquet"
MOST_BYTES = 5_000_000
BEST_EPOCH, NO_EPOCHS = 0, -1  # in the column `epochs`
COUNTS = pyarrow.list_(pyarrow.int32())
SCHEMA = pyarrow.schema(
    [
        ("config", pyarrow.string()),  # of the run: first digits of config_sha256
        ("dataset", pyarrow.string()),
        ("family", pyarrow.string()),
        ("method", pyarrow.string()),
        ("setting", pyarrow.string()),
        ("division", pyarrow.int16()),  # the seed of the division into folds
        ("fold", pyarrow.int16()),
        ("seed", pyarrow.int16()),
        ("epochs", pyarrow.int16()),  # BEST_EPOCH: that of best validation; NO_EPOCHS: of a learner without
        ("best_epoch", pyarrow.int16()),  # where `epochs` is BEST_EPOCH, else 0
        ("rule", pyarrow.string()),
        ("confusion", COUNTS),  # test rows by true class and then predicted class
        ("validation", COUNTS),  # the same of validation rows
        ("log_loss", pyarrow.float32()),
        ("train_loss", pyarrow.float32()),
        ("logits", pyarrow.string()),  # first digits of the SHA-256 of the test logits
        ("diverged", pyarrow.bool_()),
        ("machine", pyarrow.string()),  # kind of processor and TensorFlow's version, on which bits depend
    ]
)
KEY = ("config", "epochs", "rule")
ORDER = ("setting", "dataset", "method", "division", "seed", "fold", "config", "epochs", "rule")


def read(file: Path = TABLE) -> pyarrow.Table:
    """Return the rows; none if there is no file."""
    return pyarrow.parquet.read_table(file, schema=SCHEMA) if file.exists() else SCHEMA.empty_table()


def write(table: pyarrow.Table, file: Path = TABLE) -> None:
    """Write the rows in their order: whole, or not at all."""
    ordered = table.sort_by([(name, "ascending") for name in ORDER]).combine_chunks()
    aside = file.with_suffix(f".{os.getpid()}")
    pyarrow.parquet.write_table(ordered, aside, compression="zstd", compression_level=19, use_dictionary=True)
    aside.replace(file)


def with_rows(table: pyarrow.Table, rows: Iterable[Mapping[str, Any]]) -> pyarrow.Table:
    """Return the table with rows more; those of a run that it has already are replaced."""
    added = pyarrow.Table.from_pylist(list(rows), schema=SCHEMA)
    if not added.num_rows:
        return table
    old = pyarrow.compute.is_in(table["config"], value_set=added["config"].combine_chunks().unique())
    return pyarrow.concat_tables([table.filter(pyarrow.compute.invert(old)), added])


def this_machine() -> str:
    """Return what decides the last bits of a run, beside its code: the kind of processor, and TensorFlow's version."""
    file = Path("/proc/cpuinfo")
    names = re.findall(r"^model name\s*: (.*)$", file.read_text() if file.exists() else "", re.MULTILINE)
    return f"{names[0] if names else platform.machine()}, TensorFlow {version('tensorflow')}"


def change(make: Callable[[pyarrow.Table], pyarrow.Table], file: Path = TABLE) -> None:
    """Replace the table by what is made of it, while no other program does."""
    with FileLock(file.with_suffix(".lock")):
        write(make(read(file)), file)


def configs(table: pyarrow.Table) -> set[str]:
    """Return the digests of the runs that the table has."""
    return set(table["config"].unique().to_pylist())


def merged(one: pyarrow.Table, other: pyarrow.Table) -> pyarrow.Table:
    """Return the rows of both; those that both have from one kind of machine must have the same logits.

    Raises
    ------
    ConfigError
        If a run has other logits in one than in the other: then it was not repeated to the bit.
    """
    digests = [dict(zip(_keys(part), part["logits"].to_pylist(), strict=True)) for part in (one, other)]
    made_on = [dict(zip(_keys(part), part["machine"].to_pylist(), strict=True)) for part in (one, other)]
    both = [key for key in digests[0] if made_on[1].get(key) == made_on[0][key]]
    differing = sorted(key for key in both if digests[0][key] != digests[1][key])
    if differing:
        config, epochs, rule = first = differing[0]
        raise ConfigError(
            f"the tables differ in {len(differing)} rows; the first is of the run {config} after {epochs} epochs under "
            f"{rule}: its logits are {digests[0][first]} in one and {digests[1][first]} in the other"
        )
    new = [key not in digests[0] for key in _keys(other)]
    return pyarrow.concat_tables([one, other.filter(pyarrow.array(new, pyarrow.bool_()))])


def _keys(table: pyarrow.Table) -> list[tuple[Any, ...]]:
    return [*zip(*(table[name].to_pylist() for name in KEY), strict=True)]


if __name__ == "__main__":
    if sys.argv[1:2] != ["merge"] or len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        change(lambda table: merged(table, read(Path(sys.argv[2]))))
    except ConfigError as error:
        sys.exit(f"error: {error}")
