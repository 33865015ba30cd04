"""Tagger: the one way to turn texts into spans.

A text of any length is tokenized once, cut into overlapping windows, and decoded as a whole from the sub-token scores that each
window speaks for: nothing is truncated and no mention ends where a window does. A backend (torch or ONNX) computes the logits.
"""

from __future__ import annotations

import importlib.util
import logging
import shutil
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from conflict_ner.decoding import decode
from conflict_ner.documents import Span
from conflict_ner.errors import InputError
from conflict_ner.model_folder import ONNX_INT8, ModelFolder, open_model
from conflict_ner.windows import Tokens, Window, tokenize

log = logging.getLogger(__name__)

BACKENDS = ("auto", "torch", "onnx", "onnx-fp32")
# Texts whose windows are sorted by length together: enough to fill batches evenly, few enough to bound memory.
TEXTS_AT_A_TIME = 1024
CHARACTERS_AT_A_TIME = 500_000
PORTIONS_AHEAD = 1  # tokenized and begun while the one before is finished


class Backend(Protocol):
    """What computes logits. `logits` may be called by `workers` threads at once, with batches of about `tokens_per_batch` sub-tokens.

    Unless the backend `pads`, the windows of a batch have one length.
    """

    name: str
    workers: int
    tokens_per_batch: int
    pads: bool

    def logits(self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the logits of a padded batch: (batch, seq) and (batch, seq) -> (batch, seq, num_tags)."""


@dataclass(frozen=True, slots=True)
class _Job:
    """One window of one text of a portion, waiting for the encoder."""

    text: int
    window: Window


@dataclass(frozen=True, slots=True)
class _Portion:
    """Texts under way together, each batch of their windows with its future logits."""

    texts: list[str]
    tokens: list[Tokens]
    batches: list[tuple[list[_Job], Future[NDArray[np.float32]]]]


class Tagger:
    """Find mentions in raw text with a model folder that `train.py` wrote (or any Hub id of one)."""

    def __init__(self, model: ModelFolder, backend: Backend) -> None:
        """Put a model's files and what computes its logits together; users call `from_pretrained`."""
        self.model, self.backend, self.labels = model, backend, model.labels

    @classmethod
    def from_pretrained(
        cls, model: str | Path, backend: str = "auto", device: str | None = None, revision: str | None = None, cores: int | None = None
    ) -> Tagger:
        """Load a model folder or Hub id; raises InputError when it holds no usable token classifier.

        `backend`: `auto` takes `onnx` (int8, CPU) where the model has an export, onnxruntime is installed, and no GPU is there or asked
        for; else `torch`. `device` None takes a GPU when there is one. `cores` is how many of the CPU may be used; None: all.
        """
        if backend not in BACKENDS:
            raise InputError(f"backend {backend!r} is unknown; use one of {', '.join(BACKENDS)}")
        folder = open_model(model, revision)
        if backend == "auto":
            backend = _backend_for(folder, device)
        if backend == "torch":
            from conflict_ner.torch_backend import TorchBackend

            return cls(folder, TorchBackend(folder, device, cores))
        from conflict_ner.onnx_backend import OnnxBackend

        if device not in (None, "cpu"):
            raise InputError(f"device {device!r}: ONNX models run on the CPU here; leave --device away, or use --backend torch")
        return cls(folder, OnnxBackend(folder, "fp32" if backend == "onnx-fp32" else "int8", cores))

    def tag(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the spans of each text, in order: code-point offsets into the raw text, label, score in [0, 1]."""
        if isinstance(texts, str):
            raise TypeError("tag() takes a list of texts; for one text, tag([text])")
        return list(self.stream(texts))

    def stream(self, texts: Iterable[str]) -> Iterator[list[Span]]:
        """Like `tag`, lazily: holds two portions of texts at a time however many there are.

        When `texts` raises InputError, the texts before it are still tagged and yielded.
        """
        for text, (tokens, log_probs) in self._scored(texts):
            yield list(decode(text, tokens.offsets, log_probs, self.labels))

    def score(self, texts: Sequence[str]) -> list[tuple[Tokens, NDArray[np.float32]]]:
        """Return, for each text, its sub-tokens and their log-probabilities, shape (sub-tokens, num_tags): what `decode` reads."""
        return [scored for _, scored in self._scored(texts)]

    def _scored(self, texts: Iterable[str]) -> Iterator[tuple[str, tuple[Tokens, NDArray[np.float32]]]]:
        """Keep the backend's workers busy with the next portion while the caller decodes the one before."""
        under_way: deque[_Portion] = deque()
        failure: InputError | None = None
        pool = ThreadPoolExecutor(self.backend.workers)
        try:
            portions = _portions(texts)
            while True:
                try:
                    portion = next(portions, None)
                except InputError as error:
                    portion, failure = None, error
                if portion:
                    under_way.append(self._begin(portion, pool))
                while under_way and (portion is None or len(under_way) > PORTIONS_AHEAD):
                    yield from self._finish(under_way.popleft())
                if portion is None:
                    break
        finally:
            pool.shutdown(cancel_futures=True)
        if failure:
            raise failure

    def _begin(self, texts: list[str], pool: Executor) -> _Portion:
        tokens = tokenize(self.model.tokenizer, texts)
        specials = len(self.model.before) + len(self.model.after)
        jobs = [_Job(k, w) for k, t in enumerate(tokens) for w in self.model.windows.cut(len(t.ids), specials)]
        jobs.sort(key=lambda job: job.window.end - job.window.start)
        return _Portion(texts, tokens, [(batch, pool.submit(self._logits, batch, tokens)) for batch in self._batches(jobs)])

    def _batches(self, jobs: list[_Job]) -> Iterator[list[_Job]]:
        """Cut length-sorted jobs into batches of at most `tokens_per_batch` sub-tokens, padding counted."""
        batch: list[_Job] = []
        before = 0
        for job in jobs:
            length = job.window.end - job.window.start + len(self.model.before) + len(self.model.after)
            too_many = length * (len(batch) + 1) > self.backend.tokens_per_batch
            if batch and (too_many or (length != before and not self.backend.pads)):
                yield batch
                batch = []
            batch.append(job)
            before = length
        if batch:
            yield batch

    def _logits(self, batch: list[_Job], tokens: list[Tokens]) -> NDArray[np.float32]:
        """Return the logits of padded windows with their specials, shape (batch, seq, num_tags)."""
        before, after = self.model.before, self.model.after
        rows = [before + tokens[job.text].ids[job.window.start : job.window.end] + after for job in batch]
        input_ids = np.full((len(rows), len(rows[-1])), self.model.pad_id, dtype=np.int64)  # sorted: the last row is the longest
        attention_mask = np.zeros_like(input_ids)
        for k, row in enumerate(rows):
            input_ids[k, : len(row)] = row
            attention_mask[k, : len(row)] = 1
        return self.backend.logits(input_ids, attention_mask)

    def _finish(self, portion: _Portion) -> Iterator[tuple[str, tuple[Tokens, NDArray[np.float32]]]]:
        """Let each window speak for its core, and yield every text with its sub-tokens and log-probabilities."""
        log_probs = [np.zeros((len(t.ids), len(self.labels.tags)), dtype=np.float32) for t in portion.tokens]
        first = len(self.model.before)
        for batch, future in portion.batches:
            scores = _log_softmax(future.result())
            for job, row in zip(batch, scores, strict=True):
                window, offset = job.window, first - job.window.start
                log_probs[job.text][window.core_start : window.core_end] = row[window.core_start + offset : window.core_end + offset]
        yield from zip(portion.texts, zip(portion.tokens, log_probs, strict=True), strict=True)


def _portions(texts: Iterable[str]) -> Iterator[list[str]]:
    """Group texts; on InputError from `texts`, the texts before it come first, then the error."""
    portion: list[str] = []
    characters = 0
    try:
        for text in texts:
            portion.append(text)
            characters += len(text)
            if len(portion) == TEXTS_AT_A_TIME or characters >= CHARACTERS_AT_A_TIME:
                yield portion
                portion, characters = [], 0
    except InputError:
        if portion:
            yield portion
        raise
    if portion:
        yield portion


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return log-probabilities over the last axis; float32 like the logits."""
    shifted: NDArray[np.float32] = logits - logits.max(axis=-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted


def _backend_for(folder: ModelFolder, device: str | None) -> str:
    """Return the fastest backend for a model on this machine, torch left unimported when no GPU can be there."""
    if device not in (None, "cpu") or not (folder.path / ONNX_INT8).exists():
        return "torch"
    if importlib.util.find_spec("onnxruntime") is None:
        log.warning("%s has a fast int8 export; install onnxruntime to use it (pip install -e '.[onnx]')", folder.name)
        return "torch"
    return "torch" if device is None and gpu_is_here() else "onnx"


def gpu_is_here() -> bool:
    """Tell whether torch can use a GPU, without importing torch where none can be."""
    if not shutil.which("nvidia-smi") and not Path("/dev/nvidia0").exists():
        return False
    import torch

    return torch.cuda.is_available()
