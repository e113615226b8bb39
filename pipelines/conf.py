"""Stage conf: params.yaml has what conf/ composes to, and holds together, before anything is prepared."""

import os
import sys
from typing import Any

from compose import COMPOSED, composed_default, digest_of

from equipoise.config.model import Config
from equipoise.core.schema import ConfigError
from equipoise.methods.models import digests_of_file
from equipoise.runs.dvc import checked_config
from equipoise.runs.stage import ARTIFACTS, run_stage


def check(params: dict[str, Any]) -> Config:
    """Return the checked config.

    A value that was changed in params.yaml by hand is no mistake. Under `dvc exp run`, which composes conf/ afresh,
    there is nothing to compare.
    """
    if not os.environ.get("DVC_EXP_NAME") and digest_of(composed_default()) != COMPOSED.read_text().strip():
        raise ConfigError(
            "conf/ has changed, and params.yaml, which `dvc repro` reads, does not have the change:\n"
            "  make params       writes params.yaml from conf/\n"
            "  dvc exp run       composes conf/ afresh by itself, with -S group=option"
        )
    return checked_config(params)


def step(config: Config) -> None:
    # The same text for the same file of weights, if there is one, so that no stage runs again because this one did.
    weights = "".join(f"{option}: {digest}\n" for option, digest in digests_of_file(config.model).items())
    (ARTIFACTS / "conf.txt").write_text(f"params.yaml has what conf/ says, and holds together\n{weights}")


if __name__ == "__main__":
    sys.exit(run_stage(check, step))
