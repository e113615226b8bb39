"""A logged model judged again: by another decision rule, other groups or on other data, without training.

The result is a run of its own beside the one that trained the model: what was logged once stays as it was.
"""

import shlex
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from equipoise.config.model import Config, flat
from equipoise.config.naming import given_experiment, run_name
from equipoise.config.tree import SHIPPED, Tree
from equipoise.core.commands import command, source
from equipoise.core.errors import ConfigError, listing
from equipoise.core.paths import cache_folder, project_root
from equipoise.core.schema import Floats
from equipoise.core.terminal import warn
from equipoise.data.all_rows import all_rows
from equipoise.data.arrays.npz_files import NPY
from equipoise.data.catalogue import DATASETS
from equipoise.data.originals import unchanged
from equipoise.data.other_file import with_test_file
from equipoise.data.prepare import prepare, row_digests
from equipoise.data.prepared import Prepared
from equipoise.data.shards import Images
from equipoise.data.slicing import SlicedColumn, sliced
from equipoise.data.types import ESTIMATE, PATHS, Dataset, Masses
from equipoise.methods.models import estimator, packages_of
from equipoise.methods.weighting import ClassWeights
from equipoise.metrics.gates import Checked, Gate
from equipoise.metrics.slices import recall_by_slice
from equipoise.reports.evidence import Evidence
from equipoise.reports.prior_table import EstimatedPrior
from equipoise.runs.again import DATA, JUDGED_BY, VALIDATION, is_refit
from equipoise.runs.estimate_prior import Unlabelled, estimated, with_notes, with_numbers
from equipoise.runs.evaluate import Evaluated, evaluate
from equipoise.runs.facts import facts
from equipoise.runs.gating import check_gates
from equipoise.runs.inherit import inherit
from equipoise.runs.log import log_input_metrics, log_inputs
from equipoise.runs.log_evaluation import draw_and_log, log_evaluation, log_gates, log_prior
from equipoise.runs.log_script import log_script_of
from equipoise.runs.note import log_note
from equipoise.tracking import history
from equipoise.tracking.artifacts import PER_CLASS, load_model, read_json
from equipoise.tracking.history import Logged, LoggedConfig
from equipoise.tracking.keys import class_keys
from equipoise.tracking.run import Description, outer_run, start_run
from equipoise.tracking.store import Store
from equipoise.training import runtime
from equipoise.training.answering import logits_of, taken_by, takes
from equipoise.training.trained import Trained

SHARES = ("loss_share_start", "loss_share", "gradient_share_start", "gradient_share")


@dataclass(frozen=True)
class Asked:
    """What is to be found besides the evaluation itself: recall by the slices of these columns, and these gates.

    Attributes
    ----------
    unlabelled : rows from which `dataset.target_prior=estimate` is estimated; None: the test rows
    """

    slices: tuple[str, ...] = ()
    gates: tuple[Gate, ...] = ()
    unlabelled: Unlabelled | None = None

    @property
    def words(self) -> list[str]:
        """What was typed of it that changes the numbers."""
        return [] if self.unlabelled is None else self.unlabelled.words


NOTHING_MORE = Asked()


@dataclass(frozen=True)
class Judged:
    """A finished evaluation; `of` is the run that trained the model, `prior` what was estimated, if it was asked."""

    run_id: str
    experiment_id: str
    of: str
    evidence: Evidence
    gates: Sequence[Checked]
    folder: Path
    prior: EstimatedPrior | None = None


def evaluate_again(
    store: Store, run: str, overrides: Sequence[str], tree: Tree = SHIPPED, asked: Asked = NOTHING_MORE
) -> Judged:
    """Evaluate the model of a finished run and log what comes out as a run tagged `kind=evaluation`.

    Parameters
    ----------
    run : its id, or `latest`
    overrides : of dataset, decision and evaluation; what is not typed is the run's own
    tree : the configs that the overrides choose among

    Raises
    ------
    ConfigError
        If there is no such run, an override names something that only training could change, the data have other
        classes or another shape, a column cannot be sliced, or a gate cannot be judged. Nothing is written then.
    """
    trained = history.trained_run(store, run, [f"{name}/" for name in SHARES])
    own, weights = history.config_of(store, trained), _weights(store, trained.id)
    was, config = (_of_the_same_logit(inherit(own, typed, tree), own, weights) for typed in ((), overrides))
    data = data_to_judge_on(trained, was.dataset, config)
    _check(config, data, weights, asked)
    # All that depends on the training counts is about the data that the model has seen.
    weights = replace(weights, count=data.count)
    data = replace(data, counts=weights.counts, masses=weights.masses, resampled=weights.resampled)
    slicings = _slicings(was.dataset, config.dataset, data, asked.slices)
    device = _started(config)
    answers, prior = _answers(store, trained, config, data), None
    if config.dataset.target_prior == ESTIMATE:
        prior = estimated(config, data, weights, answers, asked.unlabelled, trained.id)
        config = with_numbers(config, prior)
    found = with_notes(evaluate(config, data, weights, answers), prior, config.decision.name)
    found = _with_slices(found, slicings, config.dataset)
    gates = check_gates(asked.gates, found.evidence)
    folder = _new_folder(trained.id)
    experiment = given_experiment() or store.client.get_experiment(trained.experiment_id).name
    words = shlex.join((f"run={trained.id}", *overrides, *asked.words))
    tags = {**_tags(trained, config, data), "device": device, JUDGED_BY: words}
    description = Description(experiment, f"{run_name(config)} · judged again", flat(config), tags)
    with start_run(store, description, folder, adopt=outer_run(store)) as log:
        log_inputs(config, log, data, weights)
        log_evaluation(log, found)
        log_input_metrics(config, log, data, weights)
        log_note(log, found.evidence)
        log_gates(log, gates)
        log_prior(log, prior)
        log_script_of(store, trained.id, log)
        evidence = replace(found.evidence, facts=facts(config, data, log, f"{command('evaluate')} {words}"))
        draw_and_log(evidence, log, with_pictures=config.evaluation.pictures)
    return Judged(log.id, log.experiment_id, trained.id, found.evidence, gates, folder, prior)


def _new_folder(run: str) -> Path:
    folder = project_root() / "outputs" / "evaluation" / time.strftime(f"{run[:8]}-%Y%m%d-%H%M%S")
    folder.mkdir(parents=True)
    return folder


def _check(config: Config, data: Prepared, weights: ClassWeights, asked: Asked) -> None:
    """Refuse data of other classes, and rows without labels that nobody asks."""
    if data.classes != weights.classes:
        raise ConfigError(
            f"dataset={config.dataset.name} has the classes {listing(data.classes)}; "
            f"the model was trained on {listing(weights.classes)}"
        )
    if asked.unlabelled is not None and config.dataset.target_prior != ESTIMATE:
        raise ConfigError(f"unlabelled={asked.unlabelled.source} is for dataset.target_prior=estimate: type it, too")


def _started(config: Config) -> str:
    """Start what the model needs to answer; return the device."""
    if estimator(config.model.name) is not None:
        return "cpu"
    return runtime.start("auto", "auto", deterministic=config.trainer.deterministic)


def _slicings(was: Dataset, now: Dataset, data: Prepared, columns: Sequence[str]) -> dict[str, SlicedColumn]:
    """Return the slices of the test samples by these columns of their own file."""
    if not columns:
        return {}
    others = _others(was, now)
    return sliced(now, columns, data.split("test").rows, others[-1] if others else None)


def _with_slices(found: Evaluated, slicings: Mapping[str, SlicedColumn], dataset: Dataset) -> Evaluated:
    """Return what was found with the recall in each slice, and notes on how slices were made."""
    if not slicings:
        return found
    evidence, verdict = found.evidence, found.verdict
    slices = recall_by_slice(verdict.labels, verdict.predicted, evidence.data.classes, slicings)
    notes = [column.note for column in slicings.values() if column.note]
    if getattr(dataset, "group", None):
        notes.append("Rows of one dataset.group count as independent here: intervals are narrower, and p smaller.")
    return replace(found, evidence=replace(evidence, slices=replace(slices, notes=tuple(notes))))


def _answers(store: Store, trained: Logged, config: Config, data: Prepared) -> Trained:
    """Return the model's logits for the data, and what was logged of its training."""
    model = load_model(store, trained.id)
    if not takes(model, data.shape, data.words):
        raise ConfigError(
            f"dataset={config.dataset.name} has samples of shape {data.shape}; the model takes {taken_by(model)}"
        )
    predictor = logits_of(model, data.words)
    with unchanged(data):
        logits = predictor(data.split("test").features)
        # A model that was trained once more has seen these rows: the judged one's answers are what rules are tuned on.
        validation = (
            _validation_logits(store, trained.id)
            if is_refit(trained.tags)
            else predictor(data.split("validation").features)
        )
    return Trained(logits, validation, (), _shares(store, trained, data), trained.tags["weights_sha256"])


def _shares(store: Store, trained: Logged, data: Prepared) -> dict[str, Floats]:
    """Return each class's parts of the loss and of the gradient: from the run's table, or an older run's metrics."""
    table, keys = _table(store, trained.id), class_keys(data.classes)
    found = {
        name: np.array(
            [
                row.get(name, trained.metrics.get(f"{name}/{keys[label]}", np.nan))
                for label, row in ((label, table.get(label, {})) for label in data.classes)
            ],
            dtype=np.float64,
        )
        for name in SHARES
    }
    return {name: values for name, values in found.items() if not np.isnan(values).all()}


def _table(store: Store, run: str) -> dict[str, dict[str, float | None]]:
    """Return the run's table of its classes, by their names; an older run may have none."""
    from mlflow.exceptions import MlflowException

    try:
        table = read_json(store, run, PER_CLASS)
    except (MlflowException, OSError):
        return {}
    rows = (dict(zip(table["columns"], row, strict=True)) for row in table["data"])
    return {str(row["class"]): row for row in rows}


def _validation_logits(store: Store, run: str) -> Floats:
    """Return what the judged model of a run that has trained another one has answered."""
    with tempfile.TemporaryDirectory() as folder:
        found: Floats = np.load(store.client.download_artifacts(run, VALIDATION, folder), allow_pickle=False)
    return found


def _tags(trained: Logged, config: Config, data: Prepared) -> dict[str, str]:
    of_training = ("weighting", "loss", "function", "implementation", "model", "engine", "seed", "weights_sha256")
    kept = (*of_training, *packages_of(config.model.name), "mlflow.runColor")
    return {key: trained.tags[key] for key in kept if key in trained.tags} | {
        "kind": "evaluation",
        "evaluated_run": trained.id,
        "dataset": config.dataset.name,
        "decision": config.decision.name,
        "calibration": config.calibration.name,
        "data_sha256": data.data_sha256,
        "mlflow.source.name": source("evaluate"),
    }


def _of_the_same_logit(config: Config, own: LoggedConfig, weights: ClassWeights) -> Config:
    """Return the config with the class that a single logit was trained to say yes to, whichever is rarer now."""
    if own.tree["dataset"]["labels"] != "binary":
        return config
    dataset = config.dataset.model_copy(update={"labels": "binary", "positive": weights.classes[1]})
    return config.model_copy(update={"dataset": dataset})


def data_to_judge_on(trained: Logged, was: Dataset, config: Config) -> Prepared:
    """Return the data to judge the model on, encoded as it learned them.

    Another file or folder is the test split as a whole. Of data that are encoded by their training rows, nothing else
    may differ.
    """
    again = is_refit(trained.tags)
    seen, sha256 = (all_rows if again else prepare)(was, cache_folder()), trained.tags[DATA if again else "data_sha256"]
    if again and not _others(was, config.dataset):
        raise ConfigError(
            f"run={trained.id}: its model was trained once more on all rows (trainer.refit=true), these too: "
            "judge it on another file, with dataset.path=…, or judge a run without trainer.refit; "
            f"to decide otherwise, type it where it is trained: {command('train')} … decision=… trainer.refit=true"
        )
    if config.dataset == was and seen.data_sha256 == sha256:
        return seen
    if seen.data_sha256 != sha256:
        if _is_fitted(seen, config):
            raise ConfigError(
                f"the data that run {trained.id} was trained on have changed since, and with them how features are "
                "encoded: train again"
            )
        warn(
            f"the data that run {trained.id} was trained on have changed since, "
            "so its training samples may be among these"
        )
        return prepare(config.dataset, cache_folder())
    others = _others(was, config.dataset)
    if others:
        _check_labels_are_new(was, config.dataset)
        check_labelled(trained.id, config.dataset, others[-1])
        data = with_test_file(seen, config.dataset, cache_folder(), others[-1])
    else:
        data = prepare(config.dataset, cache_folder())
        check_encoding(config, seen, data)
    if again:  # by design, its validation rows are among those that it was trained on
        data = replace(data, notes=tuple(note for note in data.notes if not note.startswith("leakage: ")))
    known = int(np.isin(row_digests(data.split("test")), row_digests(seen.split("train"))).sum())
    if known:
        whole = len(data.split("test").labels)
        warn(
            f"{known} of the {whole} test samples are among those that the model was trained on: "
            "what is found is better than it would be on new data"
        )
    return data


def _others(was: Dataset, now: Dataset) -> list[str]:
    """Return the options that name another file or folder than the run's own, of the same kind of data."""
    if was.name != now.name or not DATASETS[now.name].divided:
        return []
    typed = {key: path for key in PATHS if (path := getattr(now, key, None)) is not None}
    before = {str(Path(path).resolve()) for key in PATHS if (path := getattr(was, key, None)) is not None}
    return [key for key, path in typed.items() if str(Path(path).expanduser().resolve()) not in before]


def _check_labels_are_new(was: Dataset, now: Dataset) -> None:
    """Refuse other features with the labels of the run's own, which may stand in the same folder as npy files."""
    before, path = Path(getattr(was, "path", "")).resolve(), Path(getattr(now, "path", "")).resolve()
    old, new = (Path(str(getattr(dataset, "target", ""))).name.removesuffix(NPY) for dataset in (was, now))
    if path.suffix == NPY and path != before and path.parent == before.parent and old == new:
        raise ConfigError(
            f"dataset.path={path}: dataset.target={new} names the labels of {before.name}; "
            f"name those of {path.name}, dataset.target=…"
        )


def check_labelled(run: str, dataset: Dataset, option: str) -> None:
    """Refuse data without labels, which can be predicted and not judged."""
    lack = DATASETS[dataset.name].lacks_labels(dataset, option)
    if lack is not None:
        raise ConfigError(
            f"{lack}: without labels there is nothing to judge; "
            f"to predict them, {command('register')} run={run} and then the command that it prints"
        )


def _is_fitted(data: Prepared, config: Config) -> bool:
    """Return whether features depend on the training rows: columns and arrays do, images do not."""
    return DATASETS[config.dataset.name].divided and not isinstance(data.split("train").features, Images)


def check_encoding(config: Config, seen: Prepared, data: Prepared) -> None:
    """Refuse other training rows, which would mean other features than the model knows."""
    if not _is_fitted(seen, config):
        return
    before, now = seen.split("train").features, data.split("train").features
    same = before.shape == now.shape and all((a == b).all() for a, b in zip(before, now, strict=True))
    if not same:
        raise ConfigError(
            "with these options the training rows are not those that the model was trained on, and so its features "
            "would be encoded otherwise; to judge the model on another file, give its path, dataset.path or "
            "dataset.test_path, and nothing else"
        )


def _weights(store: Store, run: str) -> ClassWeights:
    table = read_json(store, run, "weights.json")
    counts = np.array([row["count"] for row in table.values()], dtype=np.int64)
    found = ClassWeights(tuple(table), counts, np.array([row["weight"] for row in table.values()]))
    if all("resampled" in row for row in table.values()):
        found = replace(found, resampled=np.array([row["resampled"] for row in table.values()], dtype=np.int64))
    if not all("row_weights" in row for row in table.values()):
        return found
    sums, squares = (np.array([row[key] for row in table.values()]) for key in ("row_weights", "squares"))
    return replace(found, masses=Masses(sums, squares, float(sums.sum())))
