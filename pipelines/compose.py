"""Write params.yaml, the whole config of the DVC stages, as what conf/ composes to: python pipelines/compose.py.

The digest of what was composed is written beside this file, for the stage `conf` to compare it with what conf/ composes
to by then.
"""

import hashlib
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from equipoise.core.paths import code_root, config_folder

COMPOSED = Path(__file__).with_name("composed.sha256")


def composed_default() -> str:
    """Return the default config as YAML, composed and resolved, as `dvc exp run` writes it."""
    with initialize_config_dir(str(config_folder()), version_base=None):
        config = compose("config")
    OmegaConf.resolve(config)
    return OmegaConf.to_yaml(config)


def digest_of(text: str) -> str:
    """Return what `COMPOSED` holds for this text."""
    return hashlib.sha256(text.encode()).hexdigest()


def main() -> None:
    text = composed_default()
    (code_root() / "params.yaml").write_text(text, encoding="utf-8")
    COMPOSED.write_text(digest_of(text) + "\n")


if __name__ == "__main__":
    main()
