"""The config of a logged run, with what is typed on top: what a trained model is judged under."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from equipoise.config.checks import check_together
from equipoise.config.model import CONTROL, Config, validate
from equipoise.config.overrides import as_config_error, check_name, or_one_value, parse, readable
from equipoise.config.tree import SHIPPED, Tree
from equipoise.core import plugins
from equipoise.core.commands import command
from equipoise.core.errors import ConfigError, suggestion
from equipoise.core.typed import dotted_keys
from equipoise.data.arrays.npz_files import NPY
from equipoise.data.catalogue import DATASETS
from equipoise.data.paths import is_there
from equipoise.data.types import ESTIMATE, PATHS
from equipoise.tracking.history import LoggedConfig

FORM = ("separator", "encoding", "decimal")  # of the files, which others may have otherwise
OPEN = (
    "dataset",
    "calibration",
    "decision",
    "evaluation",
)  # parts of the config that a trained model can be judged under
# Keys of the dataset that say what the model has learned from, whatever it is judged on.
OF_TRAINING = ("sampling", "sampling_options", "mix", "mix_alpha", "augment")


def inherit(logged: LoggedConfig, overrides: Sequence[str], tree: Tree = SHIPPED) -> Config:
    """Return the config of a logged run with the overrides on top; a typed group is composed afresh, and whole.

    How rows were drawn, resampled and mixed stays the run's own: the model's prior comes of it.
    """
    with tree.opened(), as_config_error():
        typed = parse(readable(overrides))
        for override in typed:
            _check(override, tree)
        groups = tree.options().keys() - {"experiment"}
        afresh = {override.key_or_group: str(override.value()) for override in typed if override.key_or_group in groups}
        own = {key: value for key, value in logged.tree.items() if key not in afresh}
        choices = {group: own[group]["name"] for group in groups & own.keys() if "name" in own[group]} | afresh
        for group in choices.keys() - afresh.keys():
            _check_there(group, choices[group], logged, tree)
        composed = compose("config", [f"{group}={option}" for group, option in sorted(choices.items())])
    laid = _laid_over(OmegaConf.to_container(composed, resolve=True), own)
    found = {}
    if "dataset" in own and logged.working_directory is not None:
        found = _found_again(laid["dataset"], logged.working_directory)
    laid["dataset"] |= found
    fresh = {key: laid["dataset"][key] for key in OF_TRAINING}
    of_training = {key: logged.tree.get("dataset", {}).get(key, fresh[key]) for key in OF_TRAINING}
    laid["dataset"] |= of_training
    for override in typed:
        if override.key_or_group not in afresh:
            _put(laid, override)
    config = validate(laid)
    _check_trained_so(config, validate({**laid, "dataset": {**laid["dataset"], **of_training}}))
    _check_estimate(config)
    before = _to_learn_from(config, own, logged.tree.get("dataset", {}), fresh)
    check_together(config.model_copy(update={"dataset": config.dataset.model_copy(update={**before, **found})}))
    return config


def _to_learn_from(
    config: Config, own: Mapping[str, Any], held: Mapping[str, Any], fresh: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the keys that the dataset is checked with: another file to judge on need not be one to learn from.

    Parameters
    ----------
    own : the parts of the run's config that were not typed as groups
    held : the dataset of the run
    fresh : how the dataset that is named now says to train
    """
    before = {}
    if "dataset" in own:
        before = {key: held.get(key) for key in PATHS if hasattr(config.dataset, key)}
        keys = (*FORM, "target") if str(held.get("path")).lower().endswith(NPY) else FORM  # each target is a file there
        before |= {key: held[key] for key in keys if key in held and hasattr(config.dataset, key)}
    else:  # of what was done to the training rows a rule must know how they were mixed, which leaves no known prior
        before = {key: fresh[key] for key in ("sampling", "sampling_options")} | {"augment": tuple(fresh["augment"])}
    if config.dataset.target_prior == ESTIMATE:  # numbers take its place once the model has answered
        before["target_prior"] = "training"
    return before


def _check_trained_so(config: Config, own: Config) -> None:
    """Refuse options that say of the training what it was not."""
    for key in OF_TRAINING:
        typed, was = getattr(config.dataset, key), getattr(own.dataset, key)
        if typed != was:
            raise ConfigError(
                f"dataset.{key} describes the training, in which it was {_as_typed(was)}: leave it out; "
                f"to train another: {command('train')}"
            )


def _as_typed(value: Any) -> str:
    """Return the value as the command line takes it."""
    if isinstance(value, tuple):
        return f"[{','.join(value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_as_typed(each)}" for key, each in value.items()) + "}"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _check_estimate(config: Config) -> None:
    """Refuse class frequencies that are to be estimated of what has no classes, or counts rows by their weights."""
    if config.dataset.target_prior != ESTIMATE:
        return
    if DATASETS[config.dataset.name].several_labels:
        raise ConfigError(
            "dataset.target_prior=estimate is for one class a sample: of several labels each has a frequency of its "
            "own, to which no probability is moved; tune thresholds on labelled rows from there: decision=tuned"
        )
    if config.evaluation.weighted:
        raise ConfigError(
            "dataset.target_prior=estimate counts every row alike, and evaluation.weighted=true does not: "
            "leave one of the two out"
        )


def _check_there(group: str, option: str, logged: LoggedConfig, tree: Tree) -> None:
    """Make sure that an option which the run was computed under still is one."""
    if option in tree.options()[group]:
        return
    file = logged.own_files.get(f"{group}={option}")
    said = f"its file {file} is not here" if file else f"there is no such {group}"
    raise ConfigError(
        f"{group}={option}, which the run was computed under: {said}; put it into {plugins.FOLDER}/, "
        f"or name its folder in {plugins.VARIABLE}"
    )


def _laid_over(tree: Any, own: Mapping[str, Any]) -> Any:
    """Return the tree with the run's own values, but for what changes nothing that comes out of a run."""
    for key, value in own.items():
        if key in CONTROL:
            continue
        if isinstance(value, dict) and isinstance(tree.get(key), dict):
            kept = {name: item for name, item in value.items() if f"{key}.{name}" not in CONTROL}
            tree[key] = {**tree[key], **kept}
        else:
            tree[key] = value
    return tree


def _found_again(dataset: Mapping[str, Any], working_directory: Path) -> dict[str, str]:
    """Return paths that were typed in another folder as they are found from this one, if they are still there."""
    if working_directory == Path.cwd():
        return {}
    typed = {key: Path(dataset[key]) for key in PATHS if isinstance(dataset.get(key), str)}
    return {key: str(working_directory / path) for key, path in typed.items() if is_there(working_directory / path)}


def _put(tree: Any, override: Override) -> None:
    """Put a typed value into the tree. OmegaConf would resolve the `${` of a logged value once more."""
    key, known = override.key_or_group, dotted_keys(tree)
    if key not in known:
        near = suggestion(key, [name for name in known if name.startswith(OPEN)])
        raise ConfigError(f"{override.input_line}: there is no option {key}{near}")
    *path, last = key.split(".")
    for part in path:
        tree = tree[part]
    tree[last] = override.value()


def _check(override: Override, tree: Tree) -> None:
    head = override.key_or_group.split(".")[0]
    if head not in OPEN:
        raise ConfigError(
            f"{override.input_line}: the model is trained already, and only {', '.join(OPEN)} can be changed; "
            f"to train another: {command('train')}"
        )
    if override.is_sweep_override():
        raise ConfigError(
            f"{override.input_line}: one evaluation has one value; "
            f"type them one after the other{or_one_value(str(override.input_line))}"
        )
    check_name(override, tree)
