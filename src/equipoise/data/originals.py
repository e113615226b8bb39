"""Files that stay where they are while a model learns from them: tell which one was changed since it was prepared."""

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from equipoise.core.errors import ConfigError
from equipoise.data import preprocessing
from equipoise.data.images.dataset import ImageFiles, examined_file
from equipoise.data.prepared import Prepared
from equipoise.data.shards import RecordArrays, RecordImages
from equipoise.data.types import SPLITS

BLOCK = 64  # samples read at a time


@contextlib.contextmanager
def unchanged(data: Prepared) -> Iterator[None]:
    """Replace TensorFlow's errors of a file that is gone or damaged by one that names it.

    Where TensorFlow is not loaded, all samples are in memory, and nothing is done.

    Raises
    ------
    ConfigError
        If an image cannot be decoded any more.
    OSError
        If a shard cannot be read any more.
    """
    if "tensorflow" not in sys.modules:
        yield
        return
    import tensorflow as tf

    errors = tf.errors
    unread = (errors.NotFoundError, errors.InvalidArgumentError, errors.UnknownError, errors.DataLossError)
    # A folder in the place of a file is a failed precondition.
    unopened = (errors.PermissionDeniedError, errors.FailedPreconditionError, errors.OutOfRangeError)
    try:
        yield
    except (*unread, *unopened):
        for name in SPLITS:
            features = data.split(name).features
            if isinstance(features, ImageFiles):
                _check_images(features, data)
            elif isinstance(features, RecordArrays | RecordImages):
                for start in range(0, len(features), BLOCK):
                    features.records[start : start + BLOCK].read()
        raise


def _check_images(images: ImageFiles, data: Prepared) -> None:
    most = int(vars(preprocessing.read(data.folder))["max_pixels"])
    for path, way in zip(images.paths, images.ways, strict=True):
        with warnings.catch_warnings(action="ignore"):  # as in preparing
            found = examined_file(Path(images.root), bytes(path), most)
        if isinstance(found, str) or found.way != way:
            what = found if isinstance(found, str) else "is another image"
            raise ConfigError(
                f"{Path(images.root, os.fsdecode(path))} was changed after it was prepared: it {what}; "
                "put it back as it was, or type the command again, which prepares the images that are there then"
            )
