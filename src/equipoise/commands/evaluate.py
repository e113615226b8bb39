"""Evaluate a logged model again, without training.

  python src/evaluate.py run=latest                                the newest run, on its own test split
  python src/evaluate.py run=RUN_ID decision=argmax                by another decision rule
  python src/evaluate.py run=RUN_ID evaluation.groups=[20,100]     with other groups of frequency
  python src/evaluate.py run=RUN_ID dataset.target_prior=training  for use where classes are as frequent as in training
  python src/evaluate.py run=RUN_ID dataset.test_path=new.csv      on another file as a whole
  python src/evaluate.py run=RUN_ID dataset.path=new_pictures      on another folder or array as a whole
  python src/evaluate.py run=RUN_ID dataset=NAME                   on the test split of other data with the same classes

  python src/evaluate.py run=RUN_ID tracking=server                a run of the server that MLFLOW_TRACKING_URI names

Only dataset, decision and evaluation can be typed; otherwise the run's own options hold. The result is a new run beside
the old one, tagged kind=evaluation and evaluated_run=RUN_ID; comparisons of a sweep omit it.
"""

from collections.abc import Sequence

from equipoise.config.overrides import whole
from equipoise.config.tree import divided
from equipoise.core import key_values
from equipoise.core.commands import command
from equipoise.core.paths import project_root
from equipoise.core.schema import ConfigError


def _evaluate(words: Sequence[str]) -> None:
    tree, words = divided(whole(words))
    own = [word for word in words if word.startswith(("run=", "tracking="))]
    options = key_values.read(own, ["run", "tracking"])
    run, where = options.get("run"), key_values.store(options)
    if run is None:
        raise ConfigError("run is missing: run=latest, or run= and the id that a run prints at its end")

    from equipoise.tracking.store import existing_store

    store = existing_store(project_root(), where, f"train one: {command('train')}")

    from equipoise.core.terminal import console, warn
    from equipoise.reports.console import print_evaluation
    from equipoise.reports.run_page import REPORT
    from equipoise.runs.reevaluate import evaluate_again

    judged = evaluate_again(store, run, [word for word in words if word not in own], tree)
    evidence = judged.evidence
    for note in evidence.evaluation.notes:
        warn(note)
    console.print(f"\n{evidence.name}, run {judged.of}, judged again", soft_wrap=True)
    print_evaluation(evidence.evaluation, evidence.intervals, evidence.weights, evidence.data.head_to_tail)
    if (judged.folder / REPORT).exists():
        console.print(f"Report: {judged.folder / REPORT}", soft_wrap=True)
    console.print(f"Logged as run {judged.run_id}. To open it in MLflow:", soft_wrap=True)
    console.print(f"  {store.page(judged.experiment_id, judged.run_id)}", soft_wrap=True)


def main(words: Sequence[str]) -> int:
    """Do what was typed; return the exit code."""
    return key_values.answer(words, __doc__, _evaluate)
