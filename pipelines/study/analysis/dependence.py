"""On what the gain of a method depends: a mixed model, and the variances of division and seed of the noise part."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.pooled import PRIMARY, measure
from analysis.table import CENTRE, LENGTHS, Cell, DataSet, Study, gather
from equipoise.core.schema import Floats

BATCH, TRAINED_SHARE = 64, 0.64  # rows of a step; of all rows, those that train
TRAINED_IMAGES = 0.8  # of the rows that are not test rows, which alone are counted of images
DENSE = ("table", "image")  # kinds of data; series and texts have networks of other kinds, and so has the setting cnn
CNN = "cnn"
FEWEST = 8  # families for a fit
# Columns whose equal values share a random part, to what the page calls it.
SHARED = {"dataset": "data set", "family_capacity": "family × capacity", "run": "run"}


@dataclass(frozen=True)
class Fit:
    """A mixed model as it was fitted.

    Attributes
    ----------
    fixed : name to estimate, standard error
    variances : of each random part
    note : what the optimizer said; empty if nothing
    """

    method: str
    fixed: Mapping[str, tuple[float, float]]
    variances: Mapping[str, float]
    observations: int
    families: int
    note: str


def factors(setting: str) -> tuple[str, float, float]:
    """Return capacity, whether weights decay, and whether the optimizer is SGD, by a setting's name."""
    words = setting.split("_")
    capacity = next((word for word in ("linear", "large") if word in words), "small")
    drawn = "sgd" in words or "adamw" in words
    return capacity, float(not drawn or ("decay" in words and "no" not in words)), float("sgd" in words)


def gains(study: Study, method: str) -> pd.DataFrame:
    """Return the gain of a method over no weights, a row for each data set, setting, seed and length."""
    rows = []
    for name, runs in study.runs.items():
        facts = study.datasets[name]
        if facts.kind not in DENSE:
            continue
        for cell, found in runs.items():
            base = runs.get(Cell("none", "argmax", cell.epochs, cell.setting))
            is_asked = (cell.method, cell.rule) == (method, "argmax") and cell.setting != CNN
            if not is_asked or cell.epochs not in LENGTHS or base is None:
                continue
            for seed in sorted(set(found.seeds) & set(base.seeds)):
                sides = (measure(PRIMARY, side.of((seed,)).test.sum(axis=1))[0] for side in (found, base))
                rows.append(_row(facts, cell, seed, float(np.subtract(*sides))))
    return pd.DataFrame(rows)


def _row(facts: DataSet, cell: Cell, seed: int, gain: float) -> dict[str, object]:
    capacity, decay, sgd = factors(cell.setting)
    share = TRAINED_IMAGES if facts.balanced_test else TRAINED_SHARE
    steps = cell.epochs * np.ceil(share * facts.rows / BATCH)
    return {
        "gain": gain, "family": facts.family, "dataset": facts.name, "family_capacity": f"{facts.family} {capacity}",
        "run": f"{facts.name} {cell.setting} {seed}", "log_steps": np.log10(steps) - 4, "capacity": capacity,
        "decay": decay, "sgd": sgd, "log_rarest": np.log10(facts.rarest) - 2,
        "log_ratio": np.log10(facts.ratio) - 1, "several_classes": float(facts.classes > 2),
    }  # fmt: skip


def fit(study: Study, method: str) -> Fit | None:
    """Return the mixed model of a method's gain; None where families or a part of the factors are missing."""
    from statsmodels.regression.mixed_linear_model import MixedLM

    rows = gains(study, method)
    if rows.empty or rows["family"].nunique() < FEWEST or rows["log_steps"].nunique() < 2:
        return None
    parts = [name for name in ("decay", "sgd", "several_classes") if rows[name].nunique() > 1]
    time = "log_steps * C(capacity, Treatment('small'))" if rows["capacity"].nunique() > 1 else "log_steps"
    formula = " + ".join([f"gain ~ {time}", *parts, "log_rarest", "log_ratio"])
    shared = [column for column in SHARED if column != "family_capacity" or rows["capacity"].nunique() > 1]
    parted = {column: f"0 + C({column})" for column in shared}
    rows["gain"] *= 100  # the optimizer's steps suit values about 1
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        model = MixedLM.from_formula(formula, rows, groups="family", re_formula="~log_steps", vc_formula=parted)
        result = model.fit(reml=True, method=["lbfgs", "powell"], maxiter=200)
    note = "" if result.converged else "has not converged"
    note = note or (
        "lies at the edge of the parameters: a variance is 0, or nearly"
        if any("boundary" in str(one.message) for one in said)
        else ""
    )
    by_column = dict(zip(model.exog_vc.names, map(float, result.vcomp), strict=True))
    errors = standard_errors(model.exog, rows, np.asarray(result.cov_re), by_column, float(result.scale))
    fixed = {
        _plain(str(name)): (float(estimate) / 100, float(error) / 100)
        for (name, estimate), error in zip(result.fe_params.items(), errors, strict=True)
    }
    random = {"family": result.cov_re.iloc[0, 0], "family's slope": result.cov_re.iloc[1, 1]}
    random |= {SHARED[column]: value for column, value in by_column.items()} | {"residual": result.scale}
    variances = {name: float(value) / 1e4 for name, value in random.items()}
    return Fit(method, fixed, variances, len(rows), rows["family"].nunique(), note)


def standard_errors(
    exog: Floats, rows: pd.DataFrame, family: Floats, parts: Mapping[str, float], residual: float
) -> Floats:
    """Return the errors of the fixed effects, float64 (terms,), at the estimated variances.

    They are the roots of the diagonal of (X' V⁻¹ X)⁻¹ (Laird & Ware 1982), which no Hessian of the variances enters:
    where one of them is nearly 0, that need not be positive definite.

    Parameters
    ----------
    exog : float64 (rows, terms), X
    family : float64 (2, 2), the covariance of a family's intercept and slope
    parts : column of `rows` whose equal values share a random part, to its variance
    residual : variance
    """
    precision = np.zeros((exog.shape[1],) * 2)
    for places in rows.groupby("family").indices.values():
        of_one = rows.iloc[places]
        slopes = np.column_stack([np.ones(len(places)), of_one["log_steps"]])
        covariance = residual * np.eye(len(places)) + slopes @ family @ slopes.T
        for column, variance in parts.items():
            named = of_one[column].to_numpy()
            covariance += variance * (named[:, np.newaxis] == named)
        precision += exog[places].T @ np.linalg.solve(covariance, exog[places])
    return np.asarray(np.sqrt(np.diag(np.linalg.inv(precision))), dtype=np.float64)


def _plain(name: str) -> str:
    """Return a coefficient's name without the formula's marks."""
    for mark in ("C(capacity, Treatment('small'))", "[T.", "]"):
        name = name.replace(mark, "")
    return name.replace(":", " × ").replace("_", " ").strip()


def noise(study: Study, method: str, minus: str | None = None, epochs: int = 300) -> tuple[dict[str, float], int]:
    """Return the variances of division, seed and what is left, and of how many data sets that have the noise part.

    Divisions and seeds are crossed within a data set, so that the expected mean squares give them (Searle, Casella &
    McCulloch 1992, section 4.3): division = (MS division - MS rest) / seeds, and seed likewise.
    """
    grids = []
    for _, rows in _noise_rows(study, epochs).groupby("dataset", observed=True):
        values = _grid(rows[rows["method"] == method])
        base = _grid(rows[rows["method"] == minus]) if minus else None
        if values is not None and (base is None) == (minus is None):
            grids.append(values if base is None else values - base)
    sizes = {grid.shape for grid in grids}
    if len(sizes) != 1:
        return {}, 0
    return components(np.stack(grids)), len(grids)


def _noise_rows(study: Study, epochs: int) -> pd.DataFrame:
    table = study.table
    chosen = (table["setting"] == CENTRE) & (table["epochs"] == epochs) & (table["rule"] == "argmax")
    real = chosen & ~table["dataset"].astype(str).str.startswith("synthetic")
    found = table[real]
    divisions = found.groupby("dataset", observed=True)["division"].transform("nunique")
    return found[divisions > 1]


def _grid(rows: pd.DataFrame) -> Floats | None:
    """Return the metric by division and seed, float64 (divisions, seeds); None where one is missing."""
    lines = {}
    for division, of_one in rows.groupby("division", observed=True):
        runs = gather(of_one)
        lines[division] = (runs.seeds, measure(PRIMARY, runs.test.sum(axis=1)) if runs.seeds else None)
    if len(lines) < 2 or len({seeds for seeds, _ in lines.values()}) != 1 or any(v is None for _, v in lines.values()):
        return None
    found = np.stack([values for _, values in lines.values() if values is not None])
    return found if found.shape[1] > 1 else None


def components(grids: Floats) -> dict[str, float]:
    """Return the variances of division, seed and the rest, of float64 (data sets, divisions, seeds); none below 0."""
    _, divisions, seeds = grids.shape
    centred = grids - grids.mean(axis=(1, 2), keepdims=True)
    by_division, by_seed = centred.mean(axis=2), centred.mean(axis=1)
    rest = centred - by_division[:, :, np.newaxis] - by_seed[:, np.newaxis, :]
    squares = {
        "division": seeds * (by_division**2).sum(axis=1).mean() / (divisions - 1),
        "seed": divisions * (by_seed**2).sum(axis=1).mean() / (seeds - 1),
        "rest": (rest**2).sum(axis=(1, 2)).mean() / ((divisions - 1) * (seeds - 1)),
    }
    return {
        "division": max(0.0, float(squares["division"] - squares["rest"]) / seeds),
        "seed": max(0.0, float(squares["seed"] - squares["rest"]) / divisions),
        "rest": float(squares["rest"]),
    }
