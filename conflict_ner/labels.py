"""Label set <-> BIO tags <-> ids.

A *label* is an entity type (`WEAPON`), a *tag* is what a sub-token carries (`B-WEAPON`, `I-WEAPON`, `O`; scheme IOB2). No label is
known here: sets come from a `labels.json` beside a corpus, from the annotated data, or from a trained model's `id2label`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from conflict_ner.errors import InputError, read_text

OUTSIDE = "O"


@dataclass(frozen=True, slots=True)
class LabelSet:
    """The labels of a task in a fixed order; the tag with id 0 is `O`, label k owns ids 2k+1 (`B-`) and 2k+2 (`I-`)."""

    names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raise InputError for an empty set, a repeated label or one that cannot be written as a tag."""
        if not self.names:
            raise InputError("the label set is empty; annotate at least one span or name the labels in a labels.json")
        for name in self.names:
            if not name.replace("_", "").replace("-", "").isalnum():
                raise InputError(f"label {name!r} must consist of letters, digits, '_' and '-'")
        if len(set(self.names)) < len(self.names):
            raise InputError(f"a label stands twice in {', '.join(self.names)}; name each label once")

    @property
    def tags(self) -> tuple[str, ...]:
        """All tags, by id."""
        return (OUTSIDE, *(f"{prefix}-{name}" for name in self.names for prefix in "BI"))

    def begin_id(self, label: str) -> int:
        """Return the id of `B-label`; `I-label` is the next id. Raises ValueError for an unknown label."""
        return 2 * self.names.index(label) + 1

    @property
    def id2label(self) -> dict[int, str]:
        """Tag by id: what Hugging Face configs call `id2label`."""
        return dict(enumerate(self.tags))

    @property
    def label2id(self) -> dict[str, int]:
        """Id by tag: what Hugging Face configs call `label2id`."""
        return {tag: tag_id for tag_id, tag in enumerate(self.tags)}

    @classmethod
    def from_id2label(cls, id2label: Mapping[int, str]) -> LabelSet:
        """Recover the set from a model's `id2label`; raises InputError when the tags are not ours (IOB2 in our order)."""
        tags = tuple(id2label[tag_id] for tag_id in sorted(id2label))
        labels = cls(tuple(tag[2:] for tag in tags if tag.startswith("B-")) or ("none",))
        if labels.tags != tags:
            raise InputError(f"the model's tags ({', '.join(tags)}) are not O, B-X, I-X, ...; train it with train.py")
        return labels

    @classmethod
    def from_names(cls, names: Iterable[str]) -> LabelSet:
        """Collect the distinct labels seen in data, in alphabetical order so that every run numbers them alike."""
        return cls(tuple(sorted(set(names))))


@dataclass(frozen=True, slots=True)
class Guide:
    """What people are told of a label: a one-line definition, examples (corpus Markdown: why), a rule of its own."""

    definition: str
    includes: Mapping[str, str] = field(default_factory=dict)
    excludes: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


def read_definitions(path: Path) -> dict[str, str]:
    """Return `{label: one-line definition}` from a `labels.json`, in file order; raises InputError for any other shape."""
    return {label: guide.definition for label, guide in read_guides(path).items()}


def read_guides(path: Path) -> dict[str, Guide]:
    """Return what a `labels.json` says of each label, in file order: a definition, or an object of the fields of `Guide`.

    Raises InputError for any other shape.
    """
    try:
        content = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError.at(path, error.lineno, f"not valid JSON ({error.msg}); mend or restore the file") from None
    if not isinstance(content, dict):
        raise InputError(f'{path}: expected one object {{"LABEL": "one-line definition", ...}}')
    return {label: _guide(path, label, told) for label, told in content.items()}


def _guide(path: Path, label: str, told: object) -> Guide:
    if isinstance(told, str):
        return Guide(told)
    known = {"definition": str, "includes": dict, "excludes": dict, "note": str}
    wrong = InputError(
        f'{path}: {label} needs a one-line definition, or an object with "definition" and, where wanted, "includes" and "excludes" '
        '(each an object {"example": "why"}) and "note"'
    )
    if not isinstance(told, dict) or "definition" not in told:
        raise wrong
    for name, value in told.items():
        if name not in known or not isinstance(value, known[name]):
            raise wrong
        if isinstance(value, dict) and not all(isinstance(why, str) for why in value.values()):
            raise wrong
    return Guide(**told)
