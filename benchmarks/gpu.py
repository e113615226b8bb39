"""Time an epoch of each engine on a GPU, of what a user would write instead, and of a loop by hand."""

from typing import Any

from equipoise.training import runtime

runtime.start("gpu", "auto", deterministic=True)

from epochs import Case, measured

ROUNDS = 5
WIDE = ("model.filters=[64,128,256]",)
CASES = {
    "MLP, 58,000 × 9, batch 256": Case("mlp", (58_000, 9), 256, 6),
    "Conv1D, 1,000 × 128, batch 32": Case("conv1d", (1_000, 128, 1), 32, 6),
    "CNN, 12,800 × 28 × 28, batch 128": Case("cnn", (12_800, 28, 28, 1), 128, 3),
    "CNN, 2,000 PNG files of 32 × 32, batch 32": Case("cnn", (2_000, 32, 32, 3), 32, 4, from_files=True),
    "CNN of 64, 128 and 256 filters, 20,000 × 32 × 32 × 3, batch 512": Case(
        "cnn", (20_000, 32, 32, 3), 512, 3, options=WIDE
    ),
}
HALF = {
    f"`loss=custom trainer.engine={engine} trainer.precision=mixed_bfloat16`": [
        "loss=custom",
        f"trainer.engine={engine}",
        "trainer.precision=mixed_bfloat16",
    ]
    for engine in ("fit", "resident")
}


def measure(rounds: int) -> tuple[dict[str, Any], str]:
    """Return seconds an epoch of each way in each case, and the table of their ratios to `model.fit`."""
    return measured({name: (case, HALF if case.options else {}) for name, case in CASES.items()}, rounds)
