"""Stage train: weigh, fit, and log what is known before the test split is seen."""

import sys

from equipoise import fitting, handover, resume
from equipoise.config import Config, training_sha256
from equipoise.data.prepare import prepare
from equipoise.options import ConfigError
from equipoise.paths import cache_folder, project_root
from equipoise.pipeline import ARTIFACTS, PARAMS, TRAIN_STAGE, dvc_tags, run_folder, run_stage
from equipoise.store import open_store


def step(config: Config) -> None:
    if config.trainer.strategy == "multi_worker":
        raise ConfigError("trainer.strategy=multi_worker: a stage is one process; use python src/train.py in each worker")
    data = prepare(config.dataset, cache_folder())
    tags = {**dvc_tags(config), "mlflow.source.name": TRAIN_STAGE}
    store = open_store(project_root(), config.tracking.name, needed=False)
    begun = resume.interrupted(store, config, data.data_sha256)
    with fitting.training_run(config, data, store, run_folder(), begun, tags=tags) as (log, _, built), fitting.at_work(config, log):
        log.log_file(PARAMS, "config")
        _, trained = fitting.train(config, data, log, built)
        handover.save(trained, ARTIFACTS, {"training_sha256": training_sha256(config), "data_sha256": data.data_sha256})


if __name__ == "__main__":
    sys.exit(run_stage(step))
