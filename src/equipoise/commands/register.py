"""Register a model, ready to be used: raw rows in; class names, probabilities and notes out.

  python src/register.py                                     the best of the data set whose run ended last
  python src/register.py sweep=latest metric=val/macro_f1    the best of a sweep, by another metric
  python src/register.py sweep=latest decision=tuned         the best under another decision rule, with that rule
  python src/register.py run=latest                          the newest run
  python src/register.py run=RUN_ID decision=tuned decision.metric=macro_f1   this one, with another decision rule

  name=mnist_lt       of the registered model; the MLflow experiment's name if not typed
  alias=champion      by which the version can be asked for
  export=FOLDER       also write it there, with a model card, to be used without this project
  metric=…            of the validation split, val/balanced_accuracy if not typed: the test split is for judging, not
                      for choosing
  tracking=server     of a run of the server that MLFLOW_TRACKING_URI names

The best is a configuration, by its mean over seeds and splits; of its runs the median one is registered. Another
decision rule needs no training: the model is judged again, as evaluate.py does, and the rule is tuned on the validation
split. RUN_ID may be of a run that evaluate.py has logged.

Then: python src/predict.py model=NAME@champion input=rows.csv output=predictions.csv
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from equipoise.config.tree import Tree, divided
from equipoise.core import key_values
from equipoise.core.commands import command
from equipoise.core.errors import ConfigError
from equipoise.core.paths import project_root
from equipoise.core.typed import whole

if TYPE_CHECKING:
    from equipoise.serving.choose import Chosen
    from equipoise.tracking.history import Logged
    from equipoise.tracking.store import Store

OPTIONS = ("run", "sweep", "metric", "name", "alias", "export", "tracking")
RULE = "decision"


@dataclass(frozen=True)
class _Typed:
    """What was typed.

    Attributes
    ----------
    options : those of the command
    metric : of the validation split, without it
    rule : overrides of the decision rule, such as `decision=tuned`
    tree : the configs that these choose among
    """

    options: Mapping[str, str]
    metric: str
    rule: Sequence[str]
    tree: Tree

    @property
    def decision(self) -> str | None:
        """The name of the decision rule that runs are chosen by; None: each run's own."""
        named = [word.partition("=")[2] for word in self.rule if word.startswith(f"{RULE}=")]
        return named[-1] if named else None


def _register(words: Sequence[str]) -> None:
    typed = _read(words)
    options = typed.options
    where = key_values.store(options)
    folder = _folder(options)

    from equipoise.tracking.store import existing_store

    store = existing_store(project_root(), where, f"train one: {command('train')}")

    from equipoise.methods.models import estimator
    from equipoise.serving import register
    from equipoise.tracking import history
    from equipoise.training import runtime

    chosen = None if "run" in options else _choose(store, typed)
    found = history.judged_run(store, options["run"]) if chosen is None else chosen.run
    run = _decided(store, found, typed)
    name = options.get("name") or store.client.get_experiment(run.experiment_id).name
    # Of a run that was judged again TensorFlow is started; an estimator needs none.
    if run is found and estimator(run.params["model.name"]) is None:
        runtime.start("cpu", "auto", deterministic=True)
    made = register.register(store, run, name, options.get("alias", "champion"), _why(chosen, typed.metric))
    print(f"{made.name}, version {made.version}: run {run.id} is {made.uri}")
    if chosen is not None:
        print(f"Chosen: {chosen.said}")
    if folder is not None:
        _hand_over(store, made.name, made.version, folder)
    _print_use(store, made.rows, made.probabilities, made.uri)


def _folder(options: Mapping[str, str]) -> Path | None:
    """Return the folder to write the model to, if one is named."""
    if "export" not in options:
        return None

    from equipoise.serving.hand_over import checked_folder

    return checked_folder(options["export"])


def _hand_over(store: "Store", name: str, version: str, folder: Path) -> None:
    from equipoise.serving.hand_over import hand_over

    hand_over(store, name, version, folder)
    print(f"{folder}: the model with its card, README.md. To use it without this project:")
    print(f"  pip install -r {shlex.quote(f'{folder}/requirements.txt')}")
    print(f"  python {shlex.quote(f'{folder}/predict.py')} rows.csv predictions.csv")


def _read(words: Sequence[str]) -> _Typed:
    """Return what was typed, before anything is read from the store."""
    tree, words = divided(whole(words))
    rule = [word for word in words if word.startswith((f"{RULE}=", f"{RULE}."))]
    options = key_values.read([word for word in words if word not in rule], (*OPTIONS, RULE))
    if "run" in options and "sweep" in options:
        raise ConfigError("run and sweep contradict each other: choose one of them")

    from equipoise.serving.choose import read_metric

    return _Typed(options, read_metric(options.get("metric", "val/balanced_accuracy")), rule, tree)


def _choose(store: "Store", typed: _Typed) -> "Chosen":
    """Return the choice among a sweep's runs, or all runs of the latest run's experiment."""
    from equipoise.comparison import splits
    from equipoise.core.terminal import warn
    from equipoise.serving.choose import choose
    from equipoise.tracking import history

    wanted = [splits.BY_RULE, *(f"val/{name}" for name in splits.OF_EPOCHS)]
    if "sweep" in typed.options:
        sweep = typed.options["sweep"]
        runs = history.sweep_runs(store, history.latest_sweep(store) if sweep == "latest" else sweep, wanted)
    else:
        latest = history.latest_run(store)
        trained = history.filtered_runs(store, "tags.weights_sha256 LIKE '%'", wanted)
        runs = [run for run in trained if run.experiment_id == latest.experiment_id]
    chosen = choose(runs, typed.metric, typed.decision)
    notes = [*chosen.notes]
    if typed.decision and len(typed.rule) > 1:
        notes.append(
            f"configurations are compared under decision={typed.decision} as every run tries it; "
            f"what is registered has {' '.join(typed.rule)}"
        )
    for note in notes:
        warn(note)
    return chosen


def _decided(store: "Store", run: "Logged", typed: _Typed) -> "Logged":
    """Return the run, or what judges its model again by the decision rule that was typed."""
    if not typed.rule:
        return run
    if "evaluated_run" in run.tags:
        raise ConfigError(
            f"run={run.id} has judged a model by decision={run.params.get('decision.name')}: leave {RULE} out, "
            f"or name the run that trained it: run={run.tags['evaluated_run']}"
        )

    from equipoise.runs.inherit import inherit
    from equipoise.runs.reevaluate import evaluate_again
    from equipoise.tracking import history

    logged = history.config_of(store, run)
    if inherit(logged, typed.rule, typed.tree).decision == inherit(logged, (), typed.tree).decision:
        return run
    judged = evaluate_again(store, run.id, typed.rule, typed.tree)
    print(f"{' '.join(typed.rule)}: run {run.id} is judged again, without training, as run {judged.run_id}")
    return history.judged_run(store, judged.run_id)


def _why(chosen: "Chosen | None", metric: str) -> dict[str, str]:
    """Return tags of the version that tell why it is this run."""
    if chosen is None:
        return {}
    return {
        "metric": f"val/{metric}",
        "value": str(chosen.value),
        "mean": str(chosen.mean),
        "configuration": chosen.configuration,
    }


def _print_use(store: "Store", rows: str, probabilities: str, uri: str) -> None:
    print(f"Rows: {rows}")
    print(f"Probabilities: {probabilities}")
    print("To use it:")
    where = "" if store.is_local else " tracking=server"
    model = shlex.quote(uri.removeprefix("models:/"))
    print(f"  {command('predict')} model={model}{where} input=rows.csv output=predictions.csv")
    mlflow = f"  MLFLOW_TRACKING_URI={shlex.quote(store.uri)} mlflow models"
    print(f"{mlflow} predict -m {shlex.quote(uri)} -i rows.csv -t csv --env-manager local")
    print(f"{mlflow} serve -m {shlex.quote(uri)} --port 5001 --env-manager local")
    print("  curl http://127.0.0.1:5001/invocations -H 'Content-Type: text/csv' --data-binary @rows.csv")


def main(words: Sequence[str]) -> int:
    """Do what was typed; return the exit code."""
    return key_values.answer(words, __doc__, _register)
