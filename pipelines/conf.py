"""Stage conf: params.yaml has what conf/ composes to, and holds together, before anything is prepared."""

import os
import sys
from pathlib import Path
from typing import Any

from compose import COMPOSED, composed_default, digest_of

from equipoise.config.model import Config
from equipoise.core.errors import ConfigError
from equipoise.data.paths import digest_of as file_digest
from equipoise.methods.models import digests_of_file
from equipoise.runs.dvc import checked_config, class_files
from equipoise.runs.stage import ARTIFACTS, run_stage


def check(params: dict[str, Any]) -> tuple[Config, dict[str, str]]:
    """Return the checked config, and the files that options by class were read from.

    A value that was changed in params.yaml by hand is no mistake. Under `dvc exp run`, which composes conf/ afresh,
    there is nothing to compare.
    """
    if not os.environ.get("DVC_EXP_NAME") and digest_of(composed_default()) != COMPOSED.read_text().strip():
        raise ConfigError(
            "conf/ has changed, and params.yaml, which `dvc repro` reads, does not have the change:\n"
            "  make params       writes params.yaml from conf/\n"
            "  dvc exp run       composes conf/ afresh by itself, with -S group=option"
        )
    config = checked_config(params)
    return config, class_files(params, config)


def step(checked: tuple[Config, dict[str, str]]) -> None:
    config, by_class = checked
    files = digests_of_file(config.model) | {option: file_digest(Path(path)) for option, path in by_class.items()}
    # The same text for the same files, if there are any, so that no stage runs again because this one did.
    weights = "".join(f"{option}: {digest}\n" for option, digest in files.items())
    (ARTIFACTS / "conf.txt").write_text(f"params.yaml has what conf/ says, and holds together\n{weights}")


if __name__ == "__main__":
    sys.exit(run_stage(check, step))
