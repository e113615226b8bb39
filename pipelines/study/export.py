"""Write runs.parquet: a row for each run of results.parquet, with the options that its config has and its digests.

PYTHONPATH=src:pipelines python pipelines/study/export.py
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from grid import read
from parts import DIGITS, by_data, jobs, parts
from table import read as read_table

from equipoise.config.model import config_sha256, flat
from equipoise.core import key_values
from equipoise.core.errors import ConfigError

HERE = Path(__file__).parent
OF_RUN = ["config", "dataset", "family", "method", "setting", "division", "fold", "seed", "diverged", "machine"]


def main(arguments: Sequence[str]) -> None:
    """Write it.

    Raises
    ------
    ConfigError
        If something is typed, or the data of a part are not there.
    """
    if arguments:
        raise ConfigError(f"{arguments[0]}: export.py takes nothing")
    table = read_table().to_pandas()
    of_runs = table.drop_duplicates("config")[OF_RUN].set_index("config")
    logits = table[table["rule"] == "argmax"].pivot_table("logits", "config", "epochs", aggfunc="first")
    digests = logits.rename(columns=lambda epochs: f"logits_{epochs}")
    options = {}
    for part in by_data(parts(read("study"))):
        for job in jobs(part):
            digest = config_sha256(job)
            if digest[:DIGITS] in of_runs.index:
                told = {key: str(value) for key, value in flat(job).items() if key not in of_runs}
                options[digest[:DIGITS]] = {"config_sha256": digest, "command": " ".join(part.words), **told}
    planned = pd.DataFrame.from_dict(options, orient="index")
    planned.index.name = "config"
    of_runs.join(digests).join(planned).sort_index().to_parquet(HERE / "runs.parquet", compression="zstd")


if __name__ == "__main__":
    sys.exit(key_values.answer(sys.argv[1:], __doc__, main))
