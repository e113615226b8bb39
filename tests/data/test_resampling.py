"""Resampled training rows: imbalanced-learn called directly, neighbours and counts by hand, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equipoise.core.errors import ConfigError
from equipoise.core.schema import Floats, Integers
from equipoise.data.prepare import prepare
from equipoise.data.prepared import Prepared
from equipoise.data.resamplers import RESAMPLERS, Resampler
from equipoise.data.resampling import categories_of, resampled, told, with_codes, without_codes
from equipoise.data.sampling import Resampling, resampler
from helpers import composed, composed_dataset

over, under = pytest.importorskip("imblearn.over_sampling"), pytest.importorskip("imblearn.under_sampling")

COUNTS = [60, 25, 8]
SMALL = ["dataset=synthetic", "dataset.class_counts=[60,25,8]", "dataset.features=4", "dataset.separation=1.5"]
SEED = 7
# As the libraries' users would call them, with options of their own.
DIRECT: dict[str, tuple[str, Any]] = {
    "smote": ("{k_neighbors: 3}", lambda: over.SMOTE(k_neighbors=3, random_state=SEED)),
    "borderline_smote": (
        "{kind: borderline-2, m_neighbors: 6}",
        lambda: over.BorderlineSMOTE(kind="borderline-2", m_neighbors=6, random_state=SEED),
    ),
    "adasyn": (
        "{n_neighbors: 4, sampling_strategy: minority}",
        lambda: over.ADASYN(n_neighbors=4, sampling_strategy="minority", random_state=SEED),
    ),
    "rose": ("{shrinkage: 0.5}", lambda: over.RandomOverSampler(shrinkage=0.5, random_state=SEED)),
    "tomek": ("{sampling_strategy: all}", lambda: under.TomekLinks(sampling_strategy="all")),
    "edited_nearest_neighbours": (
        "{n_neighbors: 5, kind_sel: mode}",
        lambda: under.EditedNearestNeighbours(n_neighbors=5, kind_sel="mode"),
    ),
}


def rows(data: Prepared) -> tuple[Floats, Integers]:
    train = data.split("train")
    return np.asarray(train.features), np.asarray(train.labels)


def trained_on(cache: Path, *typed: str, seed: int = SEED) -> tuple[Prepared, Floats, Integers]:
    """The data, and the rows that a model is trained on."""
    dataset = composed_dataset(*(SMALL if not typed[0].startswith("dataset=") else ()), *typed)
    data = resampled(dataset, prepare(dataset, cache), seed)
    return data, data.training.features, data.training.labels


def test_every_resampler_is_tried_here() -> None:
    assert {*DIRECT, "smote_nc"} == RESAMPLERS.keys()


@pytest.mark.parametrize("name", DIRECT)
def test_rows_are_those_of_the_library_with_the_same_seed(name: str, cache: Path) -> None:
    options, direct = DIRECT[name]
    for typed, expected in (
        (["dataset.sampling_options=null"], None),
        ([f"dataset.sampling_options={options}"], direct),
    ):
        data, features, labels = trained_on(cache, f"dataset.sampling={name}", *typed)
        made = expected() if expected else type(direct())(**({"random_state": SEED} if RESAMPLERS[name].makes else {}))
        if name == "rose" and expected is None:
            made.set_params(shrinkage=1)
        wanted, of = made.fit_resample(*rows(data))
        np.testing.assert_array_equal(features, np.float32(wanted))
        np.testing.assert_array_equal(labels, of)
        assert data.resampled is not None
        assert data.resampled.tolist() == np.bincount(of).tolist() != COUNTS
        assert data.counts.tolist() == COUNTS, "weights, losses and priors count the rows that there are"


def test_other_rows_and_splits_stay_and_a_seed_makes_other_rows(cache: Path) -> None:
    data, features, labels = trained_on(cache, "dataset.sampling=smote")
    plain = prepare(composed_dataset(*SMALL), cache)
    assert data.folder == plain.folder, "data are prepared once, however they are resampled"
    for split in ("train", "validation", "test"):
        np.testing.assert_array_equal(data.split(split).features, plain.split(split).features)
    before = rows(plain)
    np.testing.assert_array_equal(features[: sum(COUNTS)], before[0])
    assert np.bincount(labels).tolist() == [60, 60, 60]
    again, other = (trained_on(cache, "dataset.sampling=smote", seed=seed)[1] for seed in (SEED, SEED + 1))
    np.testing.assert_array_equal(features, again)
    assert not np.array_equal(features, other)
    assert plain.training.features.shape == before[0].shape


def test_rows_of_smote_lie_between_a_row_and_one_of_its_nearest_of_the_class(cache: Path) -> None:
    data, features, labels = trained_on(cache, "dataset.sampling=smote", "dataset.sampling_options={k_neighbors: 3}")
    before, of = rows(data)
    for made, label in zip(features[len(of) :], labels[len(of) :], strict=True):
        inside = before[of == label].astype(np.float64)
        gaps = np.linalg.norm(inside[:, np.newaxis] - inside, axis=2)
        nearest = np.argsort(gaps, axis=1)[:, 1:4]
        ends = [(a, inside[j]) for a, near in zip(inside, nearest, strict=True) for j in near]
        # |a - x| + |x - b| = |a - b| on the segment alone.
        excess = [np.linalg.norm(a - made) + np.linalg.norm(made - b) - np.linalg.norm(a - b) for a, b in ends]
        assert min(excess) < 1e-5


def test_tomek_links_and_edited_rows_by_hand(cache: Path) -> None:
    _, features, labels = trained_on(cache, "dataset.sampling=tomek")
    data, edited, of_edited = trained_on(cache, "dataset.sampling=edited_nearest_neighbours")
    before, of = rows(data)
    gaps = np.linalg.norm(before[:, np.newaxis].astype(np.float64) - before, axis=2)
    np.fill_diagonal(gaps, np.inf)
    nearest = gaps.argmin(axis=1)
    linked = (nearest[nearest] == np.arange(len(of))) & (of[nearest] != of) & (of != 2)
    np.testing.assert_array_equal(features, before[~linked])
    assert 0 < linked.sum() == sum(COUNTS) - len(labels)
    three = np.argsort(gaps, axis=1)[:, :3]
    kept = (of == 2) | (of[three] == of[:, np.newaxis]).all(axis=1)
    np.testing.assert_array_equal(np.sort(edited, axis=0), np.sort(before[kept], axis=0))
    assert np.bincount(of_edited).tolist() == np.bincount(of[kept]).tolist()


def table(folder: Path) -> list[str]:
    """A table of two quantities, one with missing values, a column of few and one of many categories, three classes."""
    generator = np.random.default_rng(0)
    lines = ["x,y,color,city,class"]
    for row in range(300):
        label = "c" if row % 30 == 0 else "b" if row % 5 == 0 else "a"
        x = generator.normal() + (label == "c")
        y = "" if row % 4 == 0 else f"{generator.normal():.6f}"
        color = "" if row % 50 == 0 else "rgb"[generator.integers(3)]
        lines.append(f"{x:.6f},{y},{color},{'nm'[row % 2]}{generator.integers(9)},{label}")
    (folder / "t.csv").write_text("\n".join(lines))
    return ["dataset=csv", f"dataset.path='{folder}/t.csv'", "dataset.target=class", "dataset.max_categories=5"]


def test_smote_nc_makes_categories_and_values_that_are_missing(cache: Path, tmp_path: Path) -> None:
    typed = table(tmp_path)
    data, features, labels = trained_on(cache, *typed, "dataset.sampling=smote_nc")
    before, of = rows(data)
    # Of x one feature, of y two, of color three, of city its number.
    assert [tuple(each) for each in categories_of(data)] == [(2, 1, 1), (3, 3, 0), (6, 1, 0)]
    assert np.bincount(labels).tolist() == [int(data.counts.max())] * 3
    made = features[len(of) :]
    assert set(made[:, 2]) == {0, 1}
    assert (made[made[:, 2] == 1, 1] == 0).all(), "a missing value is 0, as prepare has it"
    assert set(map(tuple, made[:, 3:6])) <= {(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)}
    assert set(made[:, 6]) <= set(before[:, 6])
    np.testing.assert_array_equal(features[: len(of)], before)
    color = np.select([before[:, 3] == 1, before[:, 4] == 1, before[:, 5] == 1], [1, 2, 3], 0)
    coded = np.column_stack([before[:, :2], before[:, 2], color, before[:, 6]]).astype(np.float32)
    wanted, _ = over.SMOTENC([2, 3, 4], random_state=SEED).fit_resample(coded, of)
    np.testing.assert_array_equal(made[:, 0], np.float32(wanted[len(of) :, 0]))
    np.testing.assert_array_equal(made[:, 6], wanted[len(of) :, 4])
    groups = categories_of(data)
    np.testing.assert_array_equal(without_codes(with_codes(before, groups)[0], groups, 7), before)
    with pytest.raises(
        ConfigError, match=r"smote goes by distances, .* of 1\d categories.*: use dataset.sampling=smote_nc"
    ):
        trained_on(cache, *typed, "dataset.sampling=smote")


OPTIONS = "dataset.sampling_options="
REFUSED = {
    f"dataset.sampling=smote {OPTIONS}{{k_neighbor:3}}": r"there is no option k_neighbor of .*did you mean",
    f"dataset.sampling=smote {OPTIONS}{{k_neighbors:2.5}}": r"k_neighbors=2.5 of .*: input should be a valid integer",
    f"dataset.sampling=none {OPTIONS}{{k_neighbors:3}}": r"there is no option k_neighbors of dataset.sampling=none",
    f"dataset.sampling=square_root {OPTIONS}{{k:3}}": r"there is no option k of dataset.sampling=square_root, which",
    f"dataset.sampling=smote {OPTIONS}{{k_neighbors:8}}": r"class 2 has 8 training rows, and a row needs "
    r"k_neighbors=8 neighbours .* dataset.sampling_options=\{k_neighbors: 7\}",
    "dataset.sampling=adasyn dataset.class_counts=[60,25,1]": r"class 2 has 1 training row, .*: use dataset.sampl",
    "dataset.sampling=smote dataset.class_counts=[60,3,2]": r"class 2 has 2 training rows \(1 too\), ",
    f"dataset.sampling=rose {OPTIONS}{{sampling_strategy:0.5}}": r"=0.5 is a ratio of two classes, and there are 3",
    f"dataset.sampling=rose dataset.class_counts=[60,30] {OPTIONS}{{sampling_strategy:0.5}}": r"has 0.5 times",
    "dataset.sampling=smote dataset.form=series model=conv1d": r"has samples of 2 dimensions: use dataset.sampling=cla",
    "dataset=digits_lt model=mlp dataset.sampling=tomek": r"dataset=digits_lt has samples of 3 dimensions",
}


@pytest.mark.parametrize("typed", REFUSED)
def test_what_cannot_be_resampled_is_refused_before_anything_is_written(typed: str) -> None:
    with pytest.raises(ConfigError, match=REFUSED[typed]):
        composed(*([*SMALL, "model=mlp"] if "dataset=" not in typed else ()), *typed.split())


def test_what_the_rows_do_not_allow_is_told(cache: Path) -> None:
    apart = "dataset.separation=60", "dataset.class_counts=[60,25]"
    with pytest.raises(ConfigError, match=r"adasyn: imbalanced-learn refuses these training rows: Not any neigbours"):
        trained_on(cache, *apart, "dataset.sampling=adasyn")
    with pytest.raises(ConfigError, match=r"smote_nc is for tables with columns of categories, and there are none"):
        trained_on(cache, "dataset.sampling=smote_nc")
    lost = "dataset.separation=0.01", "dataset.class_counts=[90,5,4]", "dataset.sampling=edited_nearest_neighbours"
    with pytest.raises(
        ConfigError, match=r"edited_nearest_neighbours leaves no training row of class 1: all lie among"
    ):
        trained_on(cache, *lost)


def test_the_library_is_named_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    found = resampler("smote")
    assert isinstance(found, Resampler)
    with pytest.raises(ConfigError, match=r"smote needs imbalanced-learn: make train EXTRA=rivals, or pip install imb"):
        found.check_installed("smote")


def test_the_prior_is_that_of_the_resampled_rows_and_both_counts_are_told(cache: Path) -> None:
    from equipoise.methods.priors import effective_prior
    from equipoise.runs.weigh import drawing, notes, weigh

    config = composed(*SMALL, "model=mlp", "dataset.sampling=smote", "weighting=balanced")
    data = resampled(config.dataset, prepare(config.dataset, cache), config.seed)
    weights, drawn = weigh(config, data), drawing(config, data)
    assert weights.weights == pytest.approx(93 / (3 * np.array(COUNTS))), "of the rows that there are"
    assert isinstance(drawn, Resampling)
    assert drawn.ratio == pytest.approx((1 / 3) / (np.array(COUNTS) / 93))
    inverse = 1 / np.array(COUNTS)
    assert effective_prior(weights, config.loss, "none", drawn) == pytest.approx(inverse / inverse.sum())
    (twice,) = notes(config, data, weights)
    assert "dataset.sampling=smote and weighting=balanced correct the imbalance twice" in twice
    assert told(config.dataset, data) == (
        "dataset.sampling=smote: 93 training rows become 180 (0 60 → 60, 1 25 → 60, 2 8 → 60)"
    )
    for typed, said in (
        ("loss=balanced_softmax", "both favour rare classes"),
        ("decision=logit_adjusted", "nothing to adjust"),
    ):
        config = composed(*SMALL, "model=mlp", "dataset.sampling=smote", typed)
        assert any(said in note for note in notes(config, data, weigh(config, data)))


OWN = """
import equipoise
import numpy as np

@equipoise.sampling
def repeated(features, labels, seed, *, times: int = 2):
    rare = labels == np.bincount(labels).argmin()
    rows = np.repeat(np.arange(len(labels)), np.where(rare, times, 1))
    return np.float64(features[rows]), labels[rows]

@equipoise.sampling
def fewer(features, labels, seed):
    return features[:-1], labels

@equipoise.sampling
def wider(features, labels, seed):
    return np.hstack([features, features]), labels

@equipoise.sampling
def endless(features, labels, seed):
    return features * np.nan, labels

@equipoise.sampling
def alone(features, labels, seed):
    return features

@equipoise.sampling
def renamed(features, labels, seed):
    return features, labels + 1

@equipoise.sampling
def failing(features, labels, seed):
    return features[len(labels) + seed], labels

@equipoise.sampling
def listed(features, labels, seed):
    return features, labels.tolist()

@equipoise.sampling
def single(features, labels, seed):
    return np.array(1.0), labels

@equipoise.sampling
def halved(features, labels, seed, *, shift: float = 0.5):
    return np.vstack([features, features + np.float32(shift)]), np.hstack([labels, labels])
"""
MISTAKES = {
    "fewer": r"returns 92 rows and labels of shape \(93,\) \(.*mine.py, line 12\)",
    "wider": r"float32 of shape \(93, 8\); they must be numbers of shape \(n, 4\)",
    "endless": r"returns features that are NaN, infinite or too large for float32",
    "alone": r"its function returns ndarray; it must return \(features, labels\)",
    "renamed": r"its function returns labels from 1 to 3; 3 classes are counted from 0 to 2",
    "listed": r"its function returns labels that are list; return int64 \(n,\)",
    "single": r"its function returns features that are float64 of shape \(\); they must be numbers of shape \(n, 4\)",
    "failing": r"its function failing fails: IndexError: .*mine.py, line 33\)",
}


def test_a_function_of_the_user_s_own_resamples(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    monkeypatch.setenv("EQUIPOISE_PLUGINS", str(tmp_path))
    data, features, _ = trained_on(cache, "dataset.sampling=repeated", "dataset.sampling_options={times: 3}")
    assert data.resampled is not None
    assert data.resampled.tolist() == [60, 25, 24]
    assert features.dtype == np.float32
    with pytest.raises(ConfigError, match=r"no option time of dataset.sampling=repeated: it has times; did you mean"):
        trained_on(cache, "dataset.sampling=repeated", "dataset.sampling_options={time: 3}")
    for name, told_as in MISTAKES.items():
        with pytest.raises(ConfigError, match=rf"dataset.sampling={name}.*{told_as}"):
            trained_on(cache, f"dataset.sampling={name}")
    typed = [*table(tmp_path), "dataset.sampling=halved", "dataset.sampling_options={shift: "]
    for shift, odd in (("0.5", r"\d+\.5"), ("100.0", r"1\d\d"), ("-100.0", r"-\d+")):
        with pytest.raises(ConfigError, match=rf"returns {odd} in feature 6, .* must be whole, from 0 to 1\d \(.*mine"):
            trained_on(cache, *typed[:-1], typed[-1] + shift + "}")
    assert len(trained_on(cache, *typed[:-1], typed[-1] + "0.0}")[1]) > 300


def test_a_logged_run_tells_how_many_rows_its_model_has_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    from equipoise.runs import reevaluate

    table = {
        name: {"count": n, "weight": 1.0, "share": 0.5, "resampled": m} for name, n, m in (("a", 9, 9), ("b", 3, 8))
    }
    monkeypatch.setattr(reevaluate, "read_json", lambda *_: table)
    nowhere: Any = None
    found = reevaluate._weights(nowhere, "4a1f")
    assert found.resampled is not None
    assert (found.counts.tolist(), found.resampled.tolist()) == ([9, 3], [9, 8])
