"""Write params.yaml: what conf/ composes to, which is the whole config of the DVC stages.

  python pipelines/compose.py           write it, and the digest of what was composed
  python pipelines/compose.py --check   fail if conf/ has come to compose to something else since

A value that was changed in params.yaml by hand is no mistake, and passes. Under `dvc exp run`, which composes afresh
itself, there is nothing to check.
"""

import hashlib
import os
import sys
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from equipoise.core.paths import code_root, config_folder

DIGEST = Path(__file__).with_name("composed.sha256")
PARAMS = code_root() / "params.yaml"
CHECKED = code_root() / "artifacts" / "conf.txt"
ADVICE = """conf/ has changed, and params.yaml, which `dvc repro` reads, does not have the change:
  make params       writes params.yaml from conf/
  dvc exp run       composes conf/ afresh by itself, with -S group=option"""


def composed_default() -> str:
    """The default config as YAML, as `dvc exp run` writes it: composed and resolved."""
    with initialize_config_dir(str(config_folder()), version_base=None):
        config = compose("config")
    OmegaConf.resolve(config)
    return OmegaConf.to_yaml(config)


def main(words: list[str]) -> int:
    text = composed_default()
    digest = hashlib.sha256(text.encode()).hexdigest()
    if words == ["--check"]:
        if digest != DIGEST.read_text().strip() and not os.environ.get("DVC_EXP_NAME"):
            print(f"error: {ADVICE}", file=sys.stderr)
            return 2
        CHECKED.parent.mkdir(exist_ok=True)
        CHECKED.write_text("params.yaml has what conf/ says\n")  # always the same, so that no stage runs again for it
        return 0
    PARAMS.write_text(text, encoding="utf-8")
    DIGEST.write_text(digest + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
