"""Named-entity recognition for news and open-source reporting on armed conflict.

A document with character spans goes in, a published tagger that returns character spans comes out. `Tagger` is the one name most
users need; it is imported on first use so that `import conflict_ner` stays light (no torch).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from conflict_ner.tagger import Tagger

__all__ = ["Tagger", "__version__"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:  # noqa: ANN401 - PEP 562 hook, the type depends on the name
    """Import `Tagger` when it is first asked for."""
    if name == "Tagger":
        from conflict_ner.tagger import Tagger

        return Tagger
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
