"""Write params.yaml, the whole config of the DVC stages, as what conf/ composes to: python pipelines/compose.py.

The digest of what was composed is written beside this file, for the stage `conf` to compare it with what conf/ composes
to by then; and those of the files that it is made of into the package, which need not check what nobody has edited.
"""

import hashlib
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from equipoise.core.paths import code_root, config_folder, package_folder

COMPOSED = Path(__file__).with_name("composed.sha256")
MADE_OF = "config/shipped.py"  # in the package
ABOUT = "The files that the default config is made of, with their SHA-256: written by pipelines/compose.py."


def composed_default() -> str:
    """Return the default config as YAML, composed and resolved, as `dvc exp run` writes it."""
    with initialize_config_dir(str(config_folder()), version_base=None):
        config = compose("config")
    OmegaConf.resolve(config)
    return OmegaConf.to_yaml(config)


def made_of() -> str:
    """Return a module with the digests of the files that the default config is made of."""
    with initialize_config_dir(str(config_folder()), version_base=None):
        loader = GlobalHydra.instance().config_loader()
        composed = loader.compute_defaults_list("config", [], RunMode.RUN).defaults
    names = sorted({f"{each.config_path}.yaml" for each in composed if each.config_path})
    files = {name: config_folder() / name for name in names if (config_folder() / name).is_file()}
    lines = [f'    "{name}": "{hashlib.sha256(file.read_bytes()).hexdigest()}",' for name, file in files.items()]
    return "\n".join([f'"""{ABOUT}"""', "", "FILES = {", *lines, "}", ""])


def digest_of(text: str) -> str:
    """Return what `COMPOSED` holds for this text."""
    return hashlib.sha256(text.encode()).hexdigest()


def main() -> None:
    text = composed_default()
    (code_root() / "params.yaml").write_text(text, encoding="utf-8")
    COMPOSED.write_text(digest_of(text) + "\n")
    (package_folder() / MADE_OF).write_text(made_of(), encoding="utf-8")


if __name__ == "__main__":
    main()
