"""Tag the README's sample article and sentence, store what was found in picture.json, and draw it anew.

Examples:
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
    """Return what a model finds: in the article by the backend its scores are of, in the sentence by what README's lines load."""
    from conflict_ner import Tagger

    text = next(document.text for document in sample_articles() if document.id == ARTICLE)
    tagger, as_in_readme = Tagger.from_pretrained(model, backend="torch"), Tagger.from_pretrained(model)
    facts = facts_of(tagger.model)
    return {
        "labels": list(tagger.labels.names),
        "paragraphs": PARAGRAPHS,
        "article": tagged_row(ARTICLE, text, tagger.tag([text])[0], facts),
        "sentence": tagged_row("sentence", SENTENCE, as_in_readme.tag([SENTENCE])[0], facts),
    }


@exit_2_on_bad_input
def main() -> int:
    """Tag, store, render; exit code 0, or 2 for a model that cannot be read."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="models/conflict-minilm", help="model folder or Hub id")
    write_json(STORED, found_by(parser.parse_args().model))
    return subprocess.run([sys.executable, str(ROOT / "benchmarks/render.py")], check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
