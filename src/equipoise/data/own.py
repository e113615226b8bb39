"""A dataset of the user's own: what the function returns, read into arrays and scaled as the arrays of an npz are."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from equipoise.core import plugins
from equipoise.core.errors import ConfigError, listing
from equipoise.core.schema import Integers
from equipoise.data import texts
from equipoise.data.arrays.scaled import Array, Numbers, Scale, finite, scaled_as_learned, write_scaled
from equipoise.data.labels import Labels, in_array
from equipoise.data.splitting import Divided
from equipoise.data.types import SPLIT_NAMES, SPLITS, Loaded, Raw

Pair = tuple[Array, Array]
MOST_SAMPLES, MOST_NUMBERS = 10_000_000, 2**29  # beyond which a generator never ends, or does not fit in memory
FORMS = (
    "a pair (features, labels) of arrays, a generator of such batches, a tf.data.Dataset, "
    "or a mapping of train, validation and test to these"
)


class OwnDataset(Divided):
    """The keys that every dataset of the user's own has."""

    scale: Scale


def raw_of(function: Callable[..., Any], options: Mapping[str, Any], scale: Scale) -> Raw:
    """Call the function, and return its data as one piece that is to be divided.

    The function is called whenever a process asks for the data: their digest is that of what it returns.

    Raises
    ------
    ConfigError
        If it fails, or returns anything but numbers, or texts, with a label each.
    """
    who = f"dataset={function.__name__}"
    with plugins.telling(who, function):
        found = function(**options)
        parts = {name: _pair(value, who, name) for name, value in _by_split(found, who).items()}
        shapes = sorted({_form(features) for features, _ in parts.values()})
        if len(shapes) > 1:
            raise ConfigError(f"{who}: its splits have samples of the shapes {listing(shapes)}; they must have one")
        features = np.concatenate([features for features, _ in parts.values()])
        values = np.concatenate([labels for _, labels in parts.values()])
        labels = in_array(values, f"{who}, its labels,", ())
    places = [SPLITS.index(name) + 1 if name else 0 for name in parts]
    sizes = [len(features) for features, _ in parts.values()]
    given = np.repeat(places, sizes).astype(np.int8) if any(places) else None
    content = _digest(features, values, given, scale)
    if texts.are_texts(features):
        return _of_texts(features, labels, content, given)

    def blocks() -> Iterator[tuple[int, Array]]:
        with plugins.placing(function):
            yield 0, finite(features, 0, who)

    numbers = Numbers(who, features.shape[1:], blocks)
    return Raw(
        labels.classes,
        labels.indices,
        features.ndim - 1,
        content,
        lambda rows, folder: write_scaled(numbers, rows, folder, scale),
        None,
        given,
        labels.notes,
        again=lambda learned: scaled_as_learned(numbers, learned),
    )


def _form(features: Array) -> str:
    return "text" if texts.are_texts(features) else str(features.shape[1:])


def _of_texts(features: texts.Texts, labels: Labels, content: str, given: Integers | None) -> Raw:
    return Raw(
        labels.classes,
        labels.indices,
        len(texts.SHAPE),
        content,
        lambda rows, folder: texts.written(features, rows, folder),
        None,
        given,
        labels.notes,
        again=lambda learned: Loaded({"test": features}, texts.SHAPE, preprocessing=learned),
        texts=True,
    )


def _by_split(found: Any, who: str) -> dict[str, Any]:
    """Return the parts by the names of their splits; "" for data that are divided here."""
    if not isinstance(found, Mapping):
        return {"": found}
    named = {str(name): SPLIT_NAMES.get(str(name).strip().casefold(), 0) for name in found}
    odd = [name for name, place in named.items() if not place]
    if odd or "train" not in {SPLITS[place - 1] for place in named.values() if place}:
        raise ConfigError(f"{who}: its function returns a mapping of {listing(list(named))}; it must return {FORMS}")
    return {SPLITS[named[str(name)] - 1]: value for name, value in found.items()}


def _pair(found: Any, who: str, split: str) -> Pair:
    part = f"{who}: its function" + (f", for the {split} split," if split else "")
    if found is None:
        raise ConfigError(f"{part} returns None; it must return {FORMS}: is its `return` missing?")
    if hasattr(found, "as_numpy_iterator"):
        if int(found.cardinality()) == -1:  # tf.data.INFINITE_CARDINALITY
            raise ConfigError(f"{part} gives a tf.data.Dataset that never ends: leave .repeat() out")
        found = found.as_numpy_iterator()
    features, labels = _joined(found, part) if isinstance(found, Iterator) else _two(found, part)
    if features.ndim == 1 and texts.are_texts(features):
        features = texts.encoded(features, part)
    elif features.dtype.kind not in "fiub":
        raise ConfigError(
            f"{part} gives features of type {features.dtype} and shape {features.shape}; they must be numbers: encode "
            "them; or texts, (samples,), for a model of your own that takes them"
        )
    elif features.ndim < 2:
        raise ConfigError(f"{part} gives features of shape {features.shape}; it must be (samples, …)")
    odd = labels.dtype.kind == "O" and {
        type(each).__name__ for each in labels.ravel() if not isinstance(each, str | bytes | int | float)
    }
    if odd:
        raise ConfigError(f"{part} gives labels of type {listing(sorted(odd))}; a label is a number or a text")
    if labels.dtype.kind == "O" or labels.dtype.kind == "S":
        labels = np.array([label.decode() if isinstance(label, bytes) else str(label) for label in labels.ravel()])
    if len(features) != len(labels):
        raise ConfigError(f"{part} gives {len(features)} samples and {len(labels)} labels")
    if not len(features):
        raise ConfigError(f"{part} gives no samples")
    return features, labels


def _two(found: Any, part: str) -> Pair:
    if not isinstance(found, tuple | list) or len(found) != 2:
        what = f"{len(found)} things" if isinstance(found, tuple | list) else type(found).__name__
        raise ConfigError(f"{part} returns {what}; it must return {FORMS}")
    features, labels = (np.asarray(values) for values in found)
    return features, labels


def _joined(found: Iterable[Any], part: str) -> Pair:
    """Join batches, or samples one by one, which have a single label each."""
    pairs: list[Pair] = []
    samples = numbers = 0
    for each in found:
        features, labels = _two(each, part)
        pairs.append((features, labels))
        samples, numbers = samples + labels.size, numbers + features.size
        if samples > MOST_SAMPLES or numbers > MOST_NUMBERS:
            raise ConfigError(
                f"{part} gives more than {MOST_SAMPLES:,} samples or {MOST_NUMBERS:,} numbers: does its generator end? "
                "Larger data are read by dataset=tfrecord"
            )
    if not pairs:
        raise ConfigError(f"{part} gives no batch; a tf.data.Dataset must not be repeated, nor a generator used up")
    of_samples = pairs[0][1].ndim == 0
    join = np.stack if of_samples else np.concatenate
    return join([features for features, _ in pairs]), join([labels for _, labels in pairs])


def _digest(features: Array, labels: Array, given: Integers | None, scale: str) -> str:
    digest = hashlib.sha256(f"{features.dtype} {features.shape} {labels.tolist()} {scale}".encode())
    digest.update(np.ascontiguousarray(features).tobytes())
    digest.update(b"" if given is None else given.tobytes())
    return digest.hexdigest()
