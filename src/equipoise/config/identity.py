"""Identify a job by the code that decides its result, beside its config and its data.

A config names functions but does not say what they do. So their code counts as well: that of the chosen weighting,
loss, model and decision rule, each with everything of this project that it uses, and that of training itself. The code
that prepares data counts in the key of the cache, and here through the data that it makes. A change in the code of
evaluation leaves a finished run valid and is reported. Code that measures time, records or shows does not count.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from equipoise.config.model import Config, chosen_own
from equipoise.core import source_code
from equipoise.core.schema import NONE
from equipoise.data.sampling import RULES, resampler
from equipoise.methods.calibration import CALIBRATIONS
from equipoise.methods.decisions import DECISIONS
from equipoise.methods.losses import LOSSES
from equipoise.methods.models import MODELS, digests_of_file, estimator
from equipoise.methods.weighting import STRATEGIES

CODE = "code"  # a tag: the digest of each part, as JSON
OWN_FILES = "own_files"  # a tag: where each option of the user's own came from, as JSON
# Functions chosen by name count by themselves, not with the registries that know all of them.
CHOSEN_AMONG = (
    *(
        f"equipoise.{module}.{name}"
        for module, registry in (
            ("methods.weighting", "STRATEGIES"),
            ("methods.losses", "LOSSES"),
            ("methods.models", "MODELS"),
            ("methods.decisions", "DECISIONS"),
            ("data.catalogue", "DATASETS"),
        )
        for name in ("SHIPPED", registry)
    ),
    "equipoise.data.resamplers.RESAMPLERS",
    "equipoise.methods.estimators.ESTIMATORS",
    "equipoise.methods.calibration.CALIBRATIONS",
)
TRAINING = (
    "equipoise.runs.start._take_device",
    "equipoise.runs.fit.fit",
    "equipoise.runs.weigh.weigh",
    "equipoise.training.graph.compiled",
    "equipoise.training.fit.fit",
    "equipoise.training.second_stage.run_second_stage",
)
OF_AN_ESTIMATOR = (
    "equipoise.runs.fit.fit",
    "equipoise.runs.weigh.weigh",
    "equipoise.training.estimator_learner.EstimatorLearner",
)
RESAMPLING = "equipoise.data.resampling.resampled"
REFIT = ("equipoise.runs.refit.trained_again", "equipoise.data.all_rows.together")
EVALUATION = ("equipoise.runs.evaluate.evaluate",)
# What a task judges by, which trains nothing.
KERAS, ESTIMATOR = (f"equipoise.training.{kind}_learner" for kind in ("keras", "estimator"))
JUDGES = (
    *("equipoise.methods.tasks.judge_classes", "equipoise.methods.tasks.judge_labels"),
    "equipoise.methods.tasks.task.Verdict",  # which names all that decides
)
BESIDE = (
    *("equipoise.core.clock", "equipoise.training.cluster", "equipoise.training.checkpoints"),
    *("equipoise.tracking.run", "equipoise.tracking.store", "equipoise.tracking.gpu_usage", "equipoise.config.naming"),
    *("equipoise.core.terminal", "equipoise.core.bars", "equipoise.runs.follow", "equipoise.tracking.keys"),
)
DATA = "the content of the data"
JUDGING = ("calibration", "decision", "evaluation")  # parts that the trained weights do not depend on
DIGITS = 16  # kept of a part's digest


def code(config: Config) -> dict[str, str]:
    """Return the digest of each part of the code, such as `weighting=balanced` or `training`."""
    chosen: dict[str, Any] = {
        f"weighting={config.weighting.name}": STRATEGIES[config.weighting.name],
        f"loss={config.loss.name}": LOSSES[config.loss.name],
        f"model={config.model.name}": MODELS[config.model.name],
        f"decision={config.decision.name}": DECISIONS[config.decision.name],
    }
    if config.calibration.name != NONE:
        chosen[f"calibration={config.calibration.name}"] = CALIBRATIONS[config.calibration.name]
    rule = config.dataset.sampling
    if rule in RULES.own() or resampler(rule) is not None:
        chosen[f"sampling={rule}"] = RULES[rule]
    found = {part: _of_record(record) for part, record in chosen.items()}
    if resampler(rule) is not None:
        found["resampling"] = _of_code(RESAMPLING)
    others = (*JUDGES, ESTIMATOR)
    if estimator(config.model.name) is None:
        found["training"] = _of_code(*TRAINING, without=others)
    else:  # which a comparison with Keras's must not take for training that has changed
        others = (*JUDGES, KERAS)
        found["fitting"] = _of_code(*OF_AN_ESTIMATOR, without=others)
    if config.trainer.refit:
        found["refit"] = _of_code(*REFIT, without=others)
    found["evaluation"] = _of_code(*EVALUATION)
    found |= digests_of_file(config.model)
    return {part: digest[:DIGITS] for part, digest in found.items()}


def code_sha256(config: Config) -> str:
    """Return the digest of all code that decides the run's result, without the code of evaluation."""
    return _sha256(code(config), ("evaluation",))


def training_code_sha256(config: Config) -> str:
    """Return the digest of all code that decides which model is trained."""
    return _sha256(code(config), JUDGING)


def tags(config: Config) -> dict[str, str]:
    """Return the tags by which a run records its code, and the files of the user's own options if it has any."""
    found = {"code_sha256": code_sha256(config), CODE: json.dumps(code(config))}
    own = {f"{each.kind}={each.name}": f"{each.file.parent.name}/{each.file.name}" for each in chosen_own(config)}
    return {**found, **({OWN_FILES: json.dumps(own)} if own else {})}


def changed(then: Mapping[str, str], config: Config, data_sha256: str) -> str:
    """Say what has changed since a run of this config, so that the run is no longer this job's result.

    Returns an empty text if nothing has changed.

    Parameters
    ----------
    then : the run's tags
    """
    return _told([*_differing(then, code(config), ("evaluation",)), *[DATA] * (then.get("data_sha256") != data_sha256)])


def training_changed(then: Mapping[str, str], config: Config) -> str:
    """Say what has changed since the run in the code that the trained weights depend on; empty if nothing has."""
    return _told(_differing(then, code(config), JUDGING))


def changed_for_any(then: Mapping[str, str], jobs: Sequence[Config], data: Collection[str]) -> str:
    """Say what has changed since a run that makes the same choices as these jobs; empty if nothing has.

    Parameters
    ----------
    data : digests of the data that the run may have used; if empty, the data are not compared
    """
    now = {part: digest for job in jobs for part, digest in code(job).items() if part in _of_run(then)}
    return _told(
        [*_differing(then, now, ("evaluation",)), *[DATA] * bool(data and then.get("data_sha256") not in data)]
    )


def evaluation_changed(then: Mapping[str, str], config: Config) -> bool:
    """Whether the code of evaluation has changed since the run."""
    return _of_run(then).get("evaluation") != code(config)["evaluation"]


def differing(runs: Iterable[Mapping[str, str]]) -> list[str]:
    """Return the parts whose code differs between runs, which are given by their tags.

    A part is compared among the runs that have it.
    """
    found: dict[str, set[str]] = {}
    for then in runs:
        for part, digest in _of_run(then).items():
            found.setdefault(part, set()).add(digest)
    return sorted(part for part, digests in found.items() if len(digests) > 1)


def _of_record(record: Any) -> str:
    """Digest of a function, or of all functions and values of a record and of records in it."""
    if dataclasses.is_dataclass(record):
        values = {field.name: _of_record(getattr(record, field.name)) for field in dataclasses.fields(record)}
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    if callable(record):
        return _of_code(record)
    return repr(record)


def _of_code(*functions: Callable[..., Any] | str, without: Sequence[str] = ()) -> str:
    return source_code.digest(*functions, without=(*CHOSEN_AMONG, *BESIDE, *without))


def _differing(then: Mapping[str, str], now: Mapping[str, str], without: Collection[str]) -> list[str]:
    known = _of_run(then)
    return [
        f"the {'file' if part.startswith('model.') else 'code'} of {part}"
        for part, digest in now.items()
        if part.partition("=")[0] not in without and known.get(part) != digest
    ]


def _told(parts: Sequence[str]) -> str:
    return f"{' and '.join(parts)} {'has' if len(parts) == 1 else 'have'} changed" if parts else ""


def _of_run(then: Mapping[str, str]) -> dict[str, str]:
    return dict(json.loads(then.get(CODE, "{}")))


def _sha256(parts: Mapping[str, str], without: Sequence[str]) -> str:
    counting = {part: digest for part, digest in parts.items() if part.partition("=")[0] not in without}
    return hashlib.sha256(json.dumps(counting, sort_keys=True).encode()).hexdigest()
