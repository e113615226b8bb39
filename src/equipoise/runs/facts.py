"""Where a run comes from, as the header of its page tells it: data, configuration, command, commit, versions, date."""

import contextlib
import platform
import shlex
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from equipoise.config.model import Config
from equipoise.core.commands import command
from equipoise.data.prepared import Prepared
from equipoise.data.resampling import told
from equipoise.data.types import title_of
from equipoise.methods.models import packages_of
from equipoise.reports.page import Fact, Link
from equipoise.tracking.run import Run

OVERRIDES = ".hydra/overrides.yaml"  # in the folder of a run that a command has started: the words that were typed
OPTIONS = ("weighting", "loss", "model", "decision")
COMMIT = 12  # characters


def facts(config: Config, data: Prepared, log: Run, typed: str = "") -> tuple[Fact, ...]:
    """Return what is known, each with its name.

    Parameters
    ----------
    typed : the command; empty: what the run's folder says of it, if anything
    """
    given = typed or _typed(log.folder)
    commit, page = log.tags.get("mlflow.source.git.commit", ""), log.store.page(log.experiment_id, log.id)
    found: dict[str, str | Sequence[str | Link]] = {
        "Data set": _of_data(config, data),
        "Configuration": [*(f"{group} {getattr(config, group).name}" for group in OPTIONS), f"seed {config.seed}"],
        "Command": given,
        "Commit": commit[:COMMIT] + (", with changes" if log.tags.get("git_dirty") == "true" else ""),
        "Versions": _versions(config, log),
        "Date": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %z"),
        "Run": [log.id, page if log.store.is_local else Link("in MLflow", page)],
    }
    return tuple((name, value) for name, value in found.items() if value)


def _of_data(config: Config, data: Prepared) -> list[str]:
    what = "labels" if data.several_labels else "classes"
    sizes = ", ".join(f"{len(data.split(name).labels):,} {name}" for name in ("train", "validation", "test"))
    return [
        title_of(config.dataset),
        f"{sizes} samples",
        f"{len(data.classes):,} {what}, {data.counts.max():,} to {data.counts.min():,} training samples each",
        *filter(None, [told(config.dataset, data)]),
    ]


def _typed(folder: Path) -> str:
    """Return the command of a run, from the words that Hydra has kept; empty if a script has started it."""
    import yaml

    file = folder / OVERRIDES
    if not file.is_file():
        return ""
    # Not by OmegaConf, which would look for what `dataset.split_seed='${seed}'` names in the list of words.
    words = [str(word) for word in yaml.safe_load(file.read_text(encoding="utf-8"))]
    return f"{command('train')} {shlex.join(word for word in words if not word.startswith('sweep='))}"


def _versions(config: Config, log: Run) -> list[str]:
    found = [f"{package} {log.tags[package]}" for package in packages_of(config.model.name) if package in log.tags]
    with contextlib.suppress(PackageNotFoundError):  # of a checkout the commit says more
        found.append(f"equipoise {version('equipoise')}")
    return [*found, f"Python {platform.python_version()}"]
