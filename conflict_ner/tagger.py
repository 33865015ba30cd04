"""Tagger: the one way to turn texts into spans.

A text of any length is tokenized once, cut into overlapping windows, and decoded as a whole from the sub-token scores that each
window speaks for: nothing is truncated and no mention ends where a window does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from transformers import AutoModelForTokenClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from conflict_ner.decoding import decode
from conflict_ner.documents import Span
from conflict_ner.errors import InputError
from conflict_ner.labels import LabelSet
from conflict_ner.windows import Tokens, Window, WindowSize, special_frame, tokenize

TOKENS_PER_BATCH = 4096  # sub-tokens with padding; bounds memory whatever the texts are
TEXTS_AT_A_TIME = 256  # texts whose windows are sorted by length together
LONGEST_WINDOW = 512  # for models that do not say which windows they were trained on
BACKENDS = ("torch",)


@dataclass(frozen=True, slots=True)
class _Job:
    """One window of one text, waiting for the encoder."""

    text: int
    window: Window


class Tagger:
    """Find mentions in raw text with a model folder that `train.py` wrote (or any Hub id of one)."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, device: str | torch.device | None = None) -> None:
        """Wrap a loaded model; `device` None takes a GPU when there is one."""
        try:
            self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
            self.model = model.to(self.device).eval()
        except (RuntimeError, AssertionError) as error:
            raise InputError(f"device {device!r} cannot be used here ({str(error).splitlines()[0]}); name cpu or cuda") from None
        self.tokenizer = tokenizer
        self.labels = LabelSet.from_id2label(model.config.id2label)
        self._before, self._after = special_frame(tokenizer)
        length = min(tokenizer.model_max_length, LONGEST_WINDOW)
        self._windows = WindowSize(**getattr(model.config, "window", {"max_length": length, "overlap": length // 4}))

    @classmethod
    def from_pretrained(
        cls, model: str | Path, backend: str = "torch", device: str | torch.device | None = None, revision: str | None = None
    ) -> Tagger:
        """Load a model folder or Hub id; raises InputError when it holds no usable token classifier."""
        if backend not in BACKENDS:
            raise InputError(f"backend {backend!r} is unknown; use one of {', '.join(BACKENDS)}")
        check_model_folder(Path(model))
        try:
            tokenizer = AutoTokenizer.from_pretrained(model, revision=revision)
            with _quietly():
                classifier = AutoModelForTokenClassification.from_pretrained(model, revision=revision, dtype=torch.float32)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise InputError(
                f"{model}: no token classifier could be loaded from there ({str(error).strip().splitlines()[0]}); "
                "name a folder that train.py finished, or a Hub id that can be reached"
            ) from error
        return cls(classifier, tokenizer, device)

    def tag(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the spans of each text, in order: code-point offsets into the raw text, label, score in [0, 1]."""
        if isinstance(texts, str):
            raise TypeError("tag() takes a list of texts; for one text, tag([text])")
        return list(self.stream(texts))

    def stream(self, texts: Iterable[str]) -> Iterator[list[Span]]:
        """Like `tag`, lazily: holds a few hundred texts at a time however many there are.

        When `texts` raises InputError, the texts before it are still tagged and yielded.
        """
        chunk: list[str] = []
        try:
            for text in texts:
                chunk.append(text)
                if len(chunk) == TEXTS_AT_A_TIME:
                    yield from self._tag_chunk(chunk)
                    chunk = []
        except InputError:
            yield from self._tag_chunk(chunk)
            raise
        yield from self._tag_chunk(chunk)

    def _tag_chunk(self, texts: list[str]) -> Iterator[list[Span]]:
        for text, (tokens, log_probs) in zip(texts, self.score(texts), strict=True):
            yield list(decode(text, tokens.offsets, log_probs, self.labels))

    def score(self, texts: Sequence[str]) -> list[tuple[Tokens, NDArray[np.float32]]]:
        """Return, for each text, its sub-tokens and their log-probabilities, shape (sub-tokens, num_tags): what `decode` reads."""
        tokens = [tokenize(self.tokenizer, text) for text in texts]
        specials = len(self._before) + len(self._after)
        jobs = [_Job(k, w) for k, t in enumerate(tokens) for w in self._windows.cut(len(t.ids), specials)]
        jobs.sort(key=lambda job: job.window.end - job.window.start)
        log_probs = [np.zeros((len(t.ids), len(self.labels.tags)), dtype=np.float32) for t in tokens]
        for batch in self._batches(jobs):
            for job, scores in zip(batch, self._score_windows(batch, tokens), strict=True):
                window = job.window
                core = slice(window.core_start - window.start, window.core_end - window.start)
                log_probs[job.text][window.core_start : window.core_end] = scores[core]
        return list(zip(tokens, log_probs, strict=True))

    def _batches(self, jobs: list[_Job]) -> Iterator[list[_Job]]:
        """Cut length-sorted jobs into batches of at most TOKENS_PER_BATCH sub-tokens, padding counted."""
        batch: list[_Job] = []
        for job in jobs:
            length = job.window.end - job.window.start + len(self._before) + len(self._after)
            if batch and length * (len(batch) + 1) > TOKENS_PER_BATCH:
                yield batch
                batch = []
            batch.append(job)
        if batch:
            yield batch

    def _score_windows(self, batch: list[_Job], tokens: list[Tokens]) -> list[NDArray[np.float32]]:
        """Return log-probabilities of each window's sub-tokens, specials left out: shape (window, num_tags)."""
        rows = [self._before + tokens[job.text].ids[job.window.start : job.window.end] + self._after for job in batch]
        longest = max(map(len, rows))
        pad = self.tokenizer.pad_token_id or 0
        input_ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows], device=self.device)  # (batch, seq)
        attention_mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=self.device)
        with torch.inference_mode():
            logits = self.model(input_ids=input_ids, attention_mask=attention_mask).logits  # (batch, seq, num_tags)
            log_probs = logits.float().log_softmax(-1).cpu().numpy()
        first = len(self._before)
        return [scores[first : len(row) - len(self._after)] for row, scores in zip(rows, log_probs, strict=True)]


def check_model_folder(folder: Path) -> None:
    """Raise InputError when `folder` holds no whole model; a name that is no folder but may be a Hub id passes."""
    if not folder.exists():
        if folder.is_absolute() or len(folder.parts) != 2:
            raise InputError(f"{folder}: there is no such folder; train the model first (python train.py --config ...) or correct the path")
        return
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        if not (folder / name).exists() and not (name == "model.safetensors" and list(folder.glob("model*.safetensors"))):
            raise InputError(f"{folder}: holds no {name}; train the model first (python train.py --config ...) or name another folder")


class _quietly:  # noqa: N801 - reads as a phrase where it is used
    """Hide the weight-loading bar: loading takes less time than reading it."""

    def __enter__(self) -> None:
        transformers_logging.disable_progress_bar()

    def __exit__(self, *exception: object) -> None:
        transformers_logging.enable_progress_bar()
