"""The line that shows in a notebook how far a training is."""

from equipoise.core.notebook import LiveLine


def test_it_is_changed_in_place_ten_times_a_second() -> None:
    now, shown = [0.0], []
    line = LiveLine(4, shown.append, clock=lambda: now[0])
    for epoch, seconds in enumerate((0.0, 0.05, 0.2, 0.25), start=1):
        now[0] = seconds
        line.advance(f"loss {epoch}")
    line.show()
    assert shown == [
        "━━━━──────────── 1/4 epochs  loss 1",
        "━━━━━━━━━━━━──── 3/4 epochs  loss 3",
        "━━━━━━━━━━━━━━━━ 4/4 epochs  loss 4",
    ]
