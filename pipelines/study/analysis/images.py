"""Images, whose test is balanced: each set by itself, on the balanced test and on the natural one, told apart.

They are two families, too few for an interval over families.
"""

from marked import table

from analysis.hypotheses import FREE, setting_name
from analysis.pooled import PRIMARY, measure
from analysis.table import PRIMARY as EPOCHS
from analysis.table import Cell, Study

SIDES = {"none": ("none", "argmax"), "weights": ("balanced", "argmax"), "free": ("none", FREE)}
SETTINGS = ("centre", "linear", "large", "cnn")


def written(study: Study) -> str:
    """Return the table of image sets; empty without their runs."""
    lines = []
    for name, facts in study.datasets.items():
        if facts.kind != "image":
            continue
        for setting in SETTINGS:
            for side, (method, rule) in SIDES.items():
                runs = study.runs[name].get(Cell(method, rule, EPOCHS, setting))
                if runs is None:
                    continue
                pooled = runs.test.sum(axis=1)
                values = [measure(PRIMARY, pooled)]
                for metric in ("macro_f1", "mcc"):
                    values += [measure(metric, pooled), measure(metric, pooled, facts.counts)]
                lines.append([name, setting_name(setting), side, *(f"{value.mean():.3f}" for value in values)])
    heading = [
        "set",
        "network",
        f"{EPOCHS} epochs",
        "balanced accuracy",
        "macro F1, balanced test",
        "macro F1, natural",
    ]
    return table([*heading, "MCC, balanced test", "MCC, natural"], lines) if lines else ""
