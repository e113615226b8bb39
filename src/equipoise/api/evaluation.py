"""The evaluation of a model's predictions: its tables, its page, and what it leaves in MLflow."""

import tempfile
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from equipoise.api.shown import Shown
from equipoise.reports.evidence import CHOOSING, JUDGING, Evidence
from equipoise.runs.evaluate import Evaluated

if TYPE_CHECKING:
    import pandas as pd


class Judged(Shown):
    """What is known of a model's predictions on test samples, as tables and as a page."""

    @property
    @abstractmethod
    def evidence(self) -> Evidence:
        """All that is known."""

    @property
    def metrics(self) -> dict[str, float]:
        """Every metric that is defined, by its name; MLflow has it as `test/<name>`."""
        return dict(self.evidence.evaluation.summary)

    @property
    def per_class(self) -> "pd.DataFrame":
        """The metrics of each class; NaN where one is not defined."""
        import pandas as pd

        evidence, labels = self.evidence, self.evidence.labels
        classes = evidence.data.classes
        support = np.bincount(labels, minlength=len(classes)) if labels.ndim == 1 else labels.sum(axis=0)
        counts = {"n": evidence.data.counts, "weight": evidence.weights.weights} if evidence.is_training_known else {}
        columns = {**counts, "n_test": support, **evidence.evaluation.per_class}
        return pd.DataFrame(columns, index=pd.Index(classes, name="class"))

    @property
    def intervals(self) -> "pd.DataFrame":
        """The ends of the 95 % interval of each metric that has one, and whether it is rough or wide."""
        import pandas as pd

        found = self.evidence.intervals
        rows = [[interval.low, interval.high, interval.rough, interval.wide] for interval in found.values()]
        return pd.DataFrame(rows, columns=["low", "high", "rough", "wide"], index=pd.Index(found, name="metric"))

    @property
    def rules(self) -> "pd.DataFrame":
        """The metrics of each decision rule on the same logits."""
        import pandas as pd

        return pd.DataFrame(self.evidence.rules).T.rename_axis("rule")

    @property
    def validation_rules(self) -> "pd.DataFrame":
        """The same on the validation samples: what to choose a rule by. A tuned one is judged by cross-fitting."""
        import pandas as pd

        return pd.DataFrame(self.evidence.validation_rules).T.rename_axis("rule")

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know, a sentence each."""
        return (*self.evidence.warnings, *self.evidence.evaluation.notes)

    @property
    def table(self) -> "pd.DataFrame":
        """Every metric, with the ends of its 95 % interval."""
        import pandas as pd

        values = pd.DataFrame({"value": self.metrics}).rename_axis("metric")
        return values.join(self.intervals[["low", "high"]])

    def more(self) -> dict[str, "pd.DataFrame"]:
        """Return the other tables by their titles."""
        of_rules = {f"By decision rule, of the same logits: {JUDGING}": self.rules}
        if self.evidence.validation_rules:
            of_rules = {f"Validation by decision rule: {CHOOSING}": self.validation_rules, **of_rules}
        return {"By class": self.per_class, **of_rules}

    def save(self, path: str | Path) -> Path:
        """Write the page of a run's report, one HTML file that needs nothing else; return its path."""
        from equipoise.reports import run_page

        file = Path(path)
        file.write_text(run_page.as_html(self.evidence), encoding="utf-8")
        return file


@dataclass(frozen=True, repr=False, eq=False)
class Evaluation(Judged):
    """What `evaluate` found: all that `Judged` has, and more."""

    found: Evaluated

    @property
    def evidence(self) -> Evidence:
        """All that is known."""
        return self.found.evidence

    @property
    def title(self) -> str:
        """One line on the whole."""
        evidence = self.evidence
        what = "classes" if evidence.labels.ndim == 1 else "labels"
        return f"{evidence.name}: {len(evidence.labels):,} test samples of {len(evidence.data.classes)} {what}"

    @property
    def frame(self) -> "pd.DataFrame":
        """One row a test sample: its class, the predicted one, and probabilities."""
        import pandas as pd

        return pd.DataFrame(self.found.verdict.predictions)

    def log(self) -> None:
        """Log metrics, tables, pictures and the page into the MLflow run that is open, under the keys of a run.

        Raises
        ------
        ConfigError
            If no run is open, or the store does not take all of it.
        """
        from equipoise.api.mlflow_run import open_run
        from equipoise.runs.log_evaluation import draw_and_log, log_evaluation

        with tempfile.TemporaryDirectory() as folder, open_run(Path(folder)) as run:
            log_evaluation(run, self.found)
            draw_and_log(self.evidence, run)
