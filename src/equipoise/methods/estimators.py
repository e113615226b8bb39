"""Learners beside Keras: estimators with `fit(features, labels, sample_weight=…)` and `predict_proba(features)`.

A function takes the seed and how many threads it may use, and returns an estimator that is not yet fitted. A library is
imported when an estimator of it is made, not before.
"""

import importlib.util
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from equipoise.core.errors import ConfigError
from equipoise.core.schema import Floats, Fraction, Positive, PositiveInt, Section
from equipoise.data.words import WordPreprocessing
from equipoise.methods.bags import bag

NonNegative = Annotated[float, Field(ge=0, le=1e9)]
Leaves = Annotated[int, Field(ge=2, le=1_000_000)]
Rate = Annotated[float, Field(gt=0, le=1e6)]


class Grown(Section):
    """How far trees grow."""

    max_leaf_nodes: Leaves
    min_samples_leaf: PositiveInt
    l2_regularization: NonNegative


def boosting(seed: int, threads: int, *, max_iter: PositiveInt, learning_rate: Rate, grown: Grown) -> Any:
    """Gradient-boosted trees on histograms of features (scikit-learn's HistGradientBoostingClassifier)."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=max_iter,
        learning_rate=learning_rate,
        max_leaf_nodes=grown.max_leaf_nodes,
        min_samples_leaf=grown.min_samples_leaf,
        l2_regularization=grown.l2_regularization,
        early_stopping=False,  # which would set rows of the training split aside
        random_state=seed,
    )


def random_forest(
    seed: int,
    threads: int,
    *,
    n_estimators: PositiveInt,
    max_depth: PositiveInt | None,
    min_samples_leaf: PositiveInt,
    max_features: Literal["sqrt", "log2"] | Annotated[float, Field(gt=0, le=1)] | None,
) -> Any:
    """Trees on bootstrap samples, whose probabilities are averaged (Breiman 2001)."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(
        n_estimators=n_estimators,
        max_depth=max_depth,
        min_samples_leaf=min_samples_leaf,
        max_features=max_features,
        random_state=seed,
        n_jobs=threads,
    )


def logistic(seed: int, threads: int, *, C: Positive, max_iter: PositiveInt) -> Any:  # noqa: N803 - scikit-learn's name
    """Multinomial logistic regression, solved to convergence by L-BFGS, with an L2 penalty 1 / (2 C) |w|^2."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=C, max_iter=max_iter, random_state=seed)


def lda(seed: int, threads: int, *, shrinkage: Literal["auto"] | Fraction | None) -> Any:
    """Linear discriminant analysis: a Gaussian for each class, all of one covariance, and the classes' frequencies.

    `shrinkage` moves the covariance towards a diagonal one by this share, or by that of Ledoit and Wolf (`auto`).
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    return LinearDiscriminantAnalysis(solver="svd" if shrinkage is None else "lsqr", shrinkage=shrinkage)


def balanced_random_forest(
    seed: int,
    threads: int,
    *,
    n_estimators: PositiveInt,
    max_depth: PositiveInt | None,
    min_samples_leaf: PositiveInt,
) -> Any:
    """A random forest, each tree on as many rows of every class as the rarest has (Chen, Liaw & Breiman 2004)."""
    from imblearn.ensemble import BalancedRandomForestClassifier

    return BalancedRandomForestClassifier(
        n_estimators=n_estimators,
        max_depth=max_depth,
        min_samples_leaf=min_samples_leaf,
        random_state=seed,
        n_jobs=threads,
    )


def easy_ensemble(seed: int, threads: int, *, n_estimators: PositiveInt) -> Any:
    """AdaBoost learners, each on all rows of the rarest class and as many of the others (Liu, Wu & Zhou 2009)."""
    from imblearn.ensemble import EasyEnsembleClassifier

    return EasyEnsembleClassifier(n_estimators=n_estimators, random_state=seed)


def rus_boost(seed: int, threads: int, *, n_estimators: PositiveInt, learning_rate: Rate) -> Any:
    """AdaBoost that undersamples to equal classes in every round (Seiffert et al. 2010)."""
    from imblearn.ensemble import RUSBoostClassifier

    return RUSBoostClassifier(n_estimators=n_estimators, learning_rate=learning_rate, random_state=seed)


def lightgbm(
    seed: int,
    threads: int,
    *,
    n_estimators: PositiveInt,
    learning_rate: Rate,
    num_leaves: Leaves,
    min_child_samples: PositiveInt,
) -> Any:
    """Gradient-boosted trees that grow leaf by leaf (Ke et al. 2017)."""
    from lightgbm import LGBMClassifier

    return LGBMClassifier(
        n_estimators=n_estimators,
        learning_rate=learning_rate,
        num_leaves=num_leaves,
        min_child_samples=min_child_samples,
        random_state=seed,
        n_jobs=threads,
        deterministic=True,
        force_row_wise=True,
        verbose=-1,
    )


def xgboost(
    seed: int,
    threads: int,
    *,
    n_estimators: PositiveInt,
    learning_rate: Rate,
    max_depth: PositiveInt,
    min_child_weight: NonNegative,
) -> Any:
    """Gradient-boosted trees with a penalty on leaves (Chen & Guestrin 2016)."""
    from xgboost import XGBClassifier

    return XGBClassifier(
        n_estimators=n_estimators,
        learning_rate=learning_rate,
        max_depth=max_depth,
        min_child_weight=min_child_weight,
        tree_method="hist",
        random_state=seed,
        n_jobs=threads,
    )


def catboost(
    seed: int,
    threads: int,
    *,
    iterations: PositiveInt,
    learning_rate: Rate | None,
    depth: Annotated[int, Field(ge=1, le=16)],
) -> Any:
    """Boosted symmetric trees, on ordered samples (Prokhorenkova et al. 2018); a rate of null is CatBoost's own."""
    from catboost import CatBoostClassifier

    return CatBoostClassifier(
        iterations=iterations,
        learning_rate=learning_rate,
        depth=depth,
        random_seed=seed,
        thread_count=threads,
        allow_writing_files=False,
        verbose=False,
    )


@dataclass(frozen=True)
class Estimator:
    """A function that makes an estimator, and what else is known of it.

    Attributes
    ----------
    module, package : what it is imported from, and what installs that
    log_loss : whether it descends the weighted log loss, so that a row has a gradient at its logits
    weighted : whether `fit` takes a weight for each row
    balances : whether it draws rows by class itself, so that all classes are as frequent
    prior_known : whether its probabilities answer for class frequencies, those that it has drawn
    draws : whether it draws anything, so that seeds make other fits; bins of columns, which scikit-learn and LightGBM
        make of 200,000 rows that they draw, do not count
    parts : whether it has parts that are fitted apart, so that several threads leave the bits of one
    sparse : whether it is fitted to bags of words without their zeros (CSR)
    own : whether it is the user's own
    """

    build: Callable[..., Any]
    module: str = "sklearn"
    package: str = "scikit-learn"
    log_loss: bool = False
    weighted: bool = True
    balances: bool = False
    prior_known: bool = True
    draws: bool = True
    parts: bool = False
    sparse: bool = True
    own: bool = False

    # What an `Architecture` has, and no estimator does.
    dimensions: ClassVar[int | None] = None
    texts: ClassVar[bool] = False
    words: ClassVar[bool] = False
    embeds: ClassVar[bool] = False
    dense: ClassVar[bool] = False
    bits_known: ClassVar[bool] = False
    backbone: ClassVar[bool] = False
    is_read: ClassVar[bool] = False
    file: ClassVar[str | None] = None
    check: ClassVar[None] = None

    @property
    def packages(self) -> tuple[str, ...]:
        """The package that it is of, if that is known."""
        return () if self.own else (self.package,)

    def check_installed(self, name: str) -> None:
        """Refuse an estimator, called by its name, whose library is not installed."""
        if importlib.util.find_spec(self.module) is None:
            extra = "" if self.package in OUTSIDE else "make train EXTRA=rivals, or "
            raise ConfigError(f"model={name} needs {self.package}: {extra}pip install {self.package}")

    def moves_prior_as_weights_do(self, *, even: bool) -> bool:
        """Return whether the prior that it learns under is that of the rows that it sees times their weights.

        Parameters
        ----------
        even : whether all classes weigh the same; else a learner that does not descend the log loss, such as a forest
            of pure leaves, is moved by weights in no such way
        """
        return self.prior_known and (even or self.log_loss)


OUTSIDE = ("xgboost", "catboost")  # too large for the extra `rivals`

IMBALANCED_LEARN = ("imblearn", "imbalanced-learn")

ESTIMATORS: Mapping[str, Estimator] = {
    "boosting": Estimator(boosting, log_loss=True, draws=False, sparse=False),
    "random_forest": Estimator(random_forest, parts=True),
    "logistic": Estimator(logistic, log_loss=True, draws=False),
    "lda": Estimator(lda, weighted=False, draws=False, sparse=False),
    "balanced_random_forest": Estimator(balanced_random_forest, *IMBALANCED_LEARN, balances=True, parts=True),
    "easy_ensemble": Estimator(easy_ensemble, *IMBALANCED_LEARN, weighted=False, balances=True, prior_known=False),
    "rus_boost": Estimator(rus_boost, *IMBALANCED_LEARN, balances=True, prior_known=False),
    "lightgbm": Estimator(lightgbm, "lightgbm", "lightgbm", log_loss=True, draws=False),
    # What is not held is missing to XGBoost, and no zero.
    "xgboost": Estimator(xgboost, "xgboost", "xgboost", log_loss=True, draws=False, sparse=False),
    "catboost": Estimator(catboost, "catboost", "catboost", log_loss=True, sparse=False),
}

# No probability counts as less: a forest says 0 of what no tree of it has seen, and a logarithm of it is no number.
FLOOR = 1e-7
BLOCK = 1024  # rows: matrix products may sum in another order for another number of rows
MOST_NUMBERS = 1 << 26  # in a block, of which bags of very many words have fewer rows


def log_probabilities(estimator: Any, features: Any, words: WordPreprocessing | None = None) -> Floats:
    """Return the logarithms of the estimator's probabilities, from `FLOOR` on, float32 (n, classes).

    A row's bits are the same whatever other rows and threads there are: all are computed in blocks of one size, by one.

    Parameters
    ----------
    features : float32 (n, *shape), of which each row is flattened
    words : what is known of the words if features are their ids, of which bags are made; else None
    """
    from threadpoolctl import threadpool_limits

    rows = np.asarray(features, np.float32).reshape(len(features), -1)
    size = BLOCK if words is None else min(BLOCK, 1 + MOST_NUMBERS // words.ids)
    found = []
    # LightGBM warns of features without names, which it has given names itself.
    with threadpool_limits(1), warnings.catch_warnings(action="ignore"):
        for start in range(0, len(rows), size):
            block = rows[start : start + size]
            padded = np.concatenate([block, np.repeat(block[-1:], size - len(block), axis=0)])
            taken = padded if words is None else bag(padded, words).toarray()
            found.append(estimator.predict_proba(taken)[: len(block)])
    logits: Floats = np.log(np.maximum(np.concatenate(found), FLOOR)).astype(np.float32)
    return logits
