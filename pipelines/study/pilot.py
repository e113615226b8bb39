"""Choose the learning rates of the study on its pilot sets, and write them into grid.yaml:

PYTHONPATH=src:pipelines python pipelines/study/pilot.py

For SGD and for AdamW with each capacity, the rate with the highest mean, over the pilot sets, of the balanced accuracy
of validation rows of `balanced` and of post hoc tau = 1. One fold, one seed, 100 epochs; no test row is looked at. Step
times are printed.
"""

import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
from grid import read
from judge import FREE, balanced_accuracy, by_rules, context
from parts import Made, jobs, method_of

from equipoise.config.model import Config
from equipoise.data.prepare import prepare
from equipoise.data.prepared import Prepared
from equipoise.methods.tasks.choose import task_of
from equipoise.runs.start import learner_of
from equipoise.runs.weigh import weigh
from equipoise.training.graph import Compiled
from equipoise.training.keras_learner import KerasLearner

HERE = Path(__file__).parent
EPOCHS = 100
RATES = {"adamw": (0.001, 0.003, 0.01), "sgd": (0.03, 0.1, 0.3)}
SETTINGS = {"adamw": {"linear": "linear", "small": "centre", "large": "large"}} | {
    "sgd": {each: f"{each}_sgd" for each in ("linear", "small", "large")}
}


class _Epochs(keras.callbacks.Callback):
    """Sets what the epoch decides; validates nothing."""

    def __init__(self, of: Compiled) -> None:
        super().__init__()
        self._compiled = of

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self._compiled.set_epoch(epoch)


def main() -> int:
    """Choose, print and write; return the exit code."""
    grid, chosen = read("study"), {}
    for optimizer, settings in SETTINGS.items():
        for capacity, setting in settings.items():
            scores, step = _scores(grid, setting, RATES[optimizer])
            best = max(scores, key=lambda rate: scores[rate])
            chosen[optimizer, capacity] = best
            told = ", ".join(f"{rate:g} {score:.4f}" for rate, score in scores.items())
            print(f"{optimizer} {capacity}: {best:g} of {told}; a step {1000 * step:.2f} ms", flush=True)
    text = (HERE / "grid.yaml").read_text()
    for optimizer in SETTINGS:
        line = ", ".join(f"{capacity}: {chosen[optimizer, capacity]:g}" for capacity in SETTINGS[optimizer])
        text = re.sub(rf"^  {optimizer}: \{{linear: .*\}}$", f"  {optimizer}: {{{line}}}", text, flags=re.MULTILINE)
    (HERE / "grid.yaml").write_text(text)
    return 0


def _scores(grid: dict[str, Any], setting: str, rates: tuple[float, ...]) -> tuple[dict[float, float], float]:
    """Return the score of each rate, and the seconds of a step, the median over the trainings."""
    made = Made(grid, {"data": "pilot", "epochs": EPOCHS, "lengths": []}, setting, "pair", 1)
    part = made.part("pilot", grid["pilot"])
    asked = {"trainer.learning_rate": ",".join(map(str, rates)), "dataset.fold": "0"}
    typed = {word.partition("=")[0]: word for word in part.words} | {key: f"{key}={of}" for key, of in asked.items()}
    found: dict[float, list[float]] = {rate: [] for rate in rates}
    steps, data = [], dict[str, Prepared]()
    for job in jobs(replace(part, words=tuple(typed.values()))):
        key = job.dataset.model_dump_json()
        data[key] = data.get(key) or prepare(job.dataset, HERE / "cache")
        score, step = _trained(job, data[key])
        found[job.trainer.learning_rate].append(score)
        steps.append(step)
    return {rate: float(np.mean(scores)) for rate, scores in found.items()}, float(np.median(steps))


def _trained(job: Config, data: Prepared) -> tuple[float, float]:
    """Return the balanced accuracy of the validation rows, and the seconds of a step; a chance's if it diverges."""
    learner = learner_of(job, data)
    assert isinstance(learner, KerasLearner), "the pilot has networks alone"
    of = learner.compiled  # its graph is made, or the last one is taken over
    enter = of.begin(job, task_of(data).factors(weigh(job, data)), _Epochs(of))
    enter(0, 2)  # tracing is no step
    begun = time.process_time()
    enter(2, EPOCHS)
    step = (time.process_time() - begun) / (EPOCHS - 2) / of.work.steps
    logits = of.predict(data.split("validation").features)
    if not np.isfinite(logits).all():
        return 1 / len(data.classes), step
    free = method_of(job) in FREE
    empty = of.predict(data.split("test").features[:1])
    rules = by_rules(_without_test(job, data), empty, logits, free=free)
    one = next(one for one in rules if one.rule == ("post_hoc" if free else "argmax"))
    return balanced_accuracy(one.validation, len(data.classes)), step


def _without_test(job: Config, data: Prepared) -> Any:
    of = context(job, data)
    return replace(of, test=of.test[:1])


if __name__ == "__main__":
    sys.exit(main())
