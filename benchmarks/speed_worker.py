"""One system of `benchmarks/speed.py` in a process of its own: loads once, then answers requests, a line of JSON each way.

    python benchmarks/speed_worker.py --model models/conflict-minilm --system '{"program": "ours", "backend": "torch"}'

The first line it writes is `{"ready": true}`, or `{"skipped": reason}` for a system this machine or model folder does not have. Then:

    {"texts": FILE}   tag the texts of a JSON list; answer: seconds, peak memory of the process so far
    {"score": CORPUS} tag a corpus; answer: strict micro F1
    {"ceiling": 2.0}  measure the matrix-multiplication ceiling for so many seconds; answer: sub-tokens a second
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from ceiling import Encoder, ceiling  # noqa: E402

from conflict_ner.errors import InputError  # noqa: E402

STRIDE = 64  # sub-tokens that windows of the stock pipeline share; without it, the end of a long text is left out


@dataclass(frozen=True)
class System:
    """What is measured: the stock pipeline, our tagger, or a ceiling (then `backend` is its kind); `device` None is the CPU."""

    program: str
    backend: str = "torch"
    batch_size: int = 1
    device: str = "cpu"


def load(system: System, model: Path) -> Callable[..., Any]:
    """Return the function to measure: texts -> entities, or for a ceiling seconds -> sub-tokens a second.

    Raises InputError for a system that is not to be had here.
    """
    if system.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise InputError("this machine has no GPU that torch can use")
    if system.program == "ceiling":
        return ceiling(system.backend, Encoder.from_config(json.loads((model / "config.json").read_text(encoding="utf-8"))))
    if system.program == "stock":
        from transformers import pipeline

        stock = pipeline("token-classification", model=str(model), aggregation_strategy="simple", device=system.device)
        cut_from = 3 * stock.tokenizer.model_max_length  # characters: shorter texts fit whole, and the defaults need no help

        def tag(texts: Sequence[str]) -> Any:  # noqa: ANN401 - whatever the pipeline gives
            options = {"stride": STRIDE} if max(map(len, texts)) > cut_from else {}
            return stock(list(texts), batch_size=system.batch_size, **options)

        return tag
    from conflict_ner import Tagger

    tagger = Tagger.from_pretrained(model, backend=system.backend, device=system.device if system.backend == "torch" else None)
    return lambda texts: list(tagger.stream(texts))


def answer(request: dict[str, Any], work: Callable[..., Any]) -> dict[str, Any]:
    """Do what a request asks."""
    if "ceiling" in request:
        return {"sub_tokens_per_second": work(request["ceiling"])}
    if "score" in request:
        return {"f1": strict_f1(request["score"], work)}
    texts = json.loads(Path(request["texts"]).read_text(encoding="utf-8"))
    begun = time.perf_counter()
    work(texts)
    return {"seconds": time.perf_counter() - begun, "peak_mib": peak_mib("self")}


def strict_f1(corpus: str, tag: Callable[[Sequence[str]], Any]) -> float:
    """Return the strict micro F1 of a tagger on a corpus."""
    from conflict_ner.corpus import read_documents
    from conflict_ner.scoring import strict_scores

    documents = read_documents(corpus)
    gold = [document.spans for document in documents]
    found = tag([document.text for document in documents])
    labels = sorted({span.label for spans in (*gold, *found) for span in spans})
    return float(strict_scores(gold, found, labels)["micro"]["f1"])


def peak_mib(process: int | str) -> float | None:
    """Return the largest resident memory a process has had, in MiB; None when it has ended, or where there is no /proc.

    `ru_maxrss` would not do: across fork and exec it begins at the size of the process that started this one.
    """
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except OSError:
        return None
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(match[1]) / 1024 if match else None


def serve(system: System, model: Path, requests: TextIO, answers: TextIO) -> None:
    """Load, say so, and answer until there are no more requests."""

    def say(words: dict[str, Any]) -> None:
        answers.write(json.dumps(words) + "\n")
        answers.flush()

    try:
        work = load(system, model)
    except (InputError, ImportError) as error:
        say({"skipped": str(error).splitlines()[0]})
        return
    say({"ready": True})
    for line in requests:
        say(answer(json.loads(line), work))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--system", required=True, help="the fields of System as JSON")
    arguments = parser.parse_args()
    serve(System(**json.loads(arguments.system)), arguments.model, sys.stdin, sys.stdout)
