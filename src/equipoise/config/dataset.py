"""The config's section `dataset`, which can be checked alone: to prepare data takes no loss and no model."""

from collections.abc import Mapping
from typing import Annotated, Any

from equipoise.config.validation import validated
from equipoise.core.schema import OneOf, Section
from equipoise.data.catalogue import DATASETS
from equipoise.data.types import Dataset

AnyDataset = Annotated[
    Dataset,
    OneOf(DATASETS, lambda kind: (kind.function,), lambda kind: kind.section),
]


class _DatasetAlone(Section, defer_build=True):
    dataset: AnyDataset


def validate_dataset(composed: Mapping[str, Any]) -> Dataset:
    """Return the dataset of a composed config; the other sections are not looked at.

    Raises
    ------
    ConfigError
        With one line for each option of the dataset that is wrong.
    """
    return validated(_DatasetAlone, {key: value for key, value in composed.items() if key == "dataset"}).dataset
