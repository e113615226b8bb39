"""Time an epoch of each engine on the CPU, of what a user would write instead, and of a loop by hand."""

from typing import Any

from equipoise.training import runtime

runtime.start("cpu", "auto", deterministic=True)

from epochs import Case, measured

ROUNDS = 5
CASES = {
    "MLP, 58,000 × 9, batch 256": Case("mlp", (58_000, 9), 256, 6, xla="epoch"),
    "Conv1D, 1,000 × 128, batch 32": Case("conv1d", (1_000, 128, 1), 32, 6, xla="step"),
    "CNN, 12,800 × 28 × 28, batch 128": Case("cnn", (12_800, 28, 28, 1), 128, 3),
    "CNN, 2,000 PNG files of 32 × 32, batch 32": Case("cnn", (2_000, 32, 32, 3), 32, 4, from_files=True),
}


def _with_jit(jit: str) -> dict[str, list[str]]:
    return {
        f"`loss=custom trainer.engine=resident trainer.jit={jit}`": [
            "loss=custom",
            "trainer.engine=resident",
            f"trainer.jit={jit}",
        ]
    }


def measure(rounds: int) -> tuple[dict[str, Any], str]:
    """Return seconds an epoch of each way in each case, and the table of their ratios to `model.fit`."""
    # By default (`trainer.jit=auto`) XLA compiles the MLP's steps, so it is measured without; the Conv1D's with.
    more = {"epoch": _with_jit("false"), "step": _with_jit("true"), None: {}}
    return measured({name: (case, more[case.xla]) for name, case in CASES.items()}, rounds)
