"""Tag the README's sample article and sentence, store what was found in picture.json, and draw it anew.

python benchmarks/picture.py                        # the default model, whose scores stand beside the picture
python benchmarks/picture.py --model build/another
python benchmarks/render.py                         # draw again from picture.json, without a model
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

from conflict_ner.errors import exit_2_on_bad_input  # noqa: E402
from conflict_ner.runs import write_json  # noqa: E402
from conflict_ner.showcase import facts_of, sample_articles, tagged_row  # noqa: E402

ARTICLE = "agency"
PARAGRAPHS = [2, 4]  # of the article: what the picture shows, from and up to
SENTENCE = "Russian warships fired cruise missiles at Raqqa."  # what the README's lines of Python tag
STORED = ROOT / "benchmarks/picture.json"


def found_by(model: str) -> dict[str, Any]:
    """Return what a model finds in both texts, by the backend that its scores were measured with."""
    from conflict_ner import Tagger

    tagger = Tagger.from_pretrained(model, backend="torch")
    facts = facts_of(tagger.model)
    texts = {ARTICLE: next(d.text for d in sample_articles() if d.id == ARTICLE), "sentence": SENTENCE}
    spans = tagger.tag(list(texts.values()))
    article, sentence = (tagged_row(name, text, found, facts) for (name, text), found in zip(texts.items(), spans, strict=True))
    return {"labels": list(tagger.labels.names), "paragraphs": PARAGRAPHS, "article": article, "sentence": sentence}


@exit_2_on_bad_input
def main() -> int:
    """Tag, store, render; exit code 0, or 2 for a model that cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="models/conflict-minilm", help="model folder or Hub id")
    write_json(STORED, found_by(parser.parse_args().model))
    return subprocess.run([sys.executable, str(ROOT / "benchmarks/render.py")], check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
