"""Stage train: weigh, fit, and log what is known before the test split is seen."""

import sys
from dataclasses import replace

from equipoise.config.differences import line_of_params
from equipoise.config.model import Config, training_sha256
from equipoise.core.errors import ConfigError
from equipoise.core.paths import cache_folder, project_root
from equipoise.core.terminal import console
from equipoise.data.prepare import prepare
from equipoise.data.resampling import resampled
from equipoise.runs.again import Again, to_repeat_on
from equipoise.runs.dvc import TRAIN_STAGE, checked_config, dvc_tags, run_folder
from equipoise.runs.dvc_training import keep_model, live_curves
from equipoise.runs.fit import fit
from equipoise.runs.log import log_inputs, log_trained
from equipoise.runs.log_script import log_plain_keras
from equipoise.runs.refit import refit
from equipoise.runs.session import Session
from equipoise.runs.stage import ARTIFACTS, PARAMS, read_params, run_stage
from equipoise.runs.start import start
from equipoise.runs.weigh import tell, weigh
from equipoise.tracking.store import open_store
from equipoise.training.plain.case import Origin
from equipoise.training.trained import save


def step(config: Config) -> None:
    if config.trainer.strategy == "multi_worker":
        raise ConfigError(
            "trainer.strategy=multi_worker: a stage is one process; use python src/train.py in each worker"
        )
    console.print(line_of_params(read_params(PARAMS)), soft_wrap=True)
    data = resampled(config.dataset, prepare(config.dataset, cache_folder()), config.seed)
    every = to_repeat_on(config, cache_folder())
    tags = {**dvc_tags(config), "mlflow.source.name": TRAIN_STAGE}
    store = open_store(project_root(), config.tracking.name, needed=False)
    with live_curves() as watch, Session(store, run_folder(), tags=tags, watch=watch) as session:
        session.begin(config, data)
        learner = start(config, data)
        with session.opened(config, data, learner) as log:
            log.log_file(PARAMS, "config")
            weights = weigh(config, data)
            tell(config, data, weights)
            log_inputs(config, log, data, weights)
            with session.followed(config, data, log) as follow:
                trained = fit(config, data, weights, learner, follow)
            log_trained(config, log, data, trained, learner)
            if every is not None:
                digest = refit(Again.of(config, trained, every), log, trained, keep_model)
                trained = replace(trained, weights_sha256=digest)  # by which the next stage finds the run
            else:
                learner.save(keep_model)
                log_plain_keras(config, log, data, weights, Origin(log.id, learner.how, trained.weights_sha256))
            digests = {"training_sha256": training_sha256(config), "data_sha256": data.data_sha256}
            save(trained, ARTIFACTS, digests)


if __name__ == "__main__":
    sys.exit(run_stage(checked_config, step))
