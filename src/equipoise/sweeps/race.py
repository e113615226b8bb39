"""A race: the next repetition of the candidates that are left, again and again, until the time is up.

Its state is its runs in the store: which candidate has which repetition. So a race that was killed goes on where it
stopped, and the same command with more minutes goes further. `comparison.racing` says who is left, and what was shown.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from hydra.errors import CompactHydraException
from rich.progress import BarColumn, Progress, TextColumn

from equipoise.comparison import racing
from equipoise.comparison.racing import Design, Entry, Scores
from equipoise.config import identity
from equipoise.config.model import Config, config_sha256
from equipoise.core.paths import cache_folder
from equipoise.core.state import kept
from equipoise.core.terminal import NOTE, WARNING, console, retell, warn
from equipoise.data.prepare import prepare
from equipoise.runs import background
from equipoise.runs.weigh import weigh
from equipoise.sweeps import race_pace
from equipoise.sweeps.candidates import Candidate
from equipoise.sweeps.descriptions import VERDICT
from equipoise.sweeps.planning import Sweep
from equipoise.sweeps.progress import SPOKEN
from equipoise.sweeps.race_pace import Job, Over, Pace
from equipoise.sweeps.race_plan import METRICS, Planned, judged_by
from equipoise.tracking import history
from equipoise.tracking.history import Logged
from equipoise.tracking.store import Store

ARGMAX = "argmax"
RESERVE = 4.0  # seconds for the verdict and its page
SECONDS = "race_seconds"  # tag of the summary run: what earlier commands have spent
MOST_JOBS = 1 << 20
ENDS: Mapping[Over, str] = {
    "time": "the time is up",
    "worse": "all others are shown to be worse",
    "enough": "more repetitions of these rows would narrow no interval by more than a twentieth",
}

UNKNOWN = Design(splits=True, tests=True, validation_over_train=0.0, test_over_train=0.0)
Launch = Callable[[Sequence[Sequence[str]]], None]


@dataclass(frozen=True)
class Results:
    """The scores of the finished runs, by metric; higher is better."""

    validation: Mapping[str, Scores]
    test: Mapping[str, Scores]
    runs: Sequence[Logged]


@dataclass
class Race:
    """One race under way in this process.

    Attributes
    ----------
    began : `time.time()` when the process began
    design : what a repetition is; known once the race begins
    starters : candidates by label, without those that were left out for want of time or because they failed
    out : why others are not in the race
    """

    store: Store
    sweep: Sweep
    planned: Planned
    began: float
    design: Design = UNKNOWN
    starters: dict[str, tuple[Candidate, Config]] = field(default_factory=dict)
    out: dict[str, str] = field(default_factory=dict)
    ended: str = ENDS["time"]
    earlier: float = 0.0
    judged: str = ""  # the verdict of an earlier command
    cost: float = 0.0  # seconds of one job in one worker, as the latest batch says
    batches: int = 0  # that this process has launched
    trained: int = 0  # jobs that it has launched

    @property
    def baseline(self) -> Entry:
        return Entry(self.planned.field.baseline.label, ARGMAX)

    @property
    def metric(self) -> str:
        return self.planned.settings.metric

    @property
    def spent(self) -> float:
        """Seconds, with those of earlier commands."""
        return self.earlier + time.time() - self.began

    @property
    def left(self) -> float:
        return self.planned.settings.minutes * 60 - RESERVE - self.spent

    def begin(self) -> None:
        """Look at the data: what a repetition is, and which candidates have the same weights."""
        first = self.planned.configs[0]
        data = prepare(first.dataset, cache_folder())
        other = prepare(_repeated(first, 1).dataset, cache_folder())
        rows = {name: len(data.split(name).labels) for name in ("train", "validation", "test")}
        ratios = (rows[name] / rows["train"] for name in ("validation", "test"))
        own = (not data.has_same_rows(other, split) for split in ("validation", "test"))
        self.design = Design(*own, *ratios)
        known: list[tuple[str, Config, np.ndarray]] = []
        for candidate, config in zip(self.planned.field.candidates, self.planned.configs, strict=True):
            weights = weigh(config, prepare(config.dataset, cache_folder())).weights
            same = [label for label, other, values in known if _is_same(config, weights, other, values)]
            if same:
                self.out[candidate.label] = f"its weights are those of {same[0]}"
            else:
                known.append((candidate.label, config, weights))
                self.starters[candidate.label] = (candidate, config)

    def run(self, arguments: Sequence[str], launch: Launch) -> None:
        """Race until the time is up, or nothing more can be learned.

        Parameters
        ----------
        arguments : Hydra's overrides, of which those that name no candidate are of every job
        launch : runs jobs, which are given by their overrides, and returns when they have ended
        """
        lists = {word.partition("=")[0] for candidate in self.planned.field.candidates for word in candidate.words}
        shared = [word for word in arguments if word.partition("=")[0] not in lists]
        shared += judged_by(self.metric) if not any(word.startswith("decision=") for word in shared) else ()
        summary = self.store.runs(kind="sweep", sweep_id=self.sweep.id)[-1]
        self.earlier = float(summary.data.tags.get(SECONDS, 0))
        self.judged = summary.data.tags.get(VERDICT, "")
        columns = (TextColumn("{task.description}"), BarColumn(16), TextColumn("{task.fields[told]}"))
        with Progress(*columns, console=console, transient=True) as progress:
            bar = progress.add_task("race", total=self.planned.settings.minutes * 60, told="")
            while batch := self._next():
                since = time.monotonic()
                progress.update(bar, completed=self.spent, told=self._told(batch))
                launch([[*shared, *self.starters[label][0].words, *self._place(number)] for label, number in batch])
                beside = background.current()
                if beside:
                    beside.settle()
                self._book(batch, time.monotonic() - since)
                self.store.client.set_tag(summary.info.run_id, SECONDS, f"{self.spent:.1f}")

    @property
    def absent(self) -> dict[str, str]:
        """Why candidates are not in the race, by label."""
        there = {entry.candidate for entry in self.results().validation[self.metric]}
        known = {**self.planned.unfit, **self.out}
        late = {
            one.label: "too little time" for one in self.planned.field.candidates if one.label not in {*known, *there}
        }
        return known | late

    def results(self) -> Results:
        """Return what the finished runs of the present candidates, code and data scored."""
        places = self._places()
        runs = history.sweep_runs(self.store, self.sweep.id, ["decision/", "val/decision/"])
        validation: dict[str, dict[Entry, dict[int, float]]] = {metric: {} for metric in METRICS}
        test: dict[str, dict[Entry, dict[int, float]]] = {metric: {} for metric in METRICS}
        counted = []
        for run in runs:
            place = places(run)
            if place is None:
                continue
            counted.append(run)
            for key, value in run.metrics.items():
                *head, rule, metric = key.split("/")
                if metric in METRICS:
                    of_split = validation if head[0] == "val" else test
                    of_split[metric].setdefault(Entry(place[0], rule), {})[place[1]] = value
        order = {candidate.label: number for number, candidate in enumerate(self.planned.field.candidates)}
        for scores in (*validation.values(), *test.values()):
            ordered = sorted(scores.items(), key=lambda item: (order[item[0].candidate], item[0].rule != ARGMAX))
            scores.clear()
            scores.update(ordered)
        return Results(validation, test, counted)

    def _next(self) -> Sequence[Job]:
        """Return the next jobs; none if the race is over."""
        enough = racing.enough(self.design.validation_over_train) if self.design.splits else racing.MOST_NEEDED
        pace = Pace(self.left, self.cost, self.batches, self.planned.at_once, enough)
        found = race_pace.next_jobs(self.results().validation[self.metric], list(self.starters), self.baseline, pace)
        if found.lost:
            minutes = (self.spent + self.cost * racing.FIRST_LOOK * len(self.starters) / self.planned.at_once) / 60
            warn(
                f"{self.planned.settings.minutes:g} minutes are too short for {racing.FIRST_LOOK} repetitions of "
                f"{len(self.starters)} candidates at {self.cost:.1f} s a training; left out: {', '.join(found.lost)}; "
                f"minutes={math.ceil(minutes)} is enough for all"
            )
        for label in found.lost:
            self.starters.pop(label)
        self.ended = ENDS[found.over]
        return found.jobs

    def _book(self, batch: Sequence[Job], seconds: float) -> None:
        """Learn from jobs that have ended what one takes, and which candidates fail."""
        rounds = -(-len(batch) // self.planned.at_once)
        self._retell(batch, self.trained)
        self.trained += len(batch)
        results = self.results()
        self.cost = seconds / rounds
        self.batches += 1
        finished = {(e.candidate, n) for e, values in results.validation[self.metric].items() for n in values}
        for label, number in batch:
            if (label, number) not in finished:
                self.out[label] = f"its repetition {number} failed"
                self.starters.pop(label, None)
        if self.baseline.candidate not in self.starters:
            raise CompactHydraException("the baseline failed, so that there is nothing to compare with")

    def _retell(self, batch: Sequence[Job], first: int) -> None:
        """Show the errors of the jobs, and what the first of all said of the data; the rest stays in their files."""
        for index in range(first, first + len(batch)):
            file = self.sweep.folder / str(index) / SPOKEN
            lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
            for line in lines:
                if line.startswith("error:") or (index == 0 and line.startswith((WARNING, NOTE))):
                    retell(line)

    def _told(self, batch: Sequence[Job]) -> str:
        minutes = f"{self.spent / 60:.1f} of {self.planned.settings.minutes:g} minutes"
        return (
            f"{minutes}, repetition {batch[0][1] + 1}, {len(batch)} of {len(self.planned.field.candidates)} candidates"
        )

    def _place(self, number: int) -> list[str]:
        return [f"seed={number}", f"dataset.split_seed={number}"]

    def _places(self) -> Callable[[Logged], tuple[str, int] | None]:
        """Return the function from a run to its candidate and repetition; None for a run of other code or config."""
        codes = {label: identity.code_sha256(config) for label, (_, config) in self.starters.items()}
        known: dict[tuple[str, str], tuple[str, int]] = {}
        reached = -1

        def place(run: Logged) -> tuple[str, int] | None:
            nonlocal reached
            number = int(run.params.get("seed", -1))
            for repetition in range(reached + 1, number + 1):
                for label, (_, config) in self.starters.items():
                    job = _repeated(config, repetition)
                    known[config_sha256(job), codes[label]] = (label, repetition)
            reached = max(reached, number)
            return known.get((run.tags.get("config_sha256", ""), run.tags.get("code_sha256", "")))

        return place


def _repeated(config: Config, number: int) -> Config:
    """Return a candidate's config at a repetition; a split that the data name themselves stays as it is."""
    dataset = config.dataset.model_copy(update={"split_seed": number})
    return config.model_copy(update={"seed": number, "dataset": dataset})


def _is_same(config: Config, weights: np.ndarray, other: Config, values: np.ndarray) -> bool:
    """Whether two candidates differ in the name of their weighting alone, and weigh the classes the same."""
    if config.model_copy(update={"weighting": other.weighting}) != other:
        return False
    scheduled = config.weighting.schedule != other.weighting.schedule
    return not scheduled and bool(np.allclose(weights, values, rtol=1e-9))


@dataclass
class _Current:
    race: Race | None = None


@contextlib.contextmanager
def under_way(race: Race) -> Iterator[Race]:
    """Within it Hydra's sweeper finds the race, since Hydra hands nothing on to it."""
    kept(_Current).race = race
    try:
        yield race
    finally:
        kept(_Current).race = None


def current() -> Race:
    """Return the race that is under way in this process."""
    found = kept(_Current).race
    assert found is not None, "decide.py begins the race"
    return found
