"""The parts of the study: a group of methods in one setting, on some data sets, is a sweep, and its command.

A job is identified by the digest of its config, as runs are.
"""

import contextlib
import hashlib
import itertools
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grid import split

from equipoise.config.model import Config, config_sha256, flat
from equipoise.core.paths import code_root
from equipoise.core.schema import BEST, NONE
from equipoise.sweeps import planning

DATA = "pipelines/study/data"
HERE = Path(__file__).parent
PLANS = HERE / "plans.json"  # what each command plans, since composing all jobs takes minutes
WORDS = {
    "tables": "dataset=csv dataset.target=target dataset.group=group dataset.path={paths}",
    "images": "dataset=npz dataset.split=split dataset.path={paths}",
    "series": "dataset=series dataset.unequal=pad dataset.path={paths}",
    "texts": "dataset=text dataset.text=body dataset.target=kind dataset.group=thread "
    "dataset.vocabulary=2000 dataset.path={paths}",
}
FOLDS = "dataset.folds={folds} dataset.fold={each} dataset.validation_fraction=0.16 dataset.split_seed={division}"
DIGITS = 16  # of a digest in the table
SWEEP, SYNTHETIC = "study", "synthetic"
ENDINGS = {"tables": "parquet", "series": "ts", "texts": "csv"}
OWN_RATE = {"conv1d": "small", "text": "small", "cnn": "small"}  # whose rate a capacity takes that has none


@dataclass(frozen=True)
class Part:
    """One command of the study: a group of methods in one setting, on some data sets.

    Attributes
    ----------
    setting : as the table calls it
    words : what follows `src/train.py`
    longest : the number of epochs of the runs whose best epoch counts; 0 of learners without epochs
    """

    name: str
    setting: str
    words: tuple[str, ...]
    longest: int

    @property
    def folder(self) -> str:
        """Return the name of the folder that its runs are logged below."""
        return self.name.replace("/", "-")

    @property
    def files(self) -> list[str]:
        """Return the files of its data sets; `synthetic` has none."""
        typed = dict(word.partition("=")[::2] for word in self.words).get("dataset.path", "")
        return typed.split(",") if typed else []


def parts(grid: Mapping[str, Any], *, quick: bool = False) -> Iterator[Part]:
    """Yield the parts in the order in which they are run; `quick`: those of `make study-quick`."""
    asked = {"quick": grid["quick"]} if quick else grid["parts"]
    for kind, one in asked.items():
        names = [*data_of(grid, one["data"])]
        for named in one["settings"]:
            own = {name: grid["drawn"][name] if named == "drawn" else named for name in names}
            for setting in dict.fromkeys(own.values()):
                of_setting = [name for name in names if own[name] == setting]
                for group, seeds in one["groups"].items():
                    made = Made(grid, one, setting, group, seeds)
                    for some in made.together(of_setting):
                        yield made.part("/".join([kind, setting, group, some[0]]), some)


def by_data(asked: Iterable[Part]) -> list[Part]:
    """Return the parts in the order in which all are planned soonest.

    Those of the same data sets follow one another, so that what their jobs divide is divided once.
    """
    return sorted(asked, key=lambda part: part.name.rpartition("/")[2])


def data_of(grid: Mapping[str, Any], named: str) -> dict[str, str]:
    """Return the data sets that a part of the grid names, to their families."""
    if named == SYNTHETIC:
        asked = grid[SYNTHETIC]
        return {f"{rows * ratio},{rows}": SYNTHETIC for rows in asked["rows"] for ratio in asked["ratios"]}
    if named in ("images", "cnn"):
        sets = {name: str(one["family"]) for name, one in grid["images"].items()}
        return {name: family for name, family in sets.items() if named == "images" or family == "mnist"}
    if named == "series":
        return {name: name for name in grid["series"]}
    if named in ("tables", "texts"):
        found: dict[str, str] = grid[named]
        return found
    return {name: grid["tables"].get(name, "pilot") for name in grid[named]}


@dataclass(frozen=True)
class Made:
    """What makes the parts of one group of methods in one setting."""

    grid: Mapping[str, Any]
    one: Mapping[str, Any]  # of the grid's `parts`
    setting: str
    group: str
    seeds: int

    @property
    def kind(self) -> str:
        """Return which kind of data they are."""
        return str(self.one["data"]) if self.one["data"] in (*WORDS, SYNTHETIC) else self.one.get("kind", "tables")

    def together(self, names: Sequence[str]) -> Iterator[list[str]]:
        """Yield the data sets of each command: so many that it pays to start it, and large ones by themselves."""
        at_once = max(1, self.grid["jobs"] // math.prod(map(len, values(self._words(["one"])))))
        some: list[str] = []
        for name in names:
            if some and (len(some) == at_once or name in self.grid["by_itself"]):
                yield some
                some = []
            some.append(name)
        yield some

    @property
    def longest(self) -> int:
        if self.setting == "boosting":
            return 0
        return int(self.one.get("epochs", self.grid["epochs"]["cnn" if self.setting == "cnn" else self.kind]))

    def part(self, name: str, datasets: Sequence[str]) -> Part:
        """Return the part of some data sets."""
        return Part(
            name, self.one.get("named", self.setting), ("-m", f"sweep={SWEEP}", *self._words(datasets)), self.longest
        )

    def _words(self, datasets: Sequence[str]) -> list[str]:
        grid, network = self.grid, [] if self.setting == "boosting" else self._network()
        words = [grid["shared"], *self._data(datasets), *network, grid["groups"][self.group]]
        return [*{word.partition("=")[0]: word for word in split(" ".join(words))}.values()]

    def _network(self) -> list[str]:
        grid, longest = self.grid, self.longest
        capacity, optimizer = grid["settings"][self.setting]
        rates = grid["rates"][{"adam": "adamw"}.get(optimizer, optimizer.removesuffix("_decay"))]
        lengths = [each for each in self.one.get("lengths", grid["lengths"]) if each < longest]
        if self.group in grid["of_lengths"]:
            length = f"trainer.epochs={_listed([*lengths, longest])} trainer.judge_after=[{BEST}]"
        else:
            length = f"trainer.epochs={longest} trainer.judge_after=[{_listed([*lengths, BEST])}]"
        together = "alone" if capacity in OWN_RATE else "together"
        rate = f"trainer.learning_rate={rates[OWN_RATE.get(capacity, capacity)]}"
        return [
            grid["network"],
            grid[together],
            grid["capacities"][capacity],
            grid["optimizers"][optimizer],
            rate,
            length,
        ]

    def _data(self, names: Sequence[str]) -> list[str]:
        """Return the words of the data, of their folds and of the seeds."""
        grid, folds = self.grid, range(self.grid["folds"])
        if self.kind == SYNTHETIC:  # each draw has first weights of its own
            asked = grid[SYNTHETIC]
            counts = _listed(f"[{name}]" for name in names)
            separations = f"dataset.separation={_listed(asked['separations'])}"
            repeated = f"seed=range({asked['draws']}) dataset.split_seed='${{seed}}'"
            return [f"dataset=synthetic dataset.class_counts={counts}", separations, repeated]
        seed = f"seed={_listed(range(self.seeds))}"
        if self.kind == "images":
            paths = [f"{DATA}/{name}_{fold}.npz" for name in names for fold in folds]
            return [WORDS[self.kind].format(paths=_listed(paths)), seed]
        paths = [f"{DATA}/{name}.{ENDINGS[self.kind]}" for name in names]
        cut = FOLDS.format(folds=len(folds), each=_listed(folds), division=self.one.get("division", 0))
        return [WORDS[self.kind].format(paths=_listed(paths)), seed, cut]


def _listed(values: Iterable[Any]) -> str:
    return ",".join(map(str, values))


def dataset_of(config: Config) -> str:
    """Return what the table calls the data set of a config."""
    return fold_of(config)[0]


def fold_of(config: Config) -> tuple[str, int]:
    """Return the data set of a config, as the table calls it, and the fold."""
    dataset = config.dataset.model_dump()
    if dataset["name"] == SYNTHETIC:
        many, rows = dataset["class_counts"]
        return f"{SYNTHETIC}_{rows}_{many // rows}_{dataset['separation']:g}", 0
    stem = Path(dataset["path"]).stem
    if dataset["name"] == "npz":
        name, _, fold = stem.rpartition("_")
        return name, int(fold)
    return stem, dataset["fold"]


def family_of(grid: Mapping[str, Any], name: str) -> str:
    """Return the family of a data set, as the table calls it."""
    if name.startswith(SYNTHETIC):
        return SYNTHETIC
    return next(found[name] for kind in WORDS if name in (found := data_of(grid, kind)))


def values(words: Iterable[str]) -> list[list[str]]:
    """Return for each word what it is in some job: the word itself, or each of the values that it lists."""
    found = []
    for word in words:
        key, _, typed = word.partition("=")
        ranged = re.fullmatch(r"range\((\d+)\)", typed)
        listed = [str(each) for each in range(int(ranged[1]))] if ranged else re.split(r",(?![^\[]*\])", typed)
        found.append([f"{key}={each}" for each in listed] if typed else [word])
    return found


def of_jobs(part: Part, wanted: Set[str], known: Sequence[str]) -> list[list[str]]:
    """Return commands that train the wanted jobs of the part alone.

    Parameters
    ----------
    wanted, known : digests of jobs: those to train, and of all jobs in their order
    """
    combined = [*itertools.product(*values(part.words))]
    assert len(combined) == len(known), "the planner makes jobs of the same words"
    return [*_products([job for job, digest in zip(combined, known, strict=True) if digest in wanted])]


def _products(chosen: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    """Yield commands that together have these jobs: each with every combination of its values."""
    each = [[*dict.fromkeys(column)] for column in zip(*chosen, strict=True)]
    if math.prod(map(len, each)) == len(chosen):
        yield [words[0] + "".join(f",{word.partition('=')[2]}" for word in words[1:]) for words in each]
        return
    place = next(place for place, words in enumerate(each) if len(words) > 1)
    for word in each[place]:
        yield from _products([job for job in chosen if job[place] == word])


def jobs(part: Part) -> tuple[Config, ...]:
    """Return the composed and checked jobs of the part.

    Raises
    ------
    ConfigError
        If a word of the grid is a mistake.
    """
    planned = planning.plan(part.words)
    assert planned is not None, "no flag asks for help"
    return planned.jobs


def method_of(config: Config) -> str:
    """Return what the table calls the method that a config has."""
    if config.model.name == "boosting":
        return "boosting" if config.weighting.name == NONE else "boosting_balanced"
    if config.dataset.sampling != NONE:
        return {"class_balanced": "class_balanced_sampling"}.get(config.dataset.sampling, config.dataset.sampling)
    if config.loss.name in ("balanced_softmax", "focal"):
        return config.loss.name
    if config.loss.name == "ldam":
        return "ldam_drw"
    if config.weighting.name == "power":
        return f"power_{round(100 * flat(config)['weighting.alpha'])}"
    return config.weighting.name


@dataclass
class Plans:
    """The digests of what commands plan, kept in a file while conf/ and the code that composes stay as they are.

    Attributes
    ----------
    code : digest of conf/ and src/
    known : command to digests
    """

    code: str
    known: dict[str, list[str]]

    @classmethod
    def read(cls) -> "Plans":
        """Return what is known of the present code."""
        whole = hashlib.sha256()
        for file in sorted([*(code_root() / "conf").rglob("*.yaml"), *(code_root() / "src").rglob("*.py")]):
            whole.update(file.read_bytes())
        code, found = whole.hexdigest(), {}
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(PLANS.read_text())
        return cls(code, found["known"] if found.get("code") == code else {})

    def digests(self, part: Part) -> list[str]:
        """Return the digest of each job's config."""
        command = " ".join(part.words)
        if command not in self.known:
            self.known[command] = [config_sha256(job)[:DIGITS] for job in jobs(part)]
            aside = PLANS.with_suffix(f".{os.getpid()}")
            aside.write_text(json.dumps({"code": self.code, "known": self.known}))
            aside.replace(PLANS)
        return self.known[command]
