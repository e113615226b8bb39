"""Draw the README's picture from the runs of the control recipe: recall by class under each weighting.

python src/train.py experiment=mnist_lt_control && make pictures
"""

import sys
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY / "src"))

from equipoise.core.colors import weighting_color
from equipoise.sweeps.planning import plan
from equipoise.tracking.history import sweep_runs
from equipoise.tracking.store import open_store

RECIPE = "experiment=mnist_lt_control"


def main() -> None:
    """Write docs/recall_head_to_tail.png."""
    found = plan([RECIPE, *sys.argv[1:]])
    assert found is not None
    assert found.sweep is not None
    runs = sweep_runs(open_store(REPOSITORY), found.sweep.id, ["count/", "test/recall/"])
    if len(runs) < len(found.jobs):
        sys.exit(f"{len(runs)} of {len(found.jobs)} runs are complete; first: python src/train.py {RECIPE}")
    figure = Figure((8, 3.6), layout="constrained")
    axes = figure.subplots()
    counts = [int(runs[0].class_counts[f"{index}"]) for index in range(10)]
    for name in dict.fromkeys(job.weighting.name for job in found.jobs):
        recall = np.array(
            [
                [run.metrics[f"test/recall/{index}"] for index in range(10)]
                for run in runs
                if run.tags["weighting"] == name
            ]
        )
        color = weighting_color(name)
        axes.plot(
            recall.mean(axis=0),
            "o-",
            color=color,
            linewidth=1.8,
            markersize=4,
            label=f"{name}: balanced accuracy {recall.mean():.3f}",
        )
        axes.fill_between(range(10), *np.quantile(recall, [0.1, 0.9], axis=0), color=color, alpha=0.1, linewidth=0)
    axes.set_xticks(range(10), [f"{index}\nn={count}" for index, count in enumerate(counts)])
    axes.set(ylabel="recall on the test split", ylim=(0, 1.02), xlim=(-0.2, 9.2))
    axes.set_title(
        f"Long-tailed MNIST: recall by digit, mean and 10-90 % of {len(recall)} runs each", loc="left", fontsize=10
    )
    axes.legend(frameon=False, loc="lower left")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(REPOSITORY / "docs" / "recall_head_to_tail.png", dpi=120)


if __name__ == "__main__":
    main()
