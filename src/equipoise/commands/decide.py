"""Decide which weighting, loss and decision rule to use: a race on validation rows, within a budget of minutes.

  python src/decide.py dataset=csv dataset.path=rows.csv dataset.target=label
  python src/decide.py dataset=digits_lt metric=balanced_accuracy minutes=5 hydra/launcher=joblib
  python src/decide.py dataset=digits_lt weighting=none,balanced,power loss=class_weight,focal

  metric=macro_f1   what decides: macro_f1, balanced_accuracy, mcc, accuracy or worst_class_recall
  minutes=10        for everything; the same command goes on where it stopped, with more minutes further
  --quiet           warnings, errors and the verdict alone

All other words are overrides as of train.py. Values that are typed as lists are the candidates; without a list they are
no weights, power, balanced, effective number, balanced softmax, focal, LDAM-DRW and class-balanced sampling. Each is
judged with argmax, with post-hoc logit adjustment and with a rule that is tuned for the metric.

The verdict departs from no weights and argmax only for what is shown to be better. It is judged by test rows that took
no part in the choice.
"""

from collections.abc import Sequence

from equipoise.commands import train
from equipoise.core import key_values
from equipoise.core.errors import ConfigError, complain, suggestion
from equipoise.core.typed import QUIET
from equipoise.sweeps.race_plan import METRICS

OWN = ("metric", "minutes")


def main(words: Sequence[str]) -> int:
    """Do what was typed; return the exit code."""
    if {"-h", "--help"} & set(words):
        return key_values.answer(words, __doc__, lambda _: 0)
    own = [word for word in words if word.partition("=")[0] in OWN]
    others = [word for word in words if word not in own]
    try:
        options = key_values.read(own, OWN)
        metric = options.get("metric", next(iter(METRICS))).removeprefix("val/")
        if metric.startswith("test/"):
            raise ConfigError(f"metric={metric}: test rows judge, and choose nothing; try metric={metric[5:]}")
        if metric not in METRICS:
            raise ConfigError(f"metric={metric}: no decision rule is judged by it{suggestion(metric, [*METRICS])}")
        key_values.number(options, "minutes")
        taken = ("--config-", "-cd", "-cn", QUIET)
        flags = [word for word in others if word.startswith("-") and not word.startswith(taken)]
        if flags:
            raise ConfigError(f"{flags[0]}: there is no such flag; `decide` takes overrides, metric= and minutes=")
        searches = [word for word in others if word.startswith(("hydra/sweeper", "hydra.sweeper"))]
        if searches:
            raise ConfigError(f"{searches[0]}: decide races, and takes no other way to choose its jobs")
    except ConfigError as error:
        return complain(error)
    if "metric" not in options and QUIET not in words:
        told = "; ".join(f"{name}: {what}" for name, what in METRICS.items())
        print(f"note: metric={metric} decides, since none is typed. {told}.")
    settings = {"metric": metric, "minutes": options.get("minutes", "10")}
    typed = [f"hydra.sweeper.{key}={value}" for key, value in settings.items()]
    return train.main(["-m", "hydra/sweeper=race", *typed, *others])
