"""A Hydra program over conf/ that does nothing: what help, completion and a config cost at least."""

from pathlib import Path

import hydra
from omegaconf import DictConfig


@hydra.main(version_base="1.3", config_path=str(Path(__file__).parents[1] / "conf"), config_name="config")
def main(_config: DictConfig) -> None:
    """Do nothing."""


if __name__ == "__main__":
    main()
