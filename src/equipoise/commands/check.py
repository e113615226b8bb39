"""Try options without training, in seconds: `python src/check.py loss=hinge`.

Takes the overrides of train.py, and makes no run. What is not typed is quick: digits, a linear model. Each option is
tried on one batch, as before every run, and a decision rule on made-up logits. Without words it tries every option of
your own, of the files in plugins/, one after the other.
"""

from collections.abc import Iterator, Sequence

from equipoise.core import key_values, plugins
from equipoise.core.commands import command
from equipoise.core.errors import ConfigError, complain
from equipoise.core.schema import NONE

DIGITS, VECTORS, SERIES = ["dataset=digits_lt"], ["dataset=synthetic"], ["dataset=synthetic", "dataset.form=series"]
TWO = ["dataset=synthetic", "dataset.class_counts=[80,40]", "dataset.labels=binary"]  # of a single logit
QUICK = {None: DIGITS, 1: VECTORS, 2: SERIES, 3: DIGITS}  # by the dimensions of the samples that a model needs
COSTS = "cost={0: {1: 5}}"  # of the classes of these


def check(words: Sequence[str]) -> int:
    """Try what was typed, or all of the user's own; return the exit code."""
    if words:
        _try(words)
        return 0
    found = list(plugins.every())
    if not found:
        raise ConfigError(
            f"there is no option of your own: put a Python file into {plugins.FOLDER}/, or type options, "
            f"as in {command('check')} loss=focal"
        )
    failed = 0
    for own in found:
        print(own)
        try:
            _try([f"dataset.sampling={own.name}" if own.kind == "sampling" else f"{own.kind}={own.name}"])
        except ConfigError as error:
            failed = complain(error)
    return failed


def _try(words: Sequence[str]) -> None:
    """Try the options on the first quick dataset that a model of the user's own can be built for."""
    told: list[ConfigError] = []
    for more in _more(words):
        try:
            for line in _lines([*words, *more]):
                print(line)
        except ConfigError as error:
            told.append(error)
            if not str(error).startswith("model="):
                break
        else:
            return
    raise told[0] if str(told[-1]).startswith("model=") else told[-1]


def _lines(words: Sequence[str]) -> Iterator[str]:
    from equipoise.core.paths import cache_folder
    from equipoise.data.prepare import prepare
    from equipoise.runs.rehearse import rehearse
    from equipoise.sweeps import planning

    plan = planning.plan(words)
    planning.prepare_all(plan)
    for job in plan.jobs:
        yield from rehearse(job, prepare(job.dataset, cache_folder()))


def _more(words: Sequence[str]) -> list[list[str]]:
    """Return what goes with the typed words where something was not typed; several ways if none can be known to fit."""
    from equipoise.data.catalogue import DATASETS
    from equipoise.data.sampling import resampler
    from equipoise.methods.losses import LOSSES, of_labels
    from equipoise.methods.models import MODELS, of_texts, of_words

    typed = dict(word.split("=", 1) for word in words if "=" in word)
    if "experiment" in typed:
        return [[]]
    more = []
    kind = DATASETS.shipped.get(typed.get("dataset", ""))
    own_data, takes_texts = plugins.options("dataset"), typed.get("model") in of_texts()
    if "model" not in typed:
        more.append(f"model={next(name for name, model in MODELS.shipped.items() if model.dimensions is None)}")
    if "loss" not in typed and kind is not None and kind.several_labels:
        more.append(f"loss={next(name for name, loss in LOSSES.shipped.items() if loss.yes_or_no)}")
    if "dataset" in typed:
        of_file = of_words() if kind is not None and kind.texts else []
        others = [*of_file, *of_texts()] if of_file or typed["dataset"] in own_data else []
        others = others if "model" not in typed else []
        return [more, *([f"model={name}", *more[1:]] for name in others)]
    loss = typed.get("loss", "")
    shipped = LOSSES.shipped.get(loss)
    needs_costs = "costs" in _handed("loss", loss) or (shipped is not None and shipped.needs_costs)
    if "cost" not in typed and (needs_costs or typed.get("decision") == "cost"):
        more.append(COSTS)
    model = typed.get("model", "")
    if loss in of_labels() and not takes_texts:
        return [[*TWO, *more]]
    if takes_texts and own_data:
        return [[f"dataset={name}", *more] for name in own_data]
    if model in plugins.options("model"):
        return [[*dataset, *more] for dataset in (DIGITS, VECTORS, SERIES)]
    needed = MODELS.shipped[model].dimensions if model in MODELS.shipped else None
    if needed is None and resampler(typed.get("dataset.sampling", NONE)) is not None:
        needed = 1  # rows of features are what is resampled
    return [[*QUICK[needed], *more]]


def _handed(kind: str, name: str) -> tuple[str, ...]:
    """Return what one of the user's own functions is handed; nothing if there is no such function."""
    own = plugins.options(kind).get(name)
    return own.handed if own else ()


def main(words: Sequence[str]) -> int:
    """Do what was typed; return the exit code."""
    return key_values.answer(words, __doc__, check)
