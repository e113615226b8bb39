"""pydantic's errors as a user reads them: one line for each option, by its dotted key and the value that was typed."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BeforeValidator, Field, ValidationError

from equipoise.config.messages import explained
from equipoise.core.schema import Names, Section


class Options(Section):
    count: Literal["all"] | Annotated[int, Field(ge=1)] = 1
    sizes: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False, min_length=1)] = (1,)
    names: Names = ()
    kind: Annotated[tuple[Literal["a", "b"], ...], BeforeValidator(lambda typed: (typed,))] = ("a",)
    rows: Annotated[str, Field(pattern="^x")] = "x"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"count": 0}, "at.count=0: must be 'all', or must be greater than or equal to 1"),
        ({"sizes": [1, 0]}, "at.sizes.1=0: must be greater than or equal to 1"),
        ({"sizes": []}, "at.sizes=[]: needs 1 or more"),
        ({"sizes": None}, "at.sizes is not set, and has no default; if null is a name: 'at.sizes=[\"null\"]'"),
        ({"names": [["b"]]}, "at.names.0=['b']: must be one name; if it has brackets: 'at.names=[\"[b]\"]'"),
        ({"kind": "c"}, "at.kind=c: must be 'a' or 'b'"),
        ({"rows": "y"}, "at.rows=y: must match pattern '^x'"),
        ({"counts": 1, "sizes": [1]}, "at.counts=1: there is no such option; choose from sizes"),
        ({"count": 0, "rows": "y"}, "at.count=0: must be 'all', or must be greater than or equal to 1\n"
                                    "at.rows=y: must match pattern '^x'"),
    ],
)  # fmt: skip
def test_an_error_names_the_option_and_its_value(typed: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Options.model_validate(typed)
    assert explained(caught.value, typed, "at") == said


def test_values_without_a_section_are_named_by_their_own_keys() -> None:
    with pytest.raises(ValidationError) as caught:
        Options.model_validate({"count": 0})
    assert explained(caught.value, {"count": 0}).startswith("count=0: must be")
