"""One experiment from files to files: read and check the data, fine-tune, leave a finished `models/<run>/`.

Everything that can be wrong with the input is found before the first training step.
"""

from __future__ import annotations

import logging
import os
import platform
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, concatenate_datasets
from transformers import PreTrainedTokenizerBase, Trainer, TrainingArguments, set_seed

from conflict_ner.config import Arguments, DataArguments
from conflict_ner.corpus import check_splits, count_table, read_documents
from conflict_ner.documents import Document, corpus_sha256
from conflict_ner.encoders import resolve_encoder
from conflict_ner.errors import InputError
from conflict_ner.labels import LabelSet, read_definitions
from conflict_ner.model_folder import ONNX_RECORD
from conflict_ner.runs import (
    CARD,
    EVIDENCE,
    LEARNING_CURVE,
    METRICS,
    PLOTS,
    PREDICTIONS,
    REPORT,
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
from conflict_ner.temperature import calibrate
from conflict_ner.training import (
    join_documents,
    last_whole_checkpoint,
    load_model,
    load_tokenizer,
    make_features,
    make_trainer,
    split_sentences,
)
from conflict_ner.windows import WindowSize, special_frame

log = logging.getLogger(__name__)

# Settings that say where and how the run shows itself, not what it computes: a resumed run may change them.
NOT_SETTINGS = {"output_dir", "resume_from_checkpoint", "disable_tqdm", "local_rank", "run_name", "log_level", "logging_dir", "hub_token"}


def run_experiment(arguments: Arguments, config: str | None = None) -> Path:
    """Train as `arguments` say and return the run folder; raises InputError for anything the user can mend."""
    model_arguments, data_arguments, training_arguments = arguments
    name, window_size = model_arguments.model_name_or_path, model_arguments.training_windows()
    tagging_windows = model_arguments.tagging_windows()
    folder = Path(str(training_arguments.output_dir))
    prepare_output(folder)
    resume = wants_resume(training_arguments.resume_from_checkpoint)
    if not resume:
        refuse_unfinished(folder)
    splits, labels, definitions = read_splits(data_arguments)
    source = resolve_encoder(name, model_arguments.model_revision)
    log.info("encoder %s from %s", name, source.origin)
    tokenizer = load_tokenizer(source, name)
    specials = sum(map(len, special_frame(tokenizer.backend_tokenizer)))
    tagging_windows.cut(tagging_windows.whole + 1, specials)  # windows that cannot be are found now, not after hours of training
    set_seed(training_arguments.seed)  # before the head is drawn
    model = load_model(source, name, labels, tokenizer, tagging_windows, model_arguments.attention_dropout)
    # Weights once, and two checkpoints of weights and both Adam moments, in float32.
    prepare_output(folder, bytes_needed=model.num_parameters() * 4 * 7)
    train, dev, losses = features(splits, tokenizer, labels, window_size, data_arguments)
    record = {
        "config": config,
        "encoder": {"name": name, "revision": source.revision, "origin": source.origin},
        "license": model_arguments.license,
        "labels": {label: definitions.get(label, "") for label in labels.names},
        "data": {split: describe(documents) for split, documents in splits.items()},
        "settings": {**settings(arguments), "world_size": training_arguments.world_size},
        "alignment": losses,
        "git_commit": git_commit(),
        "versions": versions(),
        "machine": machine(training_arguments),
        "status": "begun",
    }
    checkpoint = last_whole_checkpoint(folder) if resume else None
    if checkpoint:
        check_same_run(folder, record)
    elif resume and is_finished(folder, record):
        log.info("%s: this run is finished; leave --resume_from_checkpoint away to train it anew", folder)
        return folder
    fit(make_trainer(model, tokenizer, labels, train, dev, training_arguments), folder, record, checkpoint)
    if training_arguments.process_index == 0:
        finish(folder, record, splits["dev"])
    return folder


def features(
    splits: Mapping[str, list[Document]], tokenizer: PreTrainedTokenizerBase, labels: LabelSet, window_size: WindowSize, data: DataArguments
) -> tuple[Dataset, Dataset, dict[str, Any]]:
    """Return train and dev windows and what alignment lost in either split; raises InputError when a split holds no text.

    With `joined_lengths`, training documents stand several in a window; with `sentences_too`, their sentences follow as documents of their
    own, and do not count as mentions twice.
    """
    documents = splits["train"]
    if data.joined_lengths:
        documents = join_documents(documents, tokenizer, data.joined_lengths)
    train, train_losses = make_features(documents, tokenizer, labels, window_size)
    dev, dev_losses = make_features(splits["dev"], tokenizer, labels, window_size)
    if not len(train) or not len(dev):
        raise InputError("the training or the dev documents hold no text at all; name other files")
    sentences = [sentence for document in splits["train"] for sentence in split_sentences(document)] if data.sentences_too else []
    if sentences:
        train = concatenate_datasets([train, make_features(sentences, tokenizer, labels, window_size)[0]])
    log.info("train: %d windows; %s", len(train), train_losses)
    log.info("dev: %d windows; %s", len(dev), dev_losses)
    return train, dev, {"train": asdict(train_losses), "dev": asdict(dev_losses)}


def wants_resume(value: str | bool | None) -> bool:
    """Read `--resume_from_checkpoint`: true or false; raises InputError for a path, since the newest whole checkpoint is found here."""
    answers = {"true": True, "1": True, "yes": True, "none": False, "false": False, "0": False, "no": False}
    if str(value).lower() not in answers:
        raise InputError(f"--resume_from_checkpoint {value}: say true or false; the newest checkpoint in --output_dir is found by itself")
    return answers[str(value).lower()]


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
    for name, documents in splits.items():
        ids = [document.id for document in documents]
        if len(set(ids)) < len(ids):
            twice = next(document_id for document_id in ids if ids.count(document_id) > 1)
            raise InputError(f"{name}_data: document id {twice!r} is in two of its files; name each file once, rename or remove one")
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


def describe(documents: list[Document]) -> dict[str, Any]:
    """Return the checksum and counts that identify a split in `run.json` and `metrics.json`."""
    return {"sha256": corpus_sha256(documents), **count_table(documents)}


def settings(arguments: Arguments) -> dict[str, Any]:
    """Return every setting of the run that decides what it computes, by its config key."""
    model, data, training = arguments
    every = {**asdict(model), **asdict(data), **training.to_dict()}
    return {key: value for key, value in every.items() if key not in NOT_SETTINGS and value is not None}


def machine(training: TrainingArguments) -> dict[str, Any]:
    """Return what computes: processor architecture, cores, threads and the GPU if one is used."""
    gpu = torch.cuda.get_device_name() if training.device.type == "cuda" else None
    return {"processor": platform.machine(), "cores": os.cpu_count(), "threads": torch.get_num_threads(), "gpu": gpu}


def fit(trainer: Trainer, folder: Path, record: dict[str, Any], checkpoint: Path | None) -> None:
    """Train, save the best model and tokenizer into `folder`, and note in `record` how training went."""
    if checkpoint:
        log.info("resuming from %s", checkpoint)
    if trainer.is_world_process_zero():
        write_json(folder / RUN_RECORD, record)
    begun = time.monotonic()
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    record["seconds"] = round(time.monotonic() - begun, 1)
    record["resumed"] = checkpoint is not None
    evaluations = [row for row in trainer.state.log_history if "eval_f1" in row]
    record["dev"] = {
        "score": "strict F1 over sub-token tags (seqeval, IOB2)",
        "best_f1": trainer.state.best_metric if trainer.args.load_best_model_at_end else None,  # None: dev chose nothing
        "f1_by_epoch": [[round(row["epoch"], 3), row["eval_f1"]] for row in evaluations],
    }
    record["epochs"] = trainer.state.epoch
    arguments = trainer.args
    record["batch_size"] = arguments.train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
    trainer.save_model(str(folder))
    if trainer.is_world_process_zero():
        log.info("%s: best dev F1 %.4f; %.0f s", folder, trainer.state.best_metric or 0.0, record["seconds"])
    trainer.accelerator.wait_for_everyone()


def finish(folder: Path, record: dict[str, Any], dev: list[Document]) -> None:
    """Calibrate the saved model, remove what speaks of earlier weights, and only then call the run finished."""
    for stale in (METRICS, EVIDENCE, CARD, PREDICTIONS, REPORT, LEARNING_CURVE):
        (folder / stale).unlink(missing_ok=True)
    for stale in (str(ONNX_RECORD.parent), PLOTS):
        shutil.rmtree(folder / stale, ignore_errors=True)
    (folder / "training_args.bin").unlink(missing_ok=True)  # a pickle; run.json says the same in the open
    record["calibration"] = calibrate(folder, dev)
    record["status"] = "finished"
    write_json(folder / RUN_RECORD, record)
    remove_checkpoints(folder)
    log.info("%s: %s, tokenizer and %s", folder, WEIGHTS, RUN_RECORD)
