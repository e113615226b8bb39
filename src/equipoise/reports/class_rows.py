"""Which classes a table in the terminal shows, where there are many."""

from equipoise.core.schema import Integers

# Of more classes than this, a table shows the most and the least frequent ones.
MOST_ROWS = 40


def shown_classes(head_to_tail: Integers) -> list[int | None]:
    """Return the class indices of a table's rows; of many, the most and the least frequent, with None between them."""
    order: list[int | None] = [int(index) for index in head_to_tail]
    half = MOST_ROWS // 2
    return order if len(order) <= MOST_ROWS else [*order[:half], None, *order[-half:]]
