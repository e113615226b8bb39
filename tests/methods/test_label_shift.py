"""Class frequencies of rows without labels: EM against its steps by hand and a general optimiser, BBSE by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

from equipoise.core.errors import ConfigError
from equipoise.methods.label_shift import Source, _p, bbse, estimate, most_likely, profile_end, ratios

CENTRES = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
LEARNED = np.array([0.7, 0.2, 0.1])
NAMES = ("a", "b", "c")


def rows(prior: Any, count: int, seed: int, *, moved: float = 0.0) -> tuple[Any, Any]:
    """Labels, and logits of the true posterior under LEARNED, twice too sure and tilted: no calibration but a fit."""
    generator = np.random.default_rng(seed)
    labels = generator.choice(3, size=count, p=prior)
    features = CENTRES[labels] + generator.normal(size=(count, 2)) + moved
    logits = features @ CENTRES.T - (CENTRES**2).sum(1) / 2 + np.log(LEARNED)
    return labels, 2 * logits + [0.0, 1.0, -1.0]


def source(count: int = 900, calibration: str = "bias_corrected", seed: int = 0) -> Source:
    return Source(*rows(LEARNED, count, seed), None, calibration)


def drawn_ratios(size: int = 60) -> Any:
    return ratios(np.random.default_rng(3).normal(size=(size, 3)) * 2, LEARNED)


def test_em_is_the_fixed_point_of_its_steps_by_hand() -> None:
    found, prior = drawn_ratios(), np.full(3, 1 / 3)
    for _ in range(5000):  # Saerens et al. 2002, eq. 2.9
        posterior = prior * found / (prior * found).sum(axis=1, keepdims=True)
        prior = posterior.mean(axis=0)
    np.testing.assert_allclose(most_likely(found, np.ones(60)), prior, atol=1e-6)
    np.testing.assert_allclose(most_likely(found, np.ones(60), np.array([1.0, 0.0, 0.0])), prior, atol=1e-6)


def test_em_is_where_a_general_optimiser_finds_the_likelihood_highest() -> None:
    found, weights = drawn_ratios(), np.arange(60.0)
    best = minimize(
        lambda prior: -weights @ np.log(found @ prior),
        np.full(3, 1 / 3),
        method="SLSQP",
        bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda prior: prior.sum() - 1},
        options={"ftol": 1e-12},
    ).x
    np.testing.assert_allclose(most_likely(found, weights), best, atol=1e-4)
    repeated = np.repeat(found, weights.astype(int), axis=0)
    np.testing.assert_allclose(most_likely(repeated, np.ones(len(repeated))), most_likely(found, weights), atol=1e-7)


def test_em_reaches_a_share_of_none() -> None:
    of_the_first = np.array([[1.0, 0.1, 0.2]] * 5 + [[0.3, 1.0, 0.1]] * 5)
    assert most_likely(of_the_first, np.ones(10))[2] < 1e-8


def test_bbse_by_hand() -> None:
    # 9 of 10 rows of the first class are told, 6 of 10 of the second; 0.6 = 0.9 p + 0.4 (1 - p), so p = 0.4.
    confusion = np.array([[0.9, 0.4], [0.1, 0.6]])
    found, condition = bbse(confusion, np.array([0.6, 0.4]))
    np.testing.assert_allclose(found, [0.4, 0.6])
    assert condition == pytest.approx(np.linalg.cond(confusion))
    # 0.95 is more than any p gives: 1.1 and -0.1, of which the negative one is 0.
    np.testing.assert_allclose(bbse(confusion, np.array([0.95, 0.05]))[0], [1.0, 0.0])


@pytest.mark.parametrize("confusion", [[[0.5, 0.5], [0.5, 0.5]], [[0.51, 0.49], [0.49, 0.51]]])
def test_bbse_gives_nothing_where_classes_are_not_told_apart(confusion: Any) -> None:
    assert np.isnan(bbse(np.array(confusion), np.array([0.6, 0.4]))[0]).all()


@pytest.mark.parametrize("calibration", ["bias_corrected", "vector"])
def test_shares_that_are_known_are_found(calibration: str) -> None:
    truth = np.array([0.1, 0.3, 0.6])
    _, logits = rows(truth, 4000, 1)
    found = estimate(source(3000, calibration), logits, NAMES, resamples=40)
    np.testing.assert_allclose(found.em, truth, atol=0.04)
    np.testing.assert_allclose(found.bbse, truth, atol=0.08)
    assert (found.low < found.em).all()
    assert (found.em < found.high).all()
    assert found.p > 0.05
    assert found.notes == ()


def test_the_known_prior_needs_no_calibration_but_is_told_to_have_none() -> None:
    labels, logits = rows(LEARNED, 500, 0)
    truth = np.array([0.2, 0.2, 0.6])
    _, new = rows(truth, 4000, 1)
    honest = (logits - [0.0, 1.0, -1.0]) / 2, (new - [0.0, 1.0, -1.0]) / 2
    found = estimate(Source(labels, honest[0], LEARNED), honest[1], NAMES, resamples=0)
    np.testing.assert_allclose(found.em, truth, atol=0.03)
    assert "not calibrated" in found.notes[0]
    assert np.isnan([found.low, found.high]).all()


def test_without_a_known_prior_bbse_stands_alone() -> None:
    found = estimate(source(calibration="temperature"), rows([0.1, 0.3, 0.6], 3000, 1)[1], NAMES)
    assert np.isnan(found.em).all()
    assert np.argmax(found.bbse) == 2
    assert "calibration=bias_corrected" in found.notes[0]


def test_rows_that_differ_themselves_are_told_loudly() -> None:
    found = estimate(source(), rows(LEARNED, 2000, 1, moved=1.5)[1], NAMES, resamples=60)
    assert found.p < 0.001
    assert "LABEL SHIFT IS IN DOUBT" in found.notes[-1]


def test_the_same_rows_give_the_same_bits() -> None:
    new = rows([0.3, 0.3, 0.4], 300, 1)[1]
    first, second = (estimate(source(300), new, NAMES, resamples=10) for _ in range(2))
    np.testing.assert_array_equal([first.em, first.low, first.high], [second.em, second.low, second.high])


def test_shares_are_used_with_six_digits_and_none_is_zero() -> None:
    labels, _ = rows([0.5, 0.5, 0.0], 2000, 1)
    apart = np.eye(3)[labels] * 40.0
    seen = np.arange(90) % 3
    found = estimate(Source(seen, np.eye(3)[seen] * 40.0, np.full(3, 1 / 3)), apart, NAMES, resamples=0)
    assert found.em[2] < 1e-8
    assert found.prior[2] == pytest.approx(0.5 / 2000, rel=1e-3)
    assert [float(f"{share:.6g}") for share in found.prior] == found.prior.tolist()


def test_few_validation_rows_are_told_and_none_of_a_class_is_refused() -> None:
    seen = source(40)
    assert "fewer than 10 validation rows" in " ".join(estimate(seen, seen.logits, NAMES, resamples=5).notes)
    kept = seen.labels != 2
    with pytest.raises(ConfigError, match="of c there are no validation rows"):
        estimate(Source(seen.labels[kept], seen.logits[kept], None, "bias_corrected"), seen.logits, NAMES)
    with pytest.raises(ConfigError, match="there are no rows to estimate them from"):
        estimate(seen, seen.logits[:0], NAMES)


def test_a_row_that_no_resample_draws_may_be_impossible() -> None:
    found = np.array([[1.0, 0.0], [0.5, 1.0], [0.0, 0.0]])
    np.testing.assert_allclose(most_likely(found, np.array([1.0, 1.0, 0.0])), most_likely(found[:2], np.ones(2)))


def test_what_is_not_checked_does_not_pass_for_sure() -> None:
    assert np.isnan(_p(np.array([0.1, 0.2]), np.full((5, 2), np.nan), np.ones(2)))
    assert _p(np.array([0.0, 0.0]), np.zeros((5, 2)), np.ones(2)) == 1.0


def test_the_profile_of_a_class_that_no_row_is_of_ends_by_hand() -> None:
    # 100 log(1 - s) = -1.92 where every row is of another class for sure.
    sure = np.tile([0.0, 1.0, 1.0], (100, 1))
    for maximised in (True, False):
        found = profile_end(sure, np.array([0.0, 0.5, 0.5]), 0, maximised=maximised)
        assert found == pytest.approx(1 - np.exp(-0.0192), abs=2e-6)


def test_a_share_that_may_be_none_has_an_interval_from_0() -> None:
    found = estimate(source(300), rows([0.5, 0.5, 0.0], 600, 4)[1], NAMES, resamples=20)
    assert found.low[2] == 0
    assert 0.01 < found.high[2] < 0.2
    assert found.low[0] > 0.2


def test_of_many_rows_rare_classes_keep_theirs_and_the_shares_in_training_stay(tmp_path: Path) -> None:
    labels = np.zeros(2_000_000, np.int64)
    labels[[5, 1_000_000, 1_999_999]], labels[100:300_100] = 2, 1
    Source(labels, np.zeros((len(labels), 3), np.float32), None).save(tmp_path / "v.npz")
    found = Source.load(tmp_path / "v.npz")
    assert found.logits.size <= 1_000_000
    assert found.counts[2] == 3
    np.testing.assert_allclose(found.counts[:2] / found.counts.sum(), [0.85, 0.15], atol=0.02)
    np.testing.assert_allclose(found.training, np.bincount(labels) / 2_000_000)


def test_very_many_classes_keep_two_rows_each(tmp_path: Path) -> None:
    labels = np.repeat(np.arange(1500), 3)
    Source(labels, np.zeros((4500, 1500), np.float32), None).save(tmp_path / "v.npz")
    assert (Source.load(tmp_path / "v.npz").counts == 2).all()


WHOLE: dict[str, Any] = {
    "labels": np.array([0, 1]),
    "logits": np.eye(2, dtype=np.float32),
    "effective": np.array([0.5, 0.5]),
    "calibration": np.array("vector"),
    "training": np.array([0.9, 0.1]),
}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"labels": np.array([0, 2])}, "labels"),
        ({"labels": np.array([0.0, 1.0])}, "labels"),
        ({"labels": np.array([0, 1, 1])}, "labels"),
        ({"logits": np.array([1.0, 2.0])}, "logits"),
        ({"logits": np.array([[1.0, np.nan], [0.0, 1.0]])}, "logits"),
        ({"logits": np.array([["a", "b"]] * 2)}, "logits"),
        ({"effective": np.array([0.0, 1.0])}, "effective"),
        ({"effective": np.array([np.nan, 1.0])}, "effective"),
        ({"calibration": np.array("magic")}, "calibration"),
        ({"training": np.array([0.9, 0.9])}, "training"),
        ({"labels": np.array([{}, {}])}, "labels is not as long"),
        ({"more": np.array(1)}, "it holds"),
    ],
)
def test_a_foreign_file_of_validation_rows_is_not_trusted(given: Any, said: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", **WHOLE)
    assert Source.load(tmp_path / "v.npz").calibration == "vector"
    np.savez(tmp_path / "v.npz", **{**WHOLE, **given})
    with pytest.raises(ConfigError, match=f"v.npz is damaged: .*{said}"):
        Source.load(tmp_path / "v.npz")


def test_a_file_that_says_that_it_is_huge_or_is_no_archive_is_damaged(tmp_path: Path) -> None:
    import io
    import zipfile

    file, huge = tmp_path / "v.npz", io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**13, 2)}
    np.lib.format.write_array_header_1_0(huge, header)  # type: ignore[arg-type]
    np.savez(file, **{name: values for name, values in WHOLE.items() if name != "logits"})
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("logits.npy", huge.getvalue())
    for content in (file.read_bytes(), b"", b"PK", file.read_bytes()[:400]):
        file.write_bytes(content)
        with pytest.raises(ConfigError, match=r"v\.npz is damaged"):
            Source.load(file)


@pytest.mark.slow
def test_intervals_cover_as_often_as_they_say() -> None:
    covered, alarms = [], []
    for seed in range(30):
        truth = np.random.default_rng(seed).dirichlet([2, 2, 2])
        found = estimate(source(400, seed=2 * seed), rows(truth, 800, 2 * seed + 1)[1], NAMES, resamples=60, seed=seed)
        covered.append((found.low <= truth) & (truth <= found.high))
        alarms.append(found.p < 0.001)
    assert np.mean(covered) >= 0.86  # of 90 shares, 95 % in the long run
    assert np.mean(alarms) <= 0.05
