"""Two ensembles of a published table, beside the runs of grid.yaml, as `make published` writes them."""

import sys
from collections.abc import Sequence

import numpy as np
from grid import METHOD, named_runs
from marked import rewrite, table

from equipoise.comparison.configurations import dataset_title
from equipoise.core.paths import project_root
from equipoise.tracking.history import Logged

# F-measure of the rarer class: A Novel Selective Ensemble Algorithm for Imbalanced Data Classification Based on
# Exploratory Undersampling, Mathematical Problems in Engineering 2014, 358942, table 5.
PUBLISHED = {
    "wdbc": {"RUSBoost": 0.9218, "EasyEnsemble": 0.9394},
    "ionosphere": {"RUSBoost": 0.8708, "EasyEnsemble": 0.8942},
    "pima": {"RUSBoost": 0.6750, "EasyEnsemble": 0.6662},
    "german": {"RUSBoost": 0.6149, "EasyEnsemble": 0.6114},
    "haberman": {"RUSBoost": 0.4549, "EasyEnsemble": 0.4652},
}


def main() -> int:
    """Write the table into docs/published.md; return 1 if runs are missing."""
    runs, lacking = named_runs("published", ["test/f1/"])
    print("\n".join(f"missing: {each}" for each in lacking))
    if not lacking:
        rewrite(project_root() / "docs" / "published.md", "make published (ensembles)", told(runs))
    return bool(lacking)


def told(runs: Sequence[Logged]) -> str:
    """Return a row for each data set: each method's published F-measure, and its mean and deviation over the folds."""
    lines = []
    for dataset, published in PUBLISHED.items():
        row = [dataset]
        for method, value in published.items():
            found = [of_rarer(run) for run in runs if (dataset_title(run), run.params[METHOD]) == (dataset, method)]
            row += [f"{value:.3f}", f"{np.mean(found):.3f} ± {np.std(found, ddof=1):.3f}"]
        lines.append(row)
    return table(["data set", *(name for each in published for name in (f"{each}, published", "here"))], lines)


def of_rarer(run: Logged) -> float:
    """Return the F-measure of the class with the fewest training samples."""
    return run.metrics[f"test/f1/{[*run.class_counts][-1]}"]


if __name__ == "__main__":
    sys.exit(main())
