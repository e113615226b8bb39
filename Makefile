# Everything runs inside .venv, which these targets make and keep up to date.
PYTHON ?= python3
EXTRA ?=
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Set around us it would leave every import uncompiled: three times the start-up.
unexport PYTHONDONTWRITEBYTECODE
LOCKS := requirements gpu sweeps ray server dev bench
COMPILE := uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate

.DEFAULT_GOAL := help
.PHONY: help setup train test test-fast lint system ui params clean lock doctor

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*  ## ' $(MAKEFILE_LIST) | sed -E 's/:.*  ## /\t/' | expand -t 12

# A lock is installed once: its stamp is named by its digest, so that an unchanged lock costs nothing.
define install
	@digest=$$(cksum < $(1) | tr ' ' -); stamp=$(VENV)/installed/$$(basename $(1) .txt)-$$digest; \
	if [ ! -e $$stamp ]; then \
		echo "Installing $(1) into $(VENV) (once)"; \
		$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode -r $(1) \
		&& mkdir -p $(VENV)/installed && rm -f $(VENV)/installed/$$(basename $(1) .txt)-* && touch $$stamp; \
	fi
endef

$(BIN)/uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
		|| { echo "Python 3.11 to 3.13 is needed; name one: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

setup: $(BIN)/uv
	$(call install,requirements.txt)
	$(foreach extra,$(EXTRA),$(call install,requirements/$(extra).txt)
	)
