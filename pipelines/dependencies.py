"""Write into dvc.yaml, for each stage, the modules that its program imports, so that a change of any of them runs it again."""

import re
import sys
from modulefinder import ModuleFinder
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
PIPELINES = (ROOT / "dvc.yaml", ROOT / "pipelines" / "study" / "dvc.yaml")


def modules(programs: list[str]) -> list[str]:
    """The programs and the project's modules that they import, directly or not, at their start or later; relative to the root."""
    files = set()
    for program in programs:
        finder = ModuleFinder([str(ROOT / "src")])
        finder.run_script(str(ROOT / program))
        files |= {Path(file) for module in finder.modules.values() if (file := vars(module)["__file__"])}
    return sorted(file.relative_to(ROOT).as_posix() for file in files)


def programs_of(command: str) -> list[str]:
    """The Python files that a stage's command names."""
    return re.findall(r"\S+\.py\b", command)


def main() -> int:
    yaml = YAML()
    yaml.width = 160
    yaml.indent(mapping=2, sequence=4, offset=2)
    for file in PIPELINES:
        tree = yaml.load(file)
        for stage in tree["stages"].values():
            others = [path for path in stage["deps"] if not str(path).endswith(".py")]
            stage["deps"] = [*others, *modules(programs_of(stage["cmd"]))]
        yaml.dump(tree, file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
