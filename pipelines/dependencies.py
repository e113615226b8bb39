"""Write into dvc.yaml the code that each stage depends on: python pipelines/dependencies.py.

A stage depends on the modules that its program imports, directly or not, at its start or later. Some modules do not
count, and what they import counts only where another module imports it, too: those that only print, and the page that
`dvc plots show` fills; for training also
the colours of pictures and what judges a trained model; an `__init__.py` that holds a docstring alone; and that of the
package itself, the list of what the library offers to scripts.

A package of which a stage imports most stands as its directory: one line instead of twenty, at the price that a change
in the rest of it runs the stage again. Training takes long, so there it must be nearly all of the package. A package
that holds a module which does not count never stands as its directory.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from modulefinder import ModuleFinder
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
PIPELINE = ROOT / "dvc.yaml"
PACKAGE = ROOT / "src" / "equipoise"
# What a page is written with, beside the module that reads it.
TEMPLATES = {PACKAGE / "reports" / "page.py": [*(PACKAGE / "reports" / "templates").glob("page.*")]}
PRINTING = (
    *("equipoise.core.terminal", "equipoise.core.bars", "equipoise.config.differences"),
    *("equipoise.reports.console", "equipoise.comparison.console", "equipoise.runs.dvc_page"),
)
COLORS = "equipoise.core.colors"
# A task also judges, which training does not ask of it, and the config names the rules that decide.
JUDGING = (
    *(f"equipoise.methods.{rule}" for rule in ("biases", "constraints", "deciders", "label_shift")),
    *(f"equipoise.methods.{rule}" for rule in ("prediction_sets", "rejection", "reservation")),
    *("equipoise.methods.tasks.judge_classes", "equipoise.methods.tasks.judge_labels"),
    *("equipoise.metrics.intervals", "equipoise.metrics.probabilities"),
)


@dataclass(frozen=True)
class Rule:
    """What counts for a stage, and how.

    Attributes
    ----------
    not_counting : dotted names of modules that cannot change what the stage leaves
    share : of a package's modules, from which on it stands as its directory
    """

    not_counting: tuple[str, ...] = PRINTING
    share: float = 0.75


RULES = {"train": Rule((*PRINTING, COLORS, *JUDGING), share=0.9)}  # and for the other stages Rule()


def imported(programs: list[str], not_counting: tuple[str, ...]) -> set[Path]:
    """Return the files of the programs, and of the project's modules that they import and that count."""
    files: set[Path] = set()
    for program in programs:
        finder = ModuleFinder([str((ROOT / program).parent), str(ROOT / "src")], excludes=not_counting)
        finder.run_script(str(ROOT / program))
        files |= {Path(file) for module in finder.modules.values() if (file := vars(module)["__file__"])}
    files -= {PACKAGE / "__init__.py"}
    return {file for file in files if file.name != "__init__.py" or len(ast.parse(file.read_text()).body) > 1}


def collapsed(files: set[Path], rule: Rule, package: Path = PACKAGE) -> Iterator[Path]:
    """Yield the package's directory if it stands for the files; if not, those in it, and so for each sub-package."""
    modules = {file for file in package.rglob("*.py") if file.name != "__init__.py"}
    passed_over = {ROOT.joinpath("src", *name.split(".")).with_suffix(".py") for name in rule.not_counting}
    if len(files & modules) >= rule.share * len(modules) and not modules & passed_over:
        yield package
        return
    yield from (file for file in files if file.parent == package)
    for folder in package.iterdir():
        if (folder / "__init__.py").exists():
            yield from collapsed(files, rule, folder)


def code_of(stage: str, command: str) -> list[str]:
    """Return what the stage depends on of the code that its command names, relative to the root."""
    rule = RULES.get(stage, Rule())
    files = imported(re.findall(r"\S+\.py\b", command), rule.not_counting)
    programs = {file for file in files if not file.is_relative_to(PACKAGE)}
    read = [path for module, paths in TEMPLATES.items() if module in files for path in paths]
    return sorted(path.relative_to(ROOT).as_posix() for path in (*programs, *collapsed(files, rule), *read))


def main() -> int:
    yaml = YAML()
    yaml.width = 160
    yaml.indent(mapping=2, sequence=4, offset=2)
    tree = yaml.load(PIPELINE)
    for name, stage in tree["stages"].items():
        others = [path for path in stage["deps"] if not path.endswith(".py") and not path.startswith("src/")]
        stage["deps"] = [*others, *code_of(name, stage["cmd"])]
    yaml.dump(tree, PIPELINE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
