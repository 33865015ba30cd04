"""One experiment from files to files: read and check the data, fine-tune, leave a finished `models/<run>/`.

Everything that can be wrong with the input is found before the first training step.
"""

from __future__ import annotations

import logging
import os
import platform
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, set_seed

from conflict_ner.alignment import Losses
from conflict_ner.config import Arguments, DataArguments
from conflict_ner.corpus import check_splits, count_table, read_documents
from conflict_ner.documents import Document, corpus_sha256
from conflict_ner.encoders import resolve_encoder
from conflict_ner.errors import InputError
from conflict_ner.labels import LabelSet, read_definitions
from conflict_ner.runs import (
    RUN_RECORD,
    WEIGHTS,
    check_same_run,
    git_commit,
    is_finished,
    prepare_output,
    refuse_unfinished,
    remove_checkpoints,
    versions,
    write_json,
)
from conflict_ner.training import last_whole_checkpoint, load_model, load_tokenizer, make_features, make_trainer, split_sentences

log = logging.getLogger(__name__)

# Settings that say where and how the run shows itself, not what it computes: a resumed run may change them.
NOT_SETTINGS = {"output_dir", "resume_from_checkpoint", "disable_tqdm", "local_rank", "run_name", "log_level", "logging_dir", "hub_token"}


def run_experiment(arguments: Arguments, config: str | None = None) -> Path:
    """Train as `arguments` say and return the run folder; raises InputError for anything the user can mend."""
    model_arguments, data_arguments, training_arguments = arguments
    folder = Path(str(training_arguments.output_dir))
    prepare_output(folder)
    resume = str(training_arguments.resume_from_checkpoint).lower() in ("true", "1", "yes")
    if not resume:
        refuse_unfinished(folder)
    splits, labels, definitions = read_splits(data_arguments)
    source = resolve_encoder(model_arguments.model_name_or_path, model_arguments.model_revision)
    log.info("encoder %s from %s", model_arguments.model_name_or_path, source.origin)
    tokenizer = load_tokenizer(source, model_arguments.model_name_or_path)
    set_seed(training_arguments.seed)  # before the head is drawn
    model = load_model(source, model_arguments.model_name_or_path, labels, tokenizer)
    # Weights once, and two checkpoints of weights and both Adam moments, in float32.
    prepare_output(folder, bytes_needed=model.num_parameters() * 4 * 7)

    def features(documents: list[Document]) -> tuple[Any, Losses]:
        return make_features(documents, tokenizer, labels, model_arguments.max_length, model_arguments.window_overlap)

    train, train_losses = features(training_documents(splits["train"], data_arguments))
    dev, dev_losses = features(splits["dev"])
    log.info("train: %d windows; %s", len(train), train_losses)
    log.info("dev: %d windows; %s", len(dev), dev_losses)
    record = {
        "config": config,
        "encoder": {"name": model_arguments.model_name_or_path, "revision": source.revision, "origin": source.origin},
        "license": model_arguments.license,
        "labels": {name: definitions.get(name, "") for name in labels.names},
        "data": {name: describe(documents) for name, documents in splits.items()},
        "settings": settings(arguments),
        "alignment": {"train": asdict(train_losses), "dev": asdict(dev_losses)},
        "git_commit": git_commit(),
        "versions": versions(),
        "machine": machine(),
        "status": "begun",
    }
    checkpoint = last_whole_checkpoint(folder) if resume else None
    if checkpoint:
        check_same_run(folder, record)
    elif resume and is_finished(folder, record):
        log.info("%s: this run is finished; leave --resume_from_checkpoint away to train it anew", folder)
        return folder
    trainer = make_trainer(model, tokenizer, labels, train, dev, training_arguments)
    if trainer.is_world_process_zero():
        write_json(folder / RUN_RECORD, record)
    fit(trainer, folder, record, checkpoint)
    return folder


def read_splits(data: DataArguments) -> tuple[dict[str, list[Document]], LabelSet, dict[str, str]]:
    """Return the splits by name, the label set and its definitions; raises InputError for what may not stand in a split."""
    definitions = read_definitions(Path(data.label_file)) if data.label_file else {}
    allowed = tuple(definitions) or None
    paths = {"train": data.train_data, "dev": data.dev_data, "test": data.test_data or []}
    splits = {
        name: [document for path in where for document in read_documents(path, allowed, data.text_folders)]
        for name, where in paths.items()
        if where
    }
    if not data.allow_shared_texts:
        check_splits(splits)
    labels = LabelSet(allowed) if allowed else LabelSet.from_names(s.label for d in splits["train"] for s in d.spans)
    unknown = {span.label for document in splits["dev"] for span in document.spans} - set(labels.names)
    if unknown:
        raise InputError(
            f"{' '.join(data.dev_data)}: labels {', '.join(sorted(unknown))} never occur in training data; add examples or remove them"
        )
    for name, documents in splits.items():
        log.info("%s: %s", name, ", ".join(f"{count} {what}" for what, count in count_table(documents).items()))
    return splits, labels, definitions


def training_documents(documents: list[Document], data: DataArguments) -> list[Document]:
    """Return what the model reads: the documents, and with `sentences_too` each sentence by itself too."""
    if not data.sentences_too:
        return documents
    return documents + [sentence for document in documents for sentence in split_sentences(document)]


def describe(documents: list[Document]) -> dict[str, Any]:
    """Return the checksum and counts that identify a split in `run.json` and `metrics.json`."""
    return {"sha256": corpus_sha256(documents), **count_table(documents)}


def settings(arguments: Arguments) -> dict[str, Any]:
    """Return every setting of the run that decides what it computes, by its config key."""
    model, data, training = arguments
    every = {**asdict(model), **asdict(data), **training.to_dict()}
    return {key: value for key, value in every.items() if key not in NOT_SETTINGS and value is not None}


def machine() -> dict[str, Any]:
    """Return what computed: processor architecture, cores, threads and the GPU if any."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"processor": platform.machine(), "cores": os.cpu_count(), "threads": torch.get_num_threads(), "gpu": gpu}


def fit(trainer: Trainer, folder: Path, record: dict[str, Any], checkpoint: Path | None) -> None:
    """Train, save the best model and tokenizer into `folder`, complete `run.json`, remove the checkpoints."""
    if checkpoint:
        log.info("resuming from %s", checkpoint)
    begun = time.monotonic()
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    record["seconds"] = round(time.monotonic() - begun, 1)
    record["resumed"] = checkpoint is not None
    evaluations = [row for row in trainer.state.log_history if "eval_f1" in row]
    record["dev"] = {
        "score": "strict F1 over sub-token tags (seqeval, IOB2)",
        "best_f1": trainer.state.best_metric,
        "f1_by_epoch": [[round(row["epoch"], 3), row["eval_f1"]] for row in evaluations],
    }
    trainer.save_model(str(folder))
    if trainer.is_world_process_zero():
        (folder / "training_args.bin").unlink(missing_ok=True)  # a pickle; run.json says the same in the open
        record["status"] = "finished"
        write_json(folder / RUN_RECORD, record)
        remove_checkpoints(folder)
        log.info(
            "%s: %s, tokenizer and %s; best dev F1 %.4f; %.0f s",
            folder,
            WEIGHTS,
            RUN_RECORD,
            trainer.state.best_metric or 0.0,
            record["seconds"],
        )
    trainer.accelerator.wait_for_everyone()
