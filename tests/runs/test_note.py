"""The headline of a run."""

import numpy as np

import equipoise as eq
from equipoise.runs.note import headline


def test_the_coverage_of_sets_is_of_rows_or_of_labels() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(2, size=(100, 2))
    logits = generator.normal(size=(100, 2)) + labels
    several = eq.evaluate(labels, logits, ["a", "b"], validation=(labels, logits), decision="conformal", resamples=0)
    share = several.evidence.evaluation.summary["set_coverage"]
    assert f"{share:.1%} of labels are in their sets" in headline(several.evidence)
    one, of_one = labels[:, 0], np.column_stack([-logits[:, 0], logits[:, 0]])
    found = eq.evaluate(one, of_one, ["a", "b"], validation=(one, of_one), decision="conformal", resamples=0)
    assert "% of sets hold the class" in headline(found.evidence)
