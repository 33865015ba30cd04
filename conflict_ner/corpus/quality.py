"""What makes a corpus fit to be trusted: agreement of two readings, unseen forms, texts shared by accident, words annotated unevenly.

Everything here reads Documents and returns plain figures; `python -m conflict_ner.corpus` prints them and the data card shows them.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conflict_ner.documents import Document, Span
from conflict_ner.scoring import strict_scores
from conflict_ner.slices import surface_forms

RUN_LENGTH = 8  # words; a shorter run is often a name or a stock phrase


def agreement(path: Path) -> dict[str, dict[str, Any]]:
    """Return, per part of the corpus, the strict scores of the second reading against the first, both before adjudication.

    `path` holds one `{"part", "id", "text_sha256", "first", "second"}` a line, spans as `[start, end, label]`. F1 is symmetric, so
    it does not matter which reading is called gold (Hripcsak & Rothschild 2005 on F1 as agreement where there are no true negatives).
    """
    parts: dict[str, list[tuple[list[Span], list[Span]]]] = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        first, second = ([Span(*span) for span in row[reading]] for reading in ("first", "second"))
        parts[row["part"]].append((first, second))
    labels = sorted({span.label for pairs in parts.values() for pair in pairs for reading in pair for span in reading})
    return {
        part: {"documents": len(pairs), **strict_scores([f for f, _ in pairs], [s for _, s in pairs], labels)}
        for part, pairs in parts.items()
    }


def unseen_forms(train: Sequence[Document], other: Sequence[Document]) -> float:
    """Return the share of the distinct surface forms in `other` (label and words, case ignored) that `train` never annotates."""
    forms = surface_forms(other)
    return len(forms - surface_forms(train)) / max(len(forms), 1)


def runs(text: str) -> set[tuple[str, ...]]:
    """Return all runs of RUN_LENGTH words of `text`, lower case, signs ignored."""
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[k : k + RUN_LENGTH]) for k in range(len(words) - RUN_LENGTH + 1)}


def shared_runs(documents: Iterable[Document], others: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Return (document id, name of the other text, run) for every run of RUN_LENGTH words that stands in both."""
    owner: dict[tuple[str, ...], str] = {}
    for document in documents:
        owner |= dict.fromkeys(runs(document.text), document.id)
    found = {(owner[run], name, " ".join(run)) for name, text in others.items() for run in runs(text) if run in owner}
    return sorted(found)


@dataclass(frozen=True, slots=True)
class Uneven:
    """A form annotated as `label` (`annotated` times) that stands unannotated elsewhere (`bare` times, one place shown)."""

    form: str
    label: str
    annotated: int
    bare: int
    document: str
    context: str


def uneven_forms(documents: Sequence[Document]) -> list[Uneven]:
    """List words that are annotated in one place and bare in another, in the same class of context, most uneven last.

    The context class is the word that follows: `[Russian] warships` and `Russian tourists` do not contradict each other, two
    occurrences before the same word do. Case is kept: `Coalition` and `coalition` differ by rule.
    """
    annotated: Counter[tuple[str, str, str]] = Counter()
    forms: dict[str, set[str]] = defaultdict(set)
    for document in documents:
        for span in document.spans:
            form = document.mention(span)
            forms[_index_key(form.split()[0])].add(form)
            annotated[form, _next_word(document.text, span.end), span.label] += 1
    by_form: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    for (form, following, label), count in annotated.items():
        by_form[form, following].append((label, count))
    bare: Counter[tuple[str, str]] = Counter()
    place: dict[tuple[str, str], tuple[str, str]] = {}
    for document in documents:
        covered = bytearray(len(document.text))
        for span in document.spans:
            covered[span.start : span.end] = b"\1" * (span.end - span.start)
        for match in re.finditer(r"\S+", document.text):
            for form in forms.get(_index_key(match.group()), ()):
                start = document.text.find(form, match.start(), match.end() + len(form))
                end = start + len(form)
                key = form, _next_word(document.text, end)
                whole = start >= 0 and not (document.text[end : end + 1].isalnum() or document.text[max(start - 1, 0) : start].isalnum())
                if key in by_form and whole and not any(covered[start:end]):
                    bare[key] += 1
                    place[key] = document.id, " ".join(document.text[max(0, start - 40) : end + 40].split())
    return sorted(
        (Uneven(key[0], label, count, bare[key], *place[key]) for key in bare for label, count in by_form[key]),
        key=lambda uneven: (min(uneven.annotated, uneven.bare), uneven.form),
    )


def _index_key(word: str) -> str:
    """Return the part of a word by which forms are looked up: its first run of letters and digits."""
    match = re.search(r"\w+", word)
    return match.group() if match else word


def _next_word(text: str, position: int) -> str:
    match = re.match(r"\W*(\w*)", text[position : position + 40])
    return match[1].lower() if match else ""
