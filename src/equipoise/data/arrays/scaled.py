"""Arrays scaled by their training rows, a block at a time, so that they may be larger than memory."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from equipoise.core.errors import ConfigError, counted, listing
from equipoise.core.schema import Counts, Floats, Integers
from equipoise.data.scaling import FAR, Fitting, Moments
from equipoise.data.types import SPLITS, ArrayPreprocessing, Loaded, Preprocessing

Scale = Literal["none", "standard", "byte"]
Array = np.ndarray[Any, np.dtype[Any]]


class SeriesPreprocessing(Preprocessing):
    """Series of unequal length: (x - shift) * factor of each channel before its end, 0 after it, and a mask channel.

    The mask is the last channel: 1 before the end of a series, 0 after it.
    """

    kind: Literal["series"] = "series"
    shape: Annotated[Counts, Field(min_length=2, max_length=2)]  # steps, and channels with the mask
    shift: Annotated[tuple[float, ...], Field(strict=False, min_length=1)]
    factor: Annotated[tuple[float, ...], Field(strict=False, min_length=1)]

    def apply(self, rows: Any) -> Floats:
        """Scale numbers (n, steps, channels) whose last channel is the mask, or a list of series (channels, own steps).

        Raises
        ------
        ConfigError
            If a series is longer than any that was prepared, or has other channels.
        """
        steps, channels = self.shape
        if isinstance(rows, list):
            for row, one in enumerate(rows):
                if len(one) != channels - 1 or one.shape[1] > steps:
                    raise ConfigError(
                        f"series {row} has {counted(len(one), 'channel', 'channels')} of {one.shape[1]} steps; "
                        f"possible are {channels - 1} of up to {steps}"
                    )
            rows = padded(rows, steps, mask=True)
        values = np.asarray(rows, np.float64)
        there = values[..., -1:]
        with np.errstate(over="ignore"):
            scaled = np.where(there > 0, (values[..., :-1] - np.array(self.shift)) * np.array(self.factor), 0)
            found: Floats = np.concatenate([scaled, there], axis=-1).astype(np.float32)
        return found


def padded(samples: Sequence[Floats], steps: int, *, mask: bool) -> Floats:
    """Pad series (channels, own steps) to float64 (n, steps, channels), with or without the mask as last channel."""
    array = np.zeros((len(samples), steps, len(samples[0]) + mask))
    for index, sample in enumerate(samples):
        array[index, : sample.shape[1], : len(sample)] = sample.T
        if mask:
            array[index, : sample.shape[1], -1] = 1
    return array


@dataclass(frozen=True)
class Numbers:
    """Samples of numbers, all of one shape.

    Attributes
    ----------
    name : as messages call them
    shape : of one sample
    blocks : read whole samples, each block with the number of its first sample
    masked : whether the last channel is a mask, 0 where a series is padded
    """

    name: str
    shape: tuple[int, ...]
    blocks: Callable[[], Iterator[tuple[int, Array]]]
    masked: bool = False

    def by_feature(self, block: Array) -> Array:
        """Return the block as (values, features), or (values, channels) of more dimensions; NaN where it is padded."""
        rows = block.reshape(-1, block.shape[-1])
        return np.where(rows[:, -1:] > 0, rows[:, :-1], np.nan) if self.masked else rows


def finite(block: Array, start: int, name: str) -> Array:
    """Return the block.

    Parameters
    ----------
    start : the number of its first sample

    Raises
    ------
    ConfigError
        If a sample holds NaN or infinity.
    """
    good = np.isfinite(block).reshape(len(block), -1).all(axis=1)
    if not good.all():
        raise ConfigError(f"{name}: sample {start + int(np.argmin(good))} holds NaN or infinity: replace or remove it")
    return block


def write_scaled(numbers: Numbers, rows: Mapping[str, Integers], folder: Path, scale: Scale) -> Loaded:
    """Scale by the training rows and write each split into the folder, in two passes over the blocks."""
    moments = _fitted(numbers, rows["train"]) if scale == "standard" else None
    learned = _learned(numbers, scale, moments)
    features = {
        split: np.lib.format.open_memmap(
            folder / f"{split}_features.npy", mode="w+", dtype=np.float32, shape=(len(members), *numbers.shape)
        )
        for split, members in rows.items()
    }
    far = dict.fromkeys(SPLITS, 0)
    for start, block in numbers.blocks():
        scaled = learned.apply(block)
        if not np.isfinite(scaled).all():
            raise ConfigError(f"{numbers.name} holds numbers that are too large for float32: scale them first")
        for split, members in rows.items():
            low, high = np.searchsorted(members, (start, start + len(block)))
            own = members[low:high] - start
            features[split][low:high] = scaled[own]
            if moments is not None and split != "train" and low < high:
                is_far = moments.far(numbers.by_feature(block[own])).reshape(len(own), -1)
                far[split] += int(is_far.any(axis=1).sum())
    notes = [] if moments is None else _constant(moments, numbers)
    for split, count in far.items():
        told = f"{split} samples {'lies' if count == 1 else 'lie'} more than {FAR:g} deviations"
        notes += [f"{numbers.name}: {count} of {len(rows[split])} {told} outside the training range"] if count else []
    return Loaded(dict(features), numbers.shape, tuple(notes), preprocessing=learned)


def scaled_as_learned(numbers: Numbers, learned: Preprocessing) -> Loaded:
    """Scale all samples, as the test split, by what was learned of other samples.

    Raises
    ------
    ConfigError
        If they have another shape.
    """
    known = vars(learned)["shape"]
    if numbers.shape != known:
        raise ConfigError(f"{numbers.name} has samples of shape {numbers.shape}; the model was trained on {known}")
    scaled = np.concatenate([learned.apply(block) for _, block in numbers.blocks()])
    return Loaded({"test": scaled}, known, preprocessing=learned)


def _constant(moments: Moments, numbers: Numbers) -> list[str]:
    """Tell of features, or channels of samples with more dimensions, that have one value in the training rows."""
    found = np.flatnonzero(moments.constant)
    if not len(found):
        return []
    one, several = ("feature", "features") if len(numbers.shape) == 1 else ("channel", "channels")
    alone = len(found) == 1
    told = f"{one} {found[0]} is" if alone else f"{len(found)} of {len(moments.constant)} {several} are"
    values = listing([f"{moments.mean[index]:.12g}" if alone else f"{index}" for index in found], 5)
    nothing = f"so that nothing is learned of {'it' if alone else 'them'}"
    return [f"{numbers.name}: {told} constant in the training rows ({values}), {nothing}"]


def _fitted(numbers: Numbers, train: Integers) -> Moments:
    """Compute the moments of the training rows: of each feature, or of each channel of more dimensions."""
    fitting = Fitting()
    for start, block in numbers.blocks():
        low, high = np.searchsorted(train, (start, start + len(block)))
        if low < high:
            fitting.add(numbers.by_feature(block[train[low:high] - start]))
    return fitting.moments()


def _learned(numbers: Numbers, scale: Scale, moments: Moments | None) -> ArrayPreprocessing | SeriesPreprocessing:
    if moments is None:
        shift: Floats = np.zeros(1)
        factor: Floats = np.array([1 / 255 if scale == "byte" else 1.0])
    elif np.isfinite(moments.mean).all() and np.isfinite(moments.deviation).all():
        shift, factor = moments.mean, 1 / moments.deviation
    else:
        raise ConfigError(f"{numbers.name} holds numbers that are too large to be standardised: scale them first")
    kind = SeriesPreprocessing if numbers.masked else ArrayPreprocessing
    return kind(shape=numbers.shape, shift=tuple(shift.tolist()), factor=tuple(factor.tolist()))
