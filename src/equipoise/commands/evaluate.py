"""Evaluate a logged model again, without training.

  python src/evaluate.py run=latest                                the newest run, on its own test split
  python src/evaluate.py run=RUN_ID decision=argmax                by another decision rule
  python src/evaluate.py run=RUN_ID evaluation.groups=[20,100]     with other groups of frequency
  python src/evaluate.py run=RUN_ID dataset.target_prior=training  for use where classes are as frequent as in training
  python src/evaluate.py run=RUN_ID dataset.target_prior=estimate unlabelled=new.csv
                                                                   for use where they are as in these rows, without
                                                                   labels; otherwise as in the test rows. How they are
                                                                   read: separator, encoding, decimal and array, as for
                                                                   predict.py; by default as the run's data are
  python src/evaluate.py run=RUN_ID dataset.test_path=new.csv      on another file as a whole
  python src/evaluate.py run=RUN_ID dataset.path=new_pictures      on another folder or array as a whole
  python src/evaluate.py run=RUN_ID dataset=NAME                   on the test split of other data with the same classes

  python src/evaluate.py run=RUN_ID tracking=server                a run of the server that MLFLOW_TRACKING_URI names

  python src/evaluate.py run=latest slices=[country,age_group]     recall by class in the slices of these columns of the
                                                                   file, features or not, and which differ by more
                                                                   than noise
  python src/evaluate.py run=latest gates=gates.yaml               exit code 1 if a line of the file does not hold, such
                                                                   as - recall/fraud >= 0.8, and 2 if one cannot be
                                                                   judged; with slices: recall/fraud/country=DE >= 0.7

  --quiet                                                          warnings, errors, gates and the headline alone

Only dataset, decision and evaluation can be typed; otherwise the run's own options hold. The result is a new run beside
the old one, tagged kind=evaluation and evaluated_run=RUN_ID; comparisons of a sweep omit it.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from equipoise.config.tree import divided
from equipoise.core import key_values
from equipoise.core.commands import command
from equipoise.core.errors import ConfigError, counted, suggestion
from equipoise.core.paths import project_root
from equipoise.core.typed import list_in, whole

if TYPE_CHECKING:
    from equipoise.metrics.gates import Checked
    from equipoise.runs.estimate_prior import Unlabelled
    from equipoise.runs.reevaluate import Judged
    from equipoise.tracking.store import Store


FORM = ("separator", "encoding", "decimal", "array")  # of the rows without labels
OPTIONS = ("run", "tracking", "slices", "gates", "unlabelled", *FORM)


def _evaluate(words: Sequence[str]) -> int:
    tree, words = divided(words)
    for word in words:
        _check_known(word)
    own = [word for word in words if word.partition("=")[0] in OPTIONS]
    options = key_values.read(own, OPTIONS)
    run, where = options.get("run"), key_values.store(options)
    if run is None:
        raise ConfigError("run is missing: run=latest, or run= and the id that a run prints at its end")

    from equipoise.tracking.store import existing_store

    store = existing_store(project_root(), where, f"train one: {command('train')}")

    from equipoise.core.terminal import aloud, console, warn
    from equipoise.reports.console import headline, print_evaluation, print_gates, print_slices
    from equipoise.reports.prior_table import print_prior
    from equipoise.runs.gating import read_gates
    from equipoise.runs.reevaluate import Asked, evaluate_again

    gates = read_gates(options["gates"]) if "gates" in options else ()
    asked = Asked(_names(options.get("slices", "")), gates, _unlabelled(options, where))
    judged = evaluate_again(store, run, [word for word in words if word not in own], tree, asked)
    evidence = judged.evidence
    for note in evidence.evaluation.notes:
        warn(note)
    under = " ".join(word for word in words if word not in own)
    again = f"judged again{f' under {under}' if under else ''}"
    console.print(f"\n{evidence.name}, run {judged.of}, {again}", soft_wrap=True, markup=False)
    if judged.prior is not None:
        print_prior(judged.prior)
    print_evaluation(evidence.evaluation, evidence.intervals, evidence.weights, evidence.data.head_to_tail)
    if evidence.slices is not None:
        print_slices(evidence.slices)
    with aloud():
        if judged.gates:
            print_gates(judged.gates)
    _say_where(judged, store, f"{evidence.name}: {headline(evidence.evaluation)}" if console.quiet else "")
    return _verdict(judged.gates)


def _unlabelled(options: Mapping[str, str], where: str) -> "Unlabelled | None":
    """Return the rows without labels that are typed, if any are.

    Raises
    ------
    ConfigError
        If there is no such file, or it is not said to be read in a way that there is.
    """
    form = {key: options[key] for key in FORM if key in options}
    if "unlabelled" not in options:
        if form:
            key, typed = next(iter(form.items()))
            raise ConfigError(
                f"{key}={typed} says how unlabelled=… is read, and there is none; of the run: dataset.{key}"
            )
        return None
    from equipoise.data.paths import existing_file, is_several
    from equipoise.data.remote import local
    from equipoise.runs.estimate_prior import Unlabelled
    from equipoise.serving.prior_of_rows import logits_of_file
    from equipoise.serving.request import read_source

    source = local(options["unlabelled"], "unlabelled")
    if not is_several(source):
        existing_file(source, "unlabelled")
    read_source({"input": source, **form})
    return Unlabelled(source, lambda run, config: logits_of_file(run, where, source, config.dataset, form), form)


def _say_where(judged: "Judged", store: "Store", line: str) -> None:
    from equipoise.core.terminal import say
    from equipoise.reports.run_page import REPORT

    if line:
        say(line)
    if (judged.folder / REPORT).exists():
        say(f"Report: {judged.folder / REPORT}")
    say(f"Logged as run {judged.run_id}. To open it in MLflow:")
    say(f"  {store.page(judged.experiment_id, judged.run_id)}")


def _check_known(word: str) -> None:
    """Refuse what is nearly an option that no config has, such as `slice=`."""
    key = word.partition("=")[0]
    near = "" if key in OPTIONS else suggestion(key, ("slices", "gates", "unlabelled"))
    if "did you mean" in near:
        raise ConfigError(f"{word}: there is no option {key}{near}")


def _names(typed: str) -> tuple[str, ...]:
    """Return the columns of `[country,age_group]`, each once; one column needs no brackets."""
    found = list_in(typed)
    return tuple(dict.fromkeys([typed] if found is None and typed else found or []))


def _verdict(gates: "Sequence[Checked]") -> int:
    """Tell of the gates that do not hold, and return the exit code."""
    from equipoise.core.terminal import errors

    failed = [gate for gate in gates if not gate.is_passed]
    if failed:
        lines = "".join(f"\n  {gate.told}" for gate in failed)
        errors.print(f"{len(failed)} of {counted(len(gates), 'gate', 'gates')} failed:{lines}", soft_wrap=True)
    return 1 if failed else 0


def main(words: Sequence[str]) -> int:
    """Do what was typed; return the exit code."""
    return key_values.answer(whole(words), __doc__, _evaluate, can_be_quiet=True)
