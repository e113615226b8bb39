"""Stage evaluate: judge the trained model on the test split, in the MLflow run of its training."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from equipoise.config import identity
from equipoise.config.model import JUDGING, Config, below, config_sha256, flat
from equipoise.config.naming import experiment_of, run_name
from equipoise.core.paths import cache_folder, project_root
from equipoise.core.terminal import warn
from equipoise.data.prepare import prepare
from equipoise.data.prepared import Prepared
from equipoise.data.resampling import resampled
from equipoise.reports.console import print_evaluation, print_rules
from equipoise.reports.evidence import Evidence
from equipoise.runs.again import Again, to_repeat_on
from equipoise.runs.dvc import TRAIN_STAGE, checked_config, dvc_tags, run_folder
from equipoise.runs.dvc_page import write_page
from equipoise.runs.evaluate import evaluate
from equipoise.runs.log import config_tags, log_config, log_input_metrics, log_inputs
from equipoise.runs.log_evaluation import PREDICTIONS, draw_and_log, log_evaluation, log_rule
from equipoise.runs.note import log_note
from equipoise.runs.stage import ARTIFACTS, PARAMS, run_stage
from equipoise.runs.weigh import weigh
from equipoise.tracking import history
from equipoise.tracking.run import Description, start_run
from equipoise.tracking.store import Store, open_store
from equipoise.training.trained import Trained, load

# Few, so that `dvc exp show` has room for them: choose by the first, judge by the others.
HEADLINES = {"val": ("macro_f1",), "test": ("macro_f1", "balanced_accuracy", "mcc")}


def step(config: Config) -> None:
    data = resampled(config.dataset, prepare(config.dataset, cache_folder()), config.seed)
    trained, digests = load(ARTIFACTS)
    evidence, folder = _judge(config, data, trained, digests)
    _write(evidence, config.decision.name, pd.read_parquet(folder / PREDICTIONS))
    for note in (*data.notes, *evidence.evaluation.notes):
        warn(note)
    print_evaluation(evidence.evaluation, evidence.intervals, evidence.weights, data.head_to_tail)
    print_rules(evidence.validation_rules, evidence.rules, config.decision.name)
    if evidence.model:
        print(evidence.model)


def _judge(config: Config, data: Prepared, trained: Trained, digests: dict[str, str]) -> tuple[Evidence, Path]:
    """Evaluate and log; return the evidence, and the folder that holds the logged files."""
    store = open_store(project_root(), config.tracking.name)
    found = _training_run(store, digests)
    params, weights = flat(config), weigh(config, data)
    # A run's params cannot be changed, and it may have been judged under other options before.
    judging = {key: str(value) for key, value in params.items() if below(key, JUDGING)}
    tags = {
        "decision": config.decision.name,
        "config_sha256": config_sha256(config),
        **identity.tags(config),
        history.JUDGED_UNDER: json.dumps(judging),
    }
    if found is None:
        warn(
            "the model was trained in another store: it is judged in a new run, which has its metrics "
            "but not the model itself"
        )
        tags |= {
            **config_tags(config, data),
            **dvc_tags(config),
            **digests,
            "mlflow.source.name": "pipelines/evaluate.py",
        }
        folder, adopt = run_folder(), None
    else:
        folder, adopt, params = Path(found.tags["folder"]), found.id, {}
        folder.mkdir(parents=True, exist_ok=True)
    description = Description(experiment_of(config.dataset), run_name(config), params, tags)
    with start_run(store, description, folder, adopt=adopt) as log:
        log.log_file(PARAMS, "config")
        log_config(config, log)
        if found is None:
            log_inputs(config, log, data, weights)
            for epoch, metrics in enumerate(trained.history):
                log.log_metrics(metrics, step=epoch)
        judged = evaluate(config, data, weights, trained)
        evidence = judged.evidence
        log_evaluation(log, judged)
        log_input_metrics(config, log, data, weights)
        log_note(log, evidence)
        every = to_repeat_on(config, cache_folder())
        if every is not None:
            again = Again.of(config, trained, every)
            evidence = replace(evidence, model=log_rule(again, log, trained, data))
        draw_and_log(evidence, log)
    return evidence, folder


def _training_run(store: Store, digests: Mapping[str, str]) -> history.Logged | None:
    """Return the run of the stage `train` with these digests; None if it was logged to another store.

    A file with the run's id could not be trusted: files come back from DVC's cache long after they were made. Of
    several trainings with the same result, the one of the same DVC experiment counts, or else the newest.
    """
    experiment = os.environ.get("DVC_EXP_NAME")
    found = [run for run in store.runs(**digests) if run.data.tags.get("mlflow.source.name") == TRAIN_STAGE]
    if not found:
        return None
    return history.as_logged(
        max(found, key=lambda run: (run.data.tags.get("dvc_exp") == experiment, run.info.start_time)), ()
    )


def _write(evidence: Evidence, rule: str, predictions: pd.DataFrame) -> None:
    """Write the numbers that DVC compares, the tables that it draws, and the page that it draws them on."""
    found, classes = evidence.evaluation, evidence.data.classes
    every = {"test": found.summary, "decision": evidence.rules, "val": {"decision": evidence.validation_rules}}
    (ARTIFACTS / "evaluation.json").write_text(json.dumps(every, indent=1, sort_keys=True) + "\n")
    validation = evidence.validation_rules.get(rule, {})
    few = {
        "val": {name: validation[name] for name in HEADLINES["val"] if name in validation},
        "test": {name: found.summary[name] for name in HEADLINES["test"] if name in found.summary},
    }
    (ARTIFACTS / "metrics.json").write_text(json.dumps(few, indent=1) + "\n")
    write_page()
    per_class = pd.DataFrame(
        {"class": classes, **{name: found.per_class[name] for name in ("recall", "precision", "f1")}}
    )
    per_class.iloc[evidence.data.head_to_tail].to_csv(ARTIFACTS / "per_class.csv", index=False)
    pairs = (
        [("label", "predicted")]
        if "label" in predictions
        else [(f"label({name})", f"predicted({name})") for name in classes]
    )
    told = [predictions[list(pair)].set_axis(["actual", "predicted"], axis=1) for pair in pairs]
    pd.concat(told).to_csv(ARTIFACTS / "predictions.csv", index=False)


if __name__ == "__main__":
    sys.exit(run_stage(checked_config, step))
