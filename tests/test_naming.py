"""What runs are called."""

import pytest

from equipoise.naming import VARIED, run_name
from helpers import composed


@pytest.mark.parametrize(
    ("varied", "name"),
    [
        ("", "effective_number · class_weight · mlp · seed 3"),
        ("weighting,seed", "effective_number · seed 3"),
        ("seed,weighting.beta,model.hidden,dataset.imbalance_ratio", "effective_number · beta 0.99 · hidden [64, 64] · imbalance_ratio 20 · seed 3"),
        ("model,experiment", "effective_number · mlp · seed 3"),
    ],
)
def test_a_run_is_called_by_what_its_sweep_varies(varied: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIED, varied)
    assert run_name(composed("dataset=digits_lt", "model=mlp", "weighting=effective_number", "weighting.beta=0.99", "seed=3")) == name
