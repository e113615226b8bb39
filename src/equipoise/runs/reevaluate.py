"""A logged model judged again: by another decision rule, other groups or on other data, without training.

The result is a run of its own beside the one that trained the model: what was logged once stays as it was.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from equipoise.config.checks import check_together
from equipoise.config.model import CONTROL, Config, flat, validate
from equipoise.config.naming import given_experiment, run_name
from equipoise.config.overrides import as_config_error, check_name, or_one_value, parse, readable
from equipoise.core.paths import cache_folder, config_folder, project_root
from equipoise.core.schema import ConfigError, dotted_keys, listing, suggestion
from equipoise.core.terminal import warn
from equipoise.data.catalogue import DATASETS
from equipoise.data.originals import unchanged
from equipoise.data.other_file import with_test_file
from equipoise.data.prepare import prepare, row_digests
from equipoise.data.prepared import Prepared
from equipoise.data.shards import Images
from equipoise.data.types import PATHS, Dataset
from equipoise.methods.weighting import ClassWeights
from equipoise.reports.evidence import Evidence
from equipoise.runs import record
from equipoise.runs.evaluate import draw_and_log, evaluate_and_log
from equipoise.tracking import history as logged
from equipoise.tracking.artifacts import load_model, read_json
from equipoise.tracking.history import LoggedConfig
from equipoise.tracking.keys import class_keys
from equipoise.tracking.run import Description, outer_run, start_run
from equipoise.tracking.store import Store
from equipoise.training import runtime
from equipoise.training.trained import Trained

# The parts of the config that a model which is trained already can be judged under.
OPEN = ("dataset", "decision", "evaluation")
SHARES = ("loss_share_start", "loss_share", "gradient_share_start", "gradient_share")


@dataclass(frozen=True)
class Judged:
    """A finished evaluation; `of` is the run that trained the model."""

    run_id: str
    experiment_id: str
    of: str
    evidence: Evidence
    folder: Path


def evaluate_again(store: Store, run: str, overrides: Sequence[str]) -> Judged:
    """Evaluate the model of a finished run and log what comes out as a run tagged `kind=evaluation`.

    Parameters
    ----------
    run : its id, or `latest`
    overrides : of dataset, decision and evaluation; what is not typed is the run's own

    Raises
    ------
    ConfigError
        If there is no such run, an override names something that only training could change, or the data have
        other classes or another shape.
    """
    trained = (
        logged.latest_run(store)
        if run == "latest"
        else logged.chosen_runs(store, [run], [f"{name}/" for name in SHARES])[0]
    )
    if "weights_sha256" not in trained.tags or "kind" in trained.tags:
        raise ConfigError(f"run={trained.id}: that run trained no model; give the id of one that did")
    own = logged.config_of(store, trained)
    weights = _weights(store, trained.id)
    was, config = (_of_the_same_logit(inherit(own, typed), own, weights) for typed in ((), overrides))
    data = _data(trained, was.dataset, config)
    if data.classes != weights.classes:
        raise ConfigError(
            f"dataset={config.dataset.name} has the classes {listing(data.classes)}; the model was trained on {listing(weights.classes)}"
        )
    # All that depends on the training counts is about the data that the model has seen.
    data = replace(data, counts=weights.counts)

    device = runtime.start("auto", "auto", deterministic=config.trainer.deterministic)
    from equipoise.training.predictor import Predictor

    model = load_model(store, trained.id)
    if tuple(model.input_shape[1:]) != data.shape:
        raise ConfigError(
            f"dataset={config.dataset.name} has samples of shape {data.shape}; the model takes {tuple(model.input_shape[1:])}"
        )
    predictor = Predictor(model)
    with unchanged(data):
        logits, validation_logits = (predictor(data.split(name).features) for name in ("test", "validation"))
    keys = class_keys(data.classes)
    shares = {
        name: np.array([trained.metrics.get(f"{name}/{keys[label]}", np.nan) for label in data.classes])
        for name in SHARES
    }

    folder = project_root() / "outputs" / "evaluation" / time.strftime(f"{trained.id[:8]}-%Y%m%d-%H%M%S")
    folder.mkdir(parents=True)
    kept = ("weighting", "loss", "function", "implementation", "model", "seed", "weights_sha256", "mlflow.runColor")
    tags = {key: trained.tags[key] for key in kept if key in trained.tags}
    tags |= {
        "kind": "evaluation",
        "evaluated_run": trained.id,
        "dataset": config.dataset.name,
        "decision": config.decision.name,
    }
    tags |= {"device": device, "data_sha256": data.data_sha256, "mlflow.source.name": "src/evaluate.py"}
    where = given_experiment() or store.client.get_experiment(trained.experiment_id).name
    with start_run(
        store,
        Description(where, f"{run_name(config)} · judged again", flat(config), tags),
        folder,
        adopt=outer_run(store),
    ) as log:
        record.log_inputs(config, log, data, weights)
        known = {name: values for name, values in shares.items() if not np.isnan(values).all()}
        evidence = evaluate_and_log(
            config, data, weights, Trained(logits, validation_logits, (), known, trained.tags["weights_sha256"]), log
        )
        draw_and_log(evidence, log)
    return Judged(log.id, log.experiment_id, trained.id, evidence, folder)


def _of_the_same_logit(config: Config, own: LoggedConfig, weights: ClassWeights) -> Config:
    """A single logit says yes to the class that it was trained on, whichever is rarer now."""
    if own.tree["dataset"]["labels"] != "binary":
        return config
    return config.model_copy(
        update={"dataset": config.dataset.model_copy(update={"labels": "binary", "positive": weights.classes[1]})}
    )


def inherit(logged: LoggedConfig, overrides: Sequence[str]) -> Config:
    """The config of a logged run with the overrides on top; a group that is typed is composed afresh, and whole."""
    with initialize_config_dir(str(config_folder()), version_base="1.3"), as_config_error():
        typed = parse(readable(overrides))
        for override in typed:
            _check(override)
        groups = {folder.name for folder in config_folder().iterdir() if folder.is_dir()} - {"experiment"}
        afresh = {override.key_or_group: str(override.value()) for override in typed if override.key_or_group in groups}
        own = {key: value for key, value in logged.tree.items() if key not in afresh}
        choices = {group: own[group]["name"] for group in groups & own.keys() if "name" in own[group]} | afresh
        composed = compose("config", [f"{group}={option}" for group, option in sorted(choices.items())])
    tree: Any = OmegaConf.to_container(composed, resolve=True)
    for key, value in own.items():
        if key not in CONTROL:
            kept = (
                {name: item for name, item in value.items() if f"{key}.{name}" not in CONTROL}
                if isinstance(value, dict)
                else value
            )
            tree[key] = {**tree[key], **kept} if isinstance(tree.get(key), dict) and isinstance(kept, dict) else kept
    found = (
        _found_again(tree["dataset"], logged.working_directory)
        if "dataset" in own and logged.working_directory is not None
        else {}
    )
    tree["dataset"] |= found
    for override in typed:
        key = override.key_or_group
        if key not in afresh:
            known = dotted_keys(tree)
            if key not in known:
                raise ConfigError(
                    f"{override.input_line}: there is no option {key}{suggestion(key, [name for name in known if name.startswith(OPEN)])}"
                )
            _put(tree, key, override.value())
    config = validate(tree)
    # Another file to judge on need not be one to learn from.
    before = (
        {key: logged.tree["dataset"].get(key) for key in PATHS if hasattr(config.dataset, key)}
        if "dataset" in own
        else {}
    )
    check_together(config.model_copy(update={"dataset": config.dataset.model_copy(update={**before, **found})}))
    return config


def _found_again(dataset: Mapping[str, Any], working_directory: Path) -> dict[str, str]:
    """The paths that were typed in another folder, as they are found from this one; one that is not there any more as it was typed."""
    if working_directory == Path.cwd():
        return {}
    typed = {key: Path(dataset[key]) for key in PATHS if isinstance(dataset.get(key), str)}
    return {key: str(working_directory / path) for key, path in typed.items() if (working_directory / path).exists()}


def _put(tree: Any, key: str, value: Any) -> None:
    *path, last = key.split(".")
    for part in path:
        tree = tree[part]
    tree[last] = value


def _check(override: Override) -> None:
    head = override.key_or_group.split(".")[0]
    if head not in OPEN:
        raise ConfigError(
            f"{override.input_line}: the model is trained already, and only {', '.join(OPEN)} can be changed; to train another: python src/train.py"
        )
    if override.is_sweep_override():
        raise ConfigError(
            f"{override.input_line}: one evaluation has one value; type them one after the other{or_one_value(str(override.input_line))}"
        )
    check_name(override)


def _data(trained: logged.Logged, was: Dataset, config: Config) -> Prepared:
    """The data to judge the model on, encoded as it learned them.

    Another file or folder is the test split, as a whole; nothing else of data that are encoded by their training rows may differ.
    """
    seen = prepare(was, cache_folder())
    if config.dataset == was and seen.data_sha256 == trained.tags["data_sha256"]:
        return seen
    if seen.data_sha256 != trained.tags["data_sha256"]:
        if _is_fitted(seen, config):
            raise ConfigError(
                f"the data that run {trained.id} was trained on have changed since, and with them how features are encoded: train again"
            )
        warn(
            f"the data that run {trained.id} was trained on have changed since, so its training samples may be among these"
        )
        return prepare(config.dataset, cache_folder())
    others = _others(was, config.dataset)
    if others:
        _check_labelled(trained.id, config.dataset, others[-1])
        data = with_test_file(seen, config.dataset, cache_folder(), others[-1])
    else:
        data = prepare(config.dataset, cache_folder())
        _check_encoding(config, seen, data)
    known = int(np.isin(row_digests(data.split("test")), row_digests(seen.split("train"))).sum())
    if known:
        whole = len(data.split("test").labels)
        warn(
            f"{known} of the {whole} test samples are among those that the model was trained on: what is found is better than it would be on new data"
        )
    return data


def _others(was: Dataset, now: Dataset) -> list[str]:
    """The options that name another file or folder of the same kind of data than the run's own."""
    if was.name != now.name or not DATASETS[now.name].divided:
        return []
    typed = {key: path for key in PATHS if (path := getattr(now, key, None)) is not None}
    before = {str(Path(path).resolve()) for key in PATHS if (path := getattr(was, key, None)) is not None}
    return [key for key, path in typed.items() if str(Path(path).expanduser().resolve()) not in before]


def _check_labelled(run: str, dataset: Dataset, option: str) -> None:
    """Rows without labels can be predicted, and not judged."""
    lack = DATASETS[dataset.name].lacks_labels(dataset, option)
    if lack is not None:
        raise ConfigError(
            f"{lack}: without labels there is nothing to judge; "
            f"to predict them, python src/register.py run={run} and then the command that it prints"
        )


def _is_fitted(data: Prepared, config: Config) -> bool:
    """Whether features depend on the training rows: columns are encoded and arrays scaled by them, images are not."""
    return DATASETS[config.dataset.name].divided and not isinstance(data.split("train").features, Images)


def _check_encoding(config: Config, seen: Prepared, data: Prepared) -> None:
    """Other training rows would mean other features than the model knows."""
    before, now = seen.split("train").features, data.split("train").features
    if _is_fitted(seen, config) and not (
        before.shape == now.shape and all((a == b).all() for a, b in zip(before, now, strict=True))
    ):
        raise ConfigError(
            "with these options the training rows are not those that the model was trained on, and so its features would be encoded otherwise; "
            "to judge the model on another file, give its path, dataset.path or dataset.test_path, and nothing else"
        )


def _weights(store: Store, run: str) -> ClassWeights:
    table = read_json(store, run, "weights.json")
    counts = np.array([row["count"] for row in table.values()], dtype=np.int64)
    return ClassWeights(tuple(table), counts, np.array([row["weight"] for row in table.values()]))
