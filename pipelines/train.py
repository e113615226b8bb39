"""Stage train: weigh, fit, and log what is known before the test split is seen."""

import sys

from equipoise.config.model import Config, training_sha256
from equipoise.core.paths import cache_folder, project_root
from equipoise.core.schema import ConfigError
from equipoise.data.prepare import prepare
from equipoise.runs import fit, resume
from equipoise.runs.dvc import ARTIFACTS, PARAMS, dvc_tags, run_folder, run_stage
from equipoise.tracking.history import TRAIN_STAGE
from equipoise.tracking.store import open_store
from equipoise.training import trained as handover


def step(config: Config) -> None:
    if config.trainer.strategy == "multi_worker":
        raise ConfigError(
            "trainer.strategy=multi_worker: a stage is one process; use python src/train.py in each worker"
        )
    data = prepare(config.dataset, cache_folder())
    tags = {**dvc_tags(config), "mlflow.source.name": TRAIN_STAGE}
    store = open_store(project_root(), config.tracking.name, needed=False)
    begun = resume.interrupted(store, config, data.data_sha256)
    with (
        fit.training_run(config, data, store, run_folder(), begun, tags=tags) as (log, _, built),
        fit.at_work(config, data, log),
    ):
        log.log_file(PARAMS, "config")
        _, trained = fit.train(config, data, log, built)
        handover.save(trained, ARTIFACTS, {"training_sha256": training_sha256(config), "data_sha256": data.data_sha256})


if __name__ == "__main__":
    sys.exit(run_stage(step))
