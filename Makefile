# Every target runs inside .venv, which it makes and keeps up to date.
PYTHON ?= python3
EXTRA ?=
ARGS ?=
PORT ?= 5000
RUN ?=
VIEW ?=
HOSTS ?=
ARTIFACTS ?=

VENV := .venv
BIN := $(VENV)/bin
HASH := \#
# What `dvc plots show` draws on, by .dvc/config.
PLOTS_PAGE := .dvc/tmp/made_by_make_setup.html
# One worker more than cores: many tests wait for a server or a cluster. Tests of one file stay together, since they
# share trained models, and files keep their order: xdist would put those last that have few tests, and long ones.
WORKERS := $(shell echo $$(( $$(getconf _NPROCESSORS_ONLN) + 1 )))
PARALLEL := -n $(WORKERS) --maxprocesses 8 --dist loadfile --no-loadscope-reorder
EXTRAS := gpu sweeps server s3 rivals study docs dev bench
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate
export PATH := $(CURDIR)/$(BIN):$(PATH)
# If the caller sets it, imports stay uncompiled and start-up takes three times as long.
unexport PYTHONDONTWRITEBYTECODE

# Each lock is installed once: its stamp is named by its checksum, so that an unchanged lock costs nothing.
define install
	@stamp="$(VENV)/installed/$(notdir $(1))-$$(cksum < $(1) | tr ' ' -)"; \
	if [ ! -e "$$stamp" ]; then \
		echo "Installing $(1) into $(VENV): takes minutes the first time, and again only if it changes"; \
		$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r $(1) || exit 1; \
		mkdir -p $(VENV)/installed; rm -f $(VENV)/installed/$(notdir $(1))-*; touch "$$stamp"; \
	fi

endef

.DEFAULT_GOAL := help
.PHONY: help setup dev train test coverage test-fast test-gpu lint params repro experiments study study-quick controls \
	published paper docs ui server doctor bench pictures methods system audit lowest newest lock clean

help:  ## Show this list
	@sed -nE 's/^([a-z-]+)[ a-z]*:.*  ## (.*)/\1\t\2/p' Makefile | expand -t 12

setup: $(BIN)/uv  ## Make .venv with the pinned dependencies; EXTRA="gpu …" adds optional groups
	$(call install,requirements.txt)
	$(foreach extra,$(EXTRA),$(call install,requirements/$(extra).txt))
	@[ $(PLOTS_PAGE) -nt requirements.txt ] || PYTHONPATH=src python pipelines/plots_page.py

dev: setup
	$(call install,requirements/dev.txt)

$(BIN)/uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "Python 3.11 to 3.13 is needed; name one: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

train: setup  ## Train one run: python src/train.py weighting=balanced; ARGS="…" adds overrides
	@python src/train.py weighting=balanced $(ARGS)

test: dev  ## Run every test
	@python -m pytest $(PARALLEL) $(ARGS)

coverage: dev  ## Run every test, and list the lines of src/ that none has run
	@rm -f .coverage .coverage.*
	@COVERAGE_FILE=$(CURDIR)/.coverage coverage run -m pytest $(PARALLEL) $(ARGS); \
		coverage combine --quiet && coverage report

test-fast: dev  ## Run the fast tests, for the inner loop
	@python -m pytest $(PARALLEL) -m "not slow and not gpu" $(ARGS)

test-gpu:  ## Install TensorFlow's GPU libraries; run the tests that need a GPU, and those of the engines on it
	@$(MAKE) --no-print-directory dev EXTRA=gpu
	@python -m pytest -m gpu $(ARGS)
	@python -m pytest --device=gpu $(addprefix tests/training/test_,graph.py precision.py resident.py fit.py second_stage.py divergence.py training_audit.py) $(ARGS)

lint: dev  ## Check style, types and the order of imports
	@ruff format --check . && ruff check . && mypy && mypy pipelines && mypy docs && PYTHONPATH=src lint-imports
	@MYPYPATH=src:tests:pipelines:pipelines/study mypy --follow-imports=silent benchmarks

params: setup  ## Write params.yaml from conf/, and the dependencies of the DVC stages
	@PYTHONPATH=src python pipelines/compose.py
	@python pipelines/dependencies.py

repro: setup  ## Bring the DVC pipeline up to date: dvc repro; ARGS="…" adds options
	@dvc repro $(ARGS)

# Without options DVC has a column for every option and every file that a stage depends on.
experiments: setup  ## Show DVC's experiments in 120 columns: headline metrics, and the options that differ
	@dvc exp show --no-pager --only-changed --drop 'Created|(src|pipelines|artifacts|conf|plugins|data)(/|$$)' $(ARGS)

# A run prints RUN=experiment/run at its end, a sweep VIEW=experiment/view, a saved view.
OF_RUN = $(HASH)/experiments/$(subst /,/runs/,$(RUN))?workflowType=machine_learning
CHARTS := compareRunsMode=CHART&workflowType=machine_learning
OF_VIEW = $(HASH)/experiments/$(subst /,/runs?viewStateShareKey=,$(SHOWN))&$(CHARTS)
OF_ALL = $(HASH)/experiments?workflowType=machine_learning
NEWEST := $(if $(wildcard mlflow.db),$(shell cat outputs/newest_view 2>/dev/null))
SHOWN = $(or $(VIEW),$(NEWEST))
PAGE = $(if $(RUN),$(OF_RUN),$(if $(SHOWN),$(OF_VIEW),$(OF_ALL)))

study:  ## Train what the study's table lacks, hours on 2 cores, and write docs/study.md; ARGS="minutes=40 only=centre"
	@$(MAKE) --no-print-directory setup EXTRA="rivals study"
	@dvc --cd pipelines/study repro --quiet data
	@PYTHONPATH=src:pipelines python pipelines/study/run.py $(ARGS); found=$$?; [ $$found = 2 ] && exit 2; \
		PYTHONPATH=src:pipelines python pipelines/study/report.py && exit $$found

study-quick:  ## A small part of the study, 15 minutes on 2 cores: whether its conclusions have the signs of docs/study.md
	@$(MAKE) --no-print-directory setup EXTRA="rivals study"
	@dvc --cd pipelines/study repro --quiet data
	@PYTHONPATH=src:pipelines python pipelines/study/run.py quick $(ARGS)
	@PYTHONPATH=src:pipelines python pipelines/study/report.py quick

controls:  ## Train every rival of a weight on six data sets, and write docs/controls.md: what is there is not trained again
	@$(MAKE) --no-print-directory setup EXTRA="sweeps rivals"
	@PYTHONPATH=src:pipelines python pipelines/grid.py controls; grid=$$?; \
		PYTHONPATH=src:pipelines python pipelines/controls/page.py && exit $$grid

published:  ## Repeat two published tables by the project's own commands, and write docs/published.md: minutes
	@$(MAKE) --no-print-directory setup EXTRA="sweeps rivals"
	@cd pipelines/published && uv pip install --quiet --no-deps --require-hashes --target package -r data.txt && \
		rm -rf files && mv package/ISLP/data files && rm -rf package
	@PYTHONPATH=src:pipelines python pipelines/published/islr.py
	@PYTHONPATH=src:pipelines python pipelines/grid.py published
	@PYTHONPATH=src:pipelines python pipelines/published/ensembles.py

paper:  ## Set docs/paper/paper.md as docs/paper/paper.pdf, with the numbers that pipelines/study/report.py wrote
	@$(MAKE) --no-print-directory setup EXTRA=study
	@python docs/paper/pdf.py

ui: setup  ## Open MLflow on the newest sweep's verdict; each run and sweep prints the command that opens its page
	@echo "In about half a minute: http://127.0.0.1:$(PORT)/$(PAGE) (Ctrl-C ends it)"
	@MLFLOW_DISABLE_TELEMETRY=true mlflow server --backend-store-uri "sqlite:///$(CURDIR)/mlflow.db" \
		--host 127.0.0.1 --port $(PORT) --workers 1

server:  ## Start a tracking server with users and permissions, on PostgreSQL; PORT=5001, HOSTS=mlflow.example.org, ARTIFACTS=s3://…
	@$(MAKE) --no-print-directory setup EXTRA="server $(if $(ARTIFACTS),s3)"
	@python src/server.py port=$(PORT) $(if $(HOSTS),hosts=$(HOSTS)) $(if $(ARTIFACTS),artifacts=$(ARTIFACTS))

docs:  ## Build the documentation as a site in site/, to be read without a server or a network; links are checked
	@$(MAKE) --no-print-directory setup EXTRA=docs
	@NO_MKDOCS_2_WARNING=1 mkdocs build --strict $(ARGS)  # with --quiet it would not be strict
	@echo "Open $(CURDIR)/site/index.html"

doctor: setup  ## Print versions, device and store
	@python src/doctor.py

bench:  ## Time it against plain Keras, autologging and scikit-learn: 40 minutes; ARGS="sweep rounds=5" picks parts
	@$(MAKE) --no-print-directory setup EXTRA="bench sweeps"
	@python benchmarks/bench.py $(ARGS)

pictures: setup  ## Redraw the README's picture
	@python docs/pictures.py

methods: setup  ## Write docs/methods.md and docs/library.md from docstrings, conf/ and recipes
	@python docs/methods.py && python docs/library.py

system:  ## Install the Debian packages that some tests need
	@packages=$$(sed 's/#.*//' system-packages.txt); if [ -n "$$(echo $$packages)" ]; then \
		apt-get update -qq && apt-get install -qq -y --no-install-recommends $$packages; fi

audit: dev  ## Look for known vulnerabilities in every locked package; needs the advisory service
	@for lock in requirements.txt requirements/*.txt; do \
		echo "$$lock"; \
		found=$$(pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r "$$lock") && continue; \
		echo "$${found:-Not audited: the advisory service did not answer}"; exit 1; done

lowest newest: $(BIN)/uv  ## Train and test with the lowest, or the newest, versions that pyproject.toml allows
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv-$@
	@$(BIN)/uv pip compile --quiet --python-version 3.11 --no-header --no-annotate --no-emit-index-url --upgrade \
		$(if $(filter lowest,$@),--resolution lowest-direct) pyproject.toml --extra dev -o .venv-$@/requirements.txt
	@$(BIN)/uv pip install --quiet --python .venv-$@/bin/python -r .venv-$@/requirements.txt
	@PATH="$(CURDIR)/.venv-$@/bin:$$PATH" python src/train.py weighting=balanced trainer.epochs=2
	@PATH="$(CURDIR)/.venv-$@/bin:$$PATH" python -m pytest -q -m "not slow and not gpu" $(ARGS)

lock: $(BIN)/uv  ## Pin all dependencies anew from pyproject.toml
	@$(COMPILE) requirements/uv.in -o requirements/uv.txt
	@$(COMPILE) pyproject.toml --extra pipeline -o requirements.txt
	@for extra in $(EXTRAS); do \
		$(COMPILE) pyproject.toml --extra pipeline --extra $$extra -c requirements.txt -o requirements/$$extra.txt || exit 1; done

clean:  ## Delete prepared data and the tools' caches; runs stay
	@rm -rf cache .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
