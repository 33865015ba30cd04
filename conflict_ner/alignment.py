"""Document -> one label id per sub-token.

The tokenizer ran on the raw text, so its offsets decide: the first sub-token of a mention is `B-`, the rest `I-`, all others `O`.
A mention whose edge falls inside a sub-token cannot be told to the model; its sub-tokens get IGNORED (not `O`, which would teach that
it is no mention) and it is counted.
"""

from __future__ import annotations

from dataclasses import dataclass

from conflict_ner.documents import Document, trim
from conflict_ner.labels import LabelSet
from conflict_ner.windows import Tokens

IGNORED = -100  # torch's cross-entropy ignores this target


@dataclass(slots=True)
class Losses:
    """Mentions aligned, and mentions that no sequence of whole sub-tokens can express."""

    aligned: int = 0
    cut: int = 0

    def __str__(self) -> str:
        """Say it in words for the log."""
        return f"{self.aligned} mentions aligned, {self.cut} lost because an edge falls inside a sub-token"


def align(document: Document, tokens: Tokens, labels: LabelSet, losses: Losses) -> list[int]:
    """Return label ids, one per sub-token of `tokens`, and add to `losses`."""
    label_ids = [0] * len(tokens.ids)
    offsets = [trim(document.text, start, end) for start, end in tokens.offsets]
    position = 0
    for span in document.spans:
        while position < len(offsets) and offsets[position][1] <= span.start:
            position += 1
        first = position
        while position < len(offsets) and offsets[position][0] < span.end:
            position += 1
        # Sub-tokens that cover nothing but white space (a SentencePiece "▁" alone) do not decide an edge.
        solid = [offsets[k] for k in range(first, position) if offsets[k][0] < offsets[k][1]]
        if solid and solid[0][0] >= span.start and solid[-1][1] <= span.end:
            begin = labels.begin_id(span.label)
            label_ids[first:position] = [begin] + [begin + 1] * (position - first - 1)
            losses.aligned += 1
        else:
            label_ids[first:position] = [IGNORED] * (position - first)
            losses.cut += 1
            # The next mention may share the sub-token that was cut.
            position = max(first, position - 1)
    return label_ids
