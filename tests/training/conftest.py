"""What the tests of scripts of plain Keras share."""

import pytest

from plain_scripts import table_of_labels


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return table_of_labels(tmp_path_factory.mktemp("several"))
