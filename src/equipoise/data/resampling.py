"""The training split resampled before the fit, as `dataset.sampling` says: a function of the prepared rows and a seed.

Validation and test rows stay as they are, and so do the counts that weightings, losses and priors take.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError
from threadpoolctl import threadpool_limits

from equipoise.core import plugins
from equipoise.core.clock import clock
from equipoise.core.errors import ConfigError, listing, suggestion
from equipoise.core.schema import Floats, defaults, keywords
from equipoise.data import preprocessing
from equipoise.data.prepared import Prepared
from equipoise.data.resamplers import Resampler, Rows
from equipoise.data.sampling import resampler
from equipoise.data.types import Categories, Dataset, Samples, check_labels

STRICT = ConfigDict(strict=True, allow_inf_nan=False)  # as every section of the config is


def options_of(dataset: Dataset) -> dict[str, Any]:
    """Return the options of `dataset.sampling`: those that were typed, and defaults; empty if it has none.

    Raises
    ------
    ConfigError
        If it has no such option, or not with that value.
    """
    record, typed = resampler(dataset.sampling), dataset.sampling_options or {}
    known = {} if record is None else keywords(record.function)
    who = f"dataset.sampling={dataset.sampling}"
    for key, value in typed.items():
        if key not in known:
            has = f": it has {listing(list(known))}{suggestion(key, list(known))}" if known else ", which has none"
            raise ConfigError(f"dataset.sampling_options: there is no option {key} of {who}{has}")
        try:
            TypeAdapter(known[key], config=STRICT).validate_python(value)
        except ValidationError as error:
            told = (detail["msg"][0].lower() + detail["msg"][1:] for detail in error.errors())
            said = ", or ".join(dict.fromkeys(told))
            raise ConfigError(f"dataset.sampling_options: {key}={value} of {who}: {said}") from None
    return {} if record is None else {**defaults(record.function), **typed}


def categories_of(data: Prepared) -> tuple[Categories, ...]:
    """Return the features of the prepared data that stand for categories."""
    return preprocessing.read(data.folder).categories


@clock.part("prepare")
def resampled(dataset: Dataset, data: Prepared, seed: int) -> Prepared:
    """Return the data with the rows to train on; as they are where `dataset.sampling` does not resample.

    Raises
    ------
    ConfigError
        If the function does not take these columns, fails, or leaves a class without rows.
    """
    record, who = resampler(dataset.sampling), f"dataset.sampling={dataset.sampling}"
    if record is None:
        return data
    train = data.split("train")
    rows = np.asarray(train.features, np.float32), np.asarray(train.labels)
    groups = () if record.own else _categories(record, who, data)
    # Threads of linear algebra may leave other last bits, by which other rows may be the nearest.
    with plugins.placing(record.function), threadpool_limits(1):
        features, labels = _checked(who, *_made(record, who, rows, seed, groups, options_of(dataset)), data)
    counts = np.bincount(labels, minlength=len(data.classes))
    gone = [name for name, count in zip(data.classes, counts, strict=True) if count == 0]
    if gone:
        raise ConfigError(
            f"{who} leaves no training row of class {listing(gone)}: all lie among rows of other classes; use another "
            "dataset.sampling, or leave it out"
        )
    return replace(data, drawn=Samples(features, labels), resampled=counts)


def told(dataset: Dataset, data: Prepared) -> str | None:
    """Return how many rows there were of each class, and are to train on; None if they were not resampled."""
    if data.resampled is None:
        return None
    order = data.head_to_tail
    each = [f"{data.classes[place]} {data.counts[place]:,} → {data.resampled[place]:,}" for place in order]
    whole = f"{data.counts.sum():,} training rows become {data.resampled.sum():,}"
    return f"dataset.sampling={dataset.sampling}: {whole} ({listing(each)})"


def _categories(record: Resampler, who: str, data: Prepared) -> tuple[Categories, ...]:
    """Return the features of categories.

    Raises
    ------
    ConfigError
        If categories were resampled as quantities, or there are no categories, or nothing else, to resample as such.
    """
    groups = categories_of(data)
    if data.ids and not record.mixed:
        raise ConfigError(
            f"{who} goes by distances, and the table has a column of {max(data.ids) - 1} categories, which are numbers "
            "to it: use dataset.sampling=smote_nc"
        )
    if record.mixed and not any(each.quantities == 0 for each in groups):
        raise ConfigError(f"{who} is for tables with columns of categories, and there are none: use smote")
    if record.mixed and sum(each.width for each in groups) == data.shape[0]:
        raise ConfigError(
            f"{who} finds neighbours by quantities, and all columns are categories: use dataset.sampling=class_balanced"
        )
    return groups


def _made(
    record: Resampler, who: str, rows: Rows, seed: int, groups: Sequence[Categories], options: Mapping[str, Any]
) -> tuple[Any, Any]:
    """Call the function; return whatever it returns, with the features of categories as they were."""
    if record.own:
        with plugins.telling(who, record.function):
            found = record.function(*rows, seed, **options)
        if not isinstance(found, tuple) or len(found) != 2:
            raise ConfigError(f"{who}: its function returns {type(found).__name__}; it must return (features, labels)")
        return found
    try:
        if not record.mixed:
            made: Rows = record.function(seed, **options).fit_resample(*rows)
            return made
        features, labels = rows
        coded, places = with_codes(features, groups)
        found, labels = record.function(seed, places, **options).fit_resample(coded, labels)
        return without_codes(found, groups, features.shape[1]), labels
    except (ValueError, RuntimeError) as error:
        said = " ".join(str(error).split())
        raise ConfigError(
            f"{who}: imbalanced-learn refuses these training rows: {said}; use another one, or leave it out"
        ) from None


def _checked(who: str, features: Any, labels: Any, data: Prepared) -> Rows:
    """Return the features as float32; refuse what no function may return, whoever wrote it."""
    is_array = isinstance(features, np.ndarray)
    form = f"{features.dtype} of shape {features.shape}" if is_array else type(features).__name__
    if not is_array or features.dtype.kind not in "fiu" or not features.ndim or features.shape[1:] != data.shape:
        raise ConfigError(
            f"{who}: its function returns features that are {form}; they must be numbers of shape (n, {data.shape[0]})"
        )
    if not isinstance(labels, np.ndarray):
        raise ConfigError(f"{who}: its function returns labels that are {type(labels).__name__}; return int64 (n,)")
    check_labels(labels, len(data.classes), f"{who}: its function returns")
    if np.ndim(labels) != 1 or len(labels) != len(features):
        raise ConfigError(f"{who}: its function returns {len(features)} rows and labels of shape {np.shape(labels)}")
    with np.errstate(over="ignore"):
        found = features.astype(np.float32, copy=False)
    if not np.isfinite(found).all():
        raise ConfigError(f"{who}: its function returns features that are NaN, infinite or too large for float32")
    _check_numbers(who, found, data.ids)
    return found, labels


def _check_numbers(who: str, features: Floats, ids: Sequence[int]) -> None:
    """Refuse what is no number of a category in the last features, of which a model looks up rows of a table."""
    first = features.shape[1] - len(ids)
    for place, categories in enumerate(ids, start=first):
        column = features[:, place]
        odd = column[(column != np.floor(column)) | (column < 0) | (column >= categories)]
        if odd.size:
            raise ConfigError(
                f"{who}: its function returns {odd[0]:g} in feature {place}, which is the number of a category: it "
                f"must be whole, from 0 to {categories - 1}"
            )


def with_codes(features: Floats, groups: Sequence[Categories]) -> tuple[Floats, list[int]]:
    """Return quantities, then one number for each category, and the places of these.

    Of one feature for each category the number counts from 1, and is 0 where all of them are 0.

    Parameters
    ----------
    features : float32 (n, features)
    """
    columns = [features[:, each.start : each.start + each.width] for each in groups]
    codes = [part[:, 0] if part.shape[1] == 1 else part.any(axis=1) * (1 + part.argmax(axis=1)) for part in columns]
    kept = features[:, _quantities(groups, features.shape[1])]
    places = list(range(kept.shape[1], kept.shape[1] + len(codes)))
    return np.column_stack([kept, *codes]).astype(np.float32), places


def without_codes(coded: Any, groups: Sequence[Categories], width: int) -> Floats:
    """Return features, float32 (n, width), as they were before `with_codes`; a missing value is 0 again."""
    found = np.zeros((len(coded), width), np.float32)
    quantities = _quantities(groups, width)
    found[:, quantities] = coded[:, : len(quantities)]
    for place, each in enumerate(groups, start=len(quantities)):
        codes = np.asarray(coded[:, place], np.float32)
        if each.width == 1:
            found[:, each.start] = codes
        else:
            found[:, each.start : each.start + each.width] = codes[:, np.newaxis] == np.arange(1, each.width + 1)
        found[codes == 1, each.start - each.quantities : each.start] = 0
    return found


def _quantities(groups: Sequence[Categories], width: int) -> list[int]:
    of_categories = {place for each in groups for place in range(each.start, each.start + each.width)}
    return [place for place in range(width) if place not in of_categories]
