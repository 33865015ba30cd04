"""Do the entities depend on where windows fall? The same long articles, cut in windows of other sizes.

    python benchmarks/windows.py --model models/conflict-minilm

Real articles (InsightCrime, MUC-4) of more than 512 sub-tokens are tagged with windows of other sizes and overlaps; the spans are scored
against those of the model's own windows. Dev documents, joined until they fill 1,024 sub-tokens, are scored against gold: that is what the
windows of the default config were chosen on. Written to benchmarks/windows.json.
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from transformers import AutoTokenizer  # noqa: E402

from conflict_ner import Tagger  # noqa: E402
from conflict_ner.corpus import read_documents  # noqa: E402
from conflict_ner.errors import InputError, exit_2_on_bad_input  # noqa: E402
from conflict_ner.runs import git_commit, versions, write_json  # noqa: E402
from conflict_ner.scoring import strict_scores  # noqa: E402
from conflict_ner.training import join_documents  # noqa: E402
from conflict_ner.windows import WindowSize, tokenize  # noqa: E402

SOURCES = ("../shared/real_text/insight_crime.jsonl.gz", "../shared/real_text/muc4_train.jsonl.gz")
RESULT = ROOT / "benchmarks/windows.json"
LONG = 512  # sub-tokens: longer than the largest window, so that every size must cut
JOINED = 1024
WINDOWS = ("64/16", "96/24", "128/16", "128/48", "128/64", "192/48", "256/64", "512/128")


def long_articles(tagger: Tagger, number: int) -> list[str]:
    """Return the first `number` long articles of each source; raises InputError when a source is not here."""
    texts = []
    for source in SOURCES:
        path = ROOT / source
        if not path.exists():
            raise InputError(f"{path}: is not on this machine; put real articles there as gzipped JSON lines with a text")
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            found = (text for text in (json.loads(line)["text"] for line in lines) if _sub_tokens(tagger, text) > LONG)
            texts += [text for text, _ in zip(found, range(number), strict=False)]
    return texts


def window_size(given: str) -> WindowSize:
    """Read `SIZE/OVERLAP`; raises ValueError for anything else."""
    size, overlap = given.split("/")
    return WindowSize(int(size), int(overlap))


def _sub_tokens(tagger: Tagger, text: str) -> int:
    return len(tokenize(tagger.model.tokenizer, [text])[0].ids)


@exit_2_on_bad_input
def main() -> int:
    """Tag with every size, compare, store, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(ROOT / "models/conflict-minilm"))
    parser.add_argument("--articles", type=int, default=40, help="of each source")
    parser.add_argument("--windows", type=window_size, nargs="+", default=[window_size(given) for given in WINDOWS], metavar="SIZE/OVERLAP")
    arguments = parser.parse_args()
    tagger = Tagger.from_pretrained(arguments.model, backend="torch")
    own = tagger.model
    texts = long_articles(tagger, arguments.articles)
    usual = tagger.tag(texts)
    dev = join_documents(read_documents(ROOT / "data/conflict/dev"), AutoTokenizer.from_pretrained(arguments.model), [JOINED])
    gold = [document.spans for document in dev]
    rows: list[dict[str, Any]] = []
    for windows in (own.windows, *arguments.windows):
        tagger.model = dataclasses.replace(own, windows=windows)
        scores = strict_scores(usual, tagger.tag(texts), list(tagger.labels.names))["micro"]
        on_dev = strict_scores(gold, tagger.tag([document.text for document in dev]), list(tagger.labels.names))["micro"]["f1"]
        rows.append({**dataclasses.asdict(windows), "f1": scores["f1"], "ci95": scores["ci95"], "joined_dev_f1": on_dev})
        print(f"{windows}: F1 {scores['f1']:.3f} against {own.windows}; {on_dev:.3f} on joined dev documents", flush=True)
    record = {
        "command": " ".join(["python", "benchmarks/windows.py", *sys.argv[1:]]),
        "own": dataclasses.asdict(own.windows),
        "articles": len(texts),
        "joined_dev": len(dev),
        "spans": sum(map(len, usual)),
        "sizes": rows,
        "model": own.revision,
        "git_commit": git_commit(),
        "versions": versions(),
    }
    write_json(RESULT, record)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
