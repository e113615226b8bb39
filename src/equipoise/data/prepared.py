"""The contract between preparing and everything after it: arrays on disk, mapped into memory, with their metadata.

A prepared dataset is a folder: for each split `<split>_features.npy` (float32) or, for images that are decoded
while training, `<split>_paths.npy`, and `<split>_labels.npy` (int64); and `metadata.json`. Knows nothing of where
the samples came from.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equipoise.data.images import ImageFiles
from equipoise.data.sources import Samples
from equipoise.options import Floats, Integers

METADATA = "metadata.json"


@dataclass(frozen=True)
class Prepared:
    """One prepared dataset.

    Attributes
    ----------
    classes : class names, in the order of the label indices
    shape : of one sample
    counts : int64 (classes,), the samples of each class in the training split
    data_sha256 : digest of all arrays, equal wherever the same data are prepared
    reference : numbers known of the data by construction, such as the Bayes optimum
    notes : what every run on these data must tell
    image_root : the folder of the images, if they are decoded while training
    image_formats : those that occur among them
    """

    folder: Path
    classes: tuple[str, ...]
    shape: tuple[int, ...]
    counts: Integers
    data_sha256: str
    reference: dict[str, float]
    notes: tuple[str, ...] = ()
    image_root: str | None = None
    image_formats: tuple[str, ...] = ()

    def split(self, name: str) -> Samples:
        """`train`, `validation` or `test`, mapped and not loaded."""
        labels = np.load(self.folder / f"{name}_labels.npy", mmap_mode="r", allow_pickle=False)
        if self.image_root is None:
            return Samples(np.load(self.folder / f"{name}_features.npy", mmap_mode="r", allow_pickle=False), labels)
        paths = np.load(self.folder / f"{name}_paths.npy", mmap_mode="r", allow_pickle=False)
        height, width, channels = self.shape
        return Samples(ImageFiles(self.image_root, paths, (height, width, channels), self.image_formats), labels)

    @property
    def several_labels(self) -> bool:
        """Whether a sample may have several labels, or none."""
        return self.split("train").labels.ndim == 2

    @property
    def prior(self) -> Floats:
        """p_c = n_c / N of the training split."""
        prior: Floats = self.counts / self.counts.sum()
        return prior

    @property
    def head_to_tail(self) -> Integers:
        """Class indices from the most to the least frequent."""
        return np.argsort(-self.counts, kind="stable")


def open_prepared(folder: Path) -> Prepared:
    """Read the metadata of a finished preparation."""
    metadata = json.loads((folder / METADATA).read_text())
    return Prepared(
        folder,
        tuple(metadata["classes"]),
        tuple(metadata["shape"]),
        np.array(metadata["counts"], dtype=np.int64),
        metadata["data_sha256"],
        metadata["reference"],
        tuple(metadata["notes"]),
        metadata["image_root"],
        tuple(metadata["image_formats"]),
    )
