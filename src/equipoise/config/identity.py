"""What a job is known by beside its config and its data: the code that decides its result.

A config names functions, and what they do is no part of it. So the code counts, too: of the weighting, the loss, the
model and the decision rule that were chosen, each with all of this project that it uses, and of training itself. Code
that prepares data counts in the key of the cache, and here by the data that it makes. Code that judges a trained model
does not make a finished run another one, but is told. What measures time, records and shows counts nowhere.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence

from equipoise.config.model import Config
from equipoise.core import source_code
from equipoise.methods.decisions import DECISIONS
from equipoise.methods.losses import LOSSES
from equipoise.methods.models import MODELS
from equipoise.methods.weighting import STRATEGIES

CODE = "code"  # a tag: the digest of each part, as JSON
# What is chosen by name counts by itself, and not with whatever knows all the names.
CHOSEN_AMONG = (
    *(
        "equipoise.methods.weighting.STRATEGIES",
        "equipoise.methods.losses.LOSSES",
        "equipoise.methods.models.MODELS",
        "equipoise.methods.decisions.DECISIONS",
    ),
    "equipoise.data.catalogue.DATASETS",
)
TRAINING = (
    "equipoise.runs.fit._take_device",
    "equipoise.runs.fit._fit",
    "equipoise.runs.record.weigh",
    "equipoise.training.graph.compiled",
    "equipoise.training.fit.fit",
    "equipoise.training.second_stage.run_second_stage",
)
EVALUATION = ("equipoise.runs.evaluate.evaluate_and_log",)
BESIDE = (
    *("equipoise.core.clock", "equipoise.training.cluster", "equipoise.training.checkpoints"),
    *("equipoise.tracking.run", "equipoise.tracking.store", "equipoise.tracking.gpu_usage", "equipoise.config.naming"),
    *("equipoise.core.terminal", "equipoise.tracking.keys"),
)
DATA = "the content of the data"
JUDGING = ("decision", "evaluation")  # parts that no trained weight depends on
DIGITS = 16  # of a part's digest


def code(config: Config) -> dict[str, str]:
    """Each part of the code, as `weighting=balanced` or `training`, and the digest of it."""
    chosen = {
        f"weighting={config.weighting.name}": STRATEGIES[config.weighting.name],
        f"loss={config.loss.name}": LOSSES[config.loss.name],
        f"model={config.model.name}": MODELS[config.model.name].build,
        f"decision={config.decision.name}": DECISIONS[config.decision.name],
    }
    steps = {"training": TRAINING, "evaluation": EVALUATION}
    without = (*CHOSEN_AMONG, *BESIDE)
    found = {part: source_code.digest(function, without=without) for part, function in chosen.items()}
    found |= {part: source_code.digest(*functions, without=without) for part, functions in steps.items()}
    return {part: digest[:DIGITS] for part, digest in found.items()}


def code_sha256(config: Config) -> str:
    """Digest of all code that decides what comes out of the run, but for how it is judged in general."""
    return _sha256(code(config), ("evaluation",))


def training_code_sha256(config: Config) -> str:
    """Digest of all code that decides what model is trained."""
    return _sha256(code(config), JUDGING)


def tags(config: Config) -> dict[str, str]:
    """What a run is logged with."""
    return {"code_sha256": code_sha256(config), CODE: json.dumps(code(config))}


def changed(then: Mapping[str, str], config: Config, data_sha256: str) -> str:
    """What has changed since a run of this config, in words, so that it is no result of this job any more; else nothing.

    Parameters
    ----------
    then : the run's tags
    """
    return _told([*_differing(then, code(config), ("evaluation",)), *[DATA] * (then.get("data_sha256") != data_sha256)])


def training_changed(then: Mapping[str, str], config: Config) -> str:
    """What has changed since, in words, of the code that the trained weights depend on."""
    return _told(_differing(then, code(config), JUDGING))


def changed_for_any(then: Mapping[str, str], jobs: Sequence[Config], data: Collection[str]) -> str:
    """What has changed since a run whose config is of the kind of these jobs, and none of them.

    Parameters
    ----------
    data : digests of the data that the run can be of; without any, they are not looked at
    """
    now = {part: digest for job in jobs for part, digest in code(job).items() if part in _of_run(then)}
    return _told(
        [*_differing(then, now, ("evaluation",)), *[DATA] * bool(data and then.get("data_sha256") not in data)]
    )


def evaluation_changed(then: Mapping[str, str], config: Config) -> bool:
    """Whether the run was judged by other code than is here."""
    return _of_run(then).get("evaluation") != code(config)["evaluation"]


def differing(runs: Iterable[Mapping[str, str]]) -> list[str]:
    """The parts whose code is not the same in all runs that have them, of runs given by their tags; without it a run counts as of other code."""
    found: dict[str, set[str]] = {}
    for then in runs:
        for part, digest in _of_run(then).items():
            found.setdefault(part, set()).add(digest)
    return sorted(part for part, digests in found.items() if len(digests) > 1)


def _differing(then: Mapping[str, str], now: Mapping[str, str], without: Collection[str]) -> list[str]:
    known = _of_run(then)
    return [
        f"the code of {part}"
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
