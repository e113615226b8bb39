"""What the tests of scripts of plain Keras share."""

from collections.abc import Iterator
from typing import Any

import pytest

from plain_scripts import precision_set_back, table_of_labels


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return table_of_labels(tmp_path_factory.mktemp("several"))


@pytest.fixture
def _float32(tensorflow: Any) -> Iterator[None]:
    with precision_set_back():
        yield
