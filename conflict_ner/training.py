"""Documents -> a fine-tuned token classifier in `models/<run>/`, by the stock Trainer.

What is learnt from: every sub-token of the raw text, in the windows that inference also uses; a window's loss counts only the
sub-tokens it speaks for, so no mention is learnt twice because it lies in an overlap.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.scheme import IOB2
from transformers import (
    AutoConfig,
    AutoModelForTokenClassification,
    AutoTokenizer,
    DataCollatorForTokenClassification,
    EvalPrediction,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)

from conflict_ner.alignment import IGNORED, Losses, align
from conflict_ner.decoding import viterbi
from conflict_ner.documents import Document, Span, text_sha256
from conflict_ner.encoders import EncoderSource, load_or_explain
from conflict_ner.errors import InputError
from conflict_ner.labels import LabelSet
from conflict_ner.windows import WindowSize, special_frame, tokenize

SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)]*\s+(?=[\"'“‘(\[A-Z0-9])|\n\s*\n")
BETWEEN_DOCUMENTS = "\n\n"
ATTENTION_DROPOUT = ("attention_probs_dropout_prob", "attention_dropout")  # BERT's name for it, and ModernBERT's
LONGEST_MODEL_INPUT = 100_000  # tokenizers without a limit carry 1e30


def load_tokenizer(source: EncoderSource, name: str) -> PreTrainedTokenizerBase:
    """Load the fast tokenizer with truncation and padding cleared and a finite `model_max_length`; raises InputError."""
    tokenizer = load_or_explain(source, name, lambda: AutoTokenizer.from_pretrained(source.location, revision=source.revision))
    if not tokenizer.is_fast:
        raise InputError(f"encoder {name} has no fast tokenizer, so no offsets; choose an encoder that has one")
    # all-MiniLM's tokenizer.json has both baked in: texts would be cut at 128 sub-tokens without a word.
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    return tokenizer


def load_model(
    source: EncoderSource,
    name: str,
    labels: LabelSet,
    tokenizer: PreTrainedTokenizerBase,
    tagging_windows: WindowSize,
    attention_dropout: float | None = None,
) -> PreTrainedModel:
    """Load the encoder with a new token-classification head that knows the windows to tag in; makes `model_max_length` finite.

    Raises InputError for an encoder that cannot be had or has no attention dropout to set.
    """
    where, revision = source.location, source.revision
    ids = {"id2label": labels.id2label, "label2id": labels.label2id}
    config = load_or_explain(source, name, lambda: AutoConfig.from_pretrained(where, revision=revision, **ids))
    if attention_dropout is not None:
        if not 0 <= attention_dropout < 1:
            raise InputError(f"attention_dropout {attention_dropout} is no share; use a number from 0 up to, but not, 1")
        key = next((key for key in ATTENTION_DROPOUT if hasattr(config, key)), None)
        if key is None:
            raise InputError(f"attention_dropout: encoders like {name} have no such setting; remove it")
        setattr(config, key, attention_dropout)
    model: PreTrainedModel = load_or_explain(
        source,
        name,
        lambda: AutoModelForTokenClassification.from_pretrained(where, revision=revision, config=config, dtype=torch.float32),
    )
    model.config.name_or_path = name
    model.config.window = asdict(tagging_windows)
    if tokenizer.model_max_length > LONGEST_MODEL_INPUT:
        positions = getattr(model.config, "max_position_embeddings", 512)
        # RoBERTa-like encoders start counting positions after the padding id.
        tokenizer.model_max_length = positions - (2 if model.config.model_type in ("roberta", "xlm-roberta", "camembert") else 0)
    return model


def split_sentences(document: Document) -> Iterator[Document]:
    """Yield the sentences of a document as documents, cut where no mention is cut; nothing for a single sentence."""
    cuts = [match.end() for match in SENTENCE_END.finditer(document.text)]
    cuts = [cut for cut in cuts if not any(span.start < cut < span.end for span in document.spans)]
    if not cuts:
        return
    for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(document.text)], strict=True)):
        spans = tuple(Span(s.start - start, s.end - start, s.label) for s in document.spans if start <= s.start and s.end <= end)
        yield Document(f"{document.id}#{number}", document.text[start:end], spans, document.meta)


def join_documents(documents: Sequence[Document], tokenizer: PreTrainedTokenizerBase, lengths: Sequence[int]) -> list[Document]:
    """Join documents, always in the same mixed order, to at most `lengths` sub-tokens (specials included), each length in its turn.

    Most annotated articles are short, and an encoder that has seen few mentions at late positions finds few there. A document longer than
    the length whose turn it is stays by itself.
    """
    order = sorted(documents, key=lambda document: text_sha256(document.id))
    joined: list[Document] = []
    free, specials = 0, sum(map(len, special_frame(tokenizer.backend_tokenizer)))
    # More than some tokenizers make of line breaks, never less.
    between = len(tokenizer(f"a{BETWEEN_DOCUMENTS}a", add_special_tokens=False)["input_ids"])
    for document, tokens in zip(order, tokenize(tokenizer.backend_tokenizer, [d.text for d in order]), strict=True):
        free -= len(tokens.ids) + between
        if joined and free >= 0:
            before = joined.pop()
            start = len(before.text) + len(BETWEEN_DOCUMENTS)
            moved = tuple(Span(span.start + start, span.end + start, span.label) for span in document.spans)
            joined.append(Document(before.id, before.text + BETWEEN_DOCUMENTS + document.text, before.spans + moved))
        else:
            free = lengths[len(joined) % len(lengths)] - specials - len(tokens.ids)
            joined.append(document)
    return joined


def make_features(
    documents: Sequence[Document], tokenizer: PreTrainedTokenizerBase, labels: LabelSet, window_size: WindowSize
) -> tuple[Dataset, Losses]:
    """Return one row per window (`input_ids`, `attention_mask`, `labels`) and what could not be aligned; raises InputError."""
    before, after = special_frame(tokenizer.backend_tokenizer)
    losses = Losses()
    rows: dict[str, list[list[int]]] = {"input_ids": [], "attention_mask": [], "labels": []}
    every = tokenize(tokenizer.backend_tokenizer, [document.text for document in documents])
    for document, tokens in zip(documents, every, strict=True):
        label_ids = align(document, tokens, labels, losses)
        for window in window_size.cut(len(tokens.ids), len(before) + len(after)):
            input_ids = before + tokens.ids[window.start : window.end] + after
            spoken = [label_ids[k] if window.core_start <= k < window.core_end else IGNORED for k in range(window.start, window.end)]
            rows["input_ids"].append(input_ids)
            rows["attention_mask"].append([1] * len(input_ids))
            rows["labels"].append([IGNORED] * len(before) + spoken + [IGNORED] * len(after))
    return Dataset.from_dict(rows), losses


def dev_scores(prediction: EvalPrediction, labels: LabelSet) -> dict[str, float]:
    """Return seqeval strict IOB2 scores over sub-token tags, decoded by the Viterbi that inference uses."""
    gold, predicted = [], []
    for logits, label_ids in zip(np.asarray(prediction.predictions), np.asarray(prediction.label_ids), strict=True):
        counted = label_ids != IGNORED  # (seq,)
        path = viterbi(torch.from_numpy(logits[counted]).log_softmax(-1).double().numpy())
        gold.append([labels.tags[tag_id] for tag_id in label_ids[counted]])
        if gold[-1] and gold[-1][0].startswith("I-"):  # a window's core may begin inside a mention
            gold[-1][0] = gold[-1][0].replace("I-", "B-", 1)
        predicted.append([labels.tags[tag_id] for tag_id in path])
    scores = {"precision": precision_score, "recall": recall_score, "f1": f1_score}
    return {name: float(score(gold, predicted, mode="strict", scheme=IOB2, zero_division=0)) for name, score in scores.items()}


def make_trainer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    labels: LabelSet,
    train: Dataset,
    dev: Dataset,
    arguments: TrainingArguments,
) -> Trainer:
    """Return the stock Trainer with our features and dev score."""
    return Trainer(
        model=model,
        args=arguments,
        train_dataset=train,
        eval_dataset=dev,
        processing_class=tokenizer,
        data_collator=DataCollatorForTokenClassification(tokenizer, label_pad_token_id=IGNORED),
        compute_metrics=lambda prediction: dev_scores(prediction, labels),
    )


def last_whole_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint that was written to its end: `trainer_state.json` is the last file of one."""
    checkpoints = sorted(folder.glob("checkpoint-[0-9]*"), key=lambda path: int(path.name.rpartition("-")[2]))
    whole = [path for path in checkpoints if _is_whole(path / "trainer_state.json")]
    return whole[-1] if whole else None


def _is_whole(state: Path) -> bool:
    return state.exists() and state.read_text(encoding="utf-8").rstrip().endswith("}")
