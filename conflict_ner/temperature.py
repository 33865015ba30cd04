"""Make span scores mean what they say: fit one temperature on dev and fold it into the model's last layer.

Dividing all logits by a temperature (Guo et al. 2017) changes how sure the model is, never which spans it finds: the best tag sequence
stays the best. Folded into the weights, it serves every way of running the model: our tagger, ONNX, the stock pipeline.

    python -m conflict_ner.temperature models/conflict-minilm data/conflict/test    # calibration error with and without it
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file, save_file
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from conflict_ner.calibration import calibration, scored_spans
from conflict_ner.corpus import read_documents
from conflict_ner.decoding import decode
from conflict_ner.documents import Document, Span
from conflict_ner.errors import InputError, exit_2_on_bad_input
from conflict_ner.runs import RUN_RECORD, WEIGHTS, read_json_if_any
from conflict_ner.tagger import Tagger

log = logging.getLogger(__name__)

LOWEST, HIGHEST = 0.5, 5.0
FEWEST_SPANS = 50  # predicted on dev; fewer say nothing about how sure the model may be
LAST_LAYER = ("classifier.weight", "classifier.bias")


def calibrate(folder: Path, dev: Sequence[Document]) -> dict[str, Any] | None:
    """Fit the temperature of the model in `folder` on `dev` and rewrite its last layer.

    Returns `temperature`, the number of `spans`, `ece` on dev before and after, and `min_score`, the threshold with the best F1 on dev;
    None, with the model untouched, when dev has too few predicted spans or the model keeps its last layer under another name.
    """
    weights = load_file(folder / WEIGHTS)
    spans_at = _tagged(folder, dev)
    gold = [document.spans for document in dev]
    before = spans_at(1.0)
    if sum(map(len, before)) < FEWEST_SPANS or not set(LAST_LAYER) <= set(weights):
        log.info("scores are not calibrated: fewer than %d spans predicted on dev, or no layer called classifier", FEWEST_SPANS)
        return None
    loss = lambda temperature: _log_loss(*scored_spans(gold, spans_at(temperature)))  # noqa: E731 - one line, used once
    best = minimize_scalar(loss, bounds=(LOWEST, HIGHEST), method="bounded", options={"xatol": 0.01})
    temperature = round(float(best.x), 3)
    for name in LAST_LAYER:
        weights[name] = weights[name] / temperature
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    was, now = calibration(gold, before), calibration(gold, spans_at(temperature))
    assert was and now, "dev has predicted spans"
    log.info("temperature %.2f: expected calibration error on dev %.3f -> %.3f", temperature, was["ece"], now["ece"])
    return {
        "temperature": temperature,
        "spans": was["spans"],
        "ece_before": was["ece"],
        "ece_after": now["ece"],
        "min_score": max(now["thresholds"], key=lambda row: row["f1"])["min_score"],
    }


def _tagged(folder: Path, documents: Sequence[Document]) -> Callable[[float], list[tuple[Span, ...]]]:
    """Score `documents` once; return a function from a temperature to their predicted spans."""
    tagger = Tagger.from_pretrained(folder, backend="torch")
    scored = tagger.score([document.text for document in documents])

    def spans_at(temperature: float) -> list[tuple[Span, ...]]:
        return [
            decode(document.text, tokens.offsets, log_softmax(log_probs.astype(np.float64) / temperature, axis=1), tagger.labels)
            for document, (tokens, log_probs) in zip(documents, scored, strict=True)
        ]

    return spans_at


@exit_2_on_bad_input
def main(argv: Sequence[str] | None = None) -> int:
    """Print the calibration error of a calibrated model on a corpus, with its temperature and without; changes nothing."""
    parser = argparse.ArgumentParser(prog="python -m conflict_ner.temperature", description=main.__doc__)
    parser.add_argument("model", type=Path, help="model folder")
    parser.add_argument("data", help="corpus file or folder")
    arguments = parser.parse_args(argv)
    if not arguments.model.is_dir():
        raise InputError(f"{arguments.model}: there is no such folder; name one that train.py finished")
    record = (read_json_if_any(arguments.model / RUN_RECORD) or {}).get("calibration")
    if record is None:
        raise InputError(
            f"{arguments.model}: its {RUN_RECORD} holds no calibration; train it with train.py on a dev set that is large enough"
        )
    documents = read_documents(arguments.data)
    spans_at, gold = _tagged(arguments.model, documents), [document.spans for document in documents]
    for words, temperature in (("without", 1 / record["temperature"]), ("with", 1.0)):
        found = calibration(gold, spans_at(temperature))
        if found is None:
            raise InputError(f"{arguments.data}: the model predicts no span there; name a larger corpus")
        print(f"{words} temperature {record['temperature']}: ece {found['ece']:.3f}, brier {found['brier']:.3f}, {found['spans']} spans")  # noqa: T201
    return 0


def _log_loss(scores: np.ndarray, right: np.ndarray) -> float:
    """Return the mean negative log-likelihood of right and wrong, scores kept off 0 and 1 so that one span cannot decide alone."""
    kept = np.clip(scores, 1e-3, 1 - 1e-3)
    return float(-np.where(right, np.log(kept), np.log(1 - kept)).mean())


if __name__ == "__main__":
    raise SystemExit(main())
