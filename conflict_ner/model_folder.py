"""A trained model's folder, read without torch: tokenizer, labels, windows, and which weights it holds.

Whatever computes the logits (torch, ONNX), these files say what goes into it and what its outputs mean.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from conflict_ner.errors import InputError
from conflict_ner.labels import LabelSet
from conflict_ner.runs import read_json
from conflict_ner.windows import WindowSize, special_frame

LONGEST_WINDOW = 512  # for models that do not say which windows they were trained on
ONNX_INT8 = Path("onnx/model_int8.onnx")
ONNX_FP32 = Path("onnx/model.onnx")
ONNX_RECORD = Path("onnx/export.json")
FILES = ["*.json", "*.safetensors", "onnx/*"]  # what is fetched of a model on the Hub
WEIGHTS = "model*.safetensors"


@dataclass(frozen=True)
class ModelFolder:
    """What every backend needs of a model: `path` holds its files, `name` is what the user called it."""

    path: Path
    name: str
    labels: LabelSet
    windows: WindowSize
    tokenizer: Tokenizer
    before: list[int]
    after: list[int]
    pad_id: int
    hub_revision: str | None = None

    @cached_property
    def weights_sha256(self) -> str:
        """SHA-256 over the weight files: what an ONNX export is checked against."""
        digest = hashlib.sha256()
        for file in sorted(self.path.glob(WEIGHTS)):
            digest.update(file.read_bytes())
        return digest.hexdigest()

    @property
    def revision(self) -> str:
        """What tells this model from others of its name: the Hub's commit, or the beginning of its weights' SHA-256."""
        return self.hub_revision or self.weights_sha256[:12]


def open_model(name: str | Path, revision: str | None = None) -> ModelFolder:
    """Read a model folder or fetch a Hub id at `revision`; raises InputError when it holds no token classifier with our kind of tags."""
    path, commit = _located(str(name), revision)
    for file in ("config.json", "tokenizer.json", WEIGHTS):
        if not list(path.glob(file)):
            missing = file.replace("*", "")
            raise InputError(f"{name}: holds no {missing}; train the model first (python train.py --config ...) or name another folder")
    config = read_json(path / "config.json")
    labels = LabelSet.from_id2label({int(tag_id): tag for tag_id, tag in config.get("id2label", {}).items()})
    try:
        tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    except Exception as error:  # tokenizers has no errors of its own
        raise InputError(f"{path / 'tokenizer.json'}: cannot be read ({error}); copy or train the model again") from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    before, after = special_frame(tokenizer)
    windows = WindowSize(**config["window"]) if "window" in config else _usual_windows(path, config)
    return ModelFolder(path, str(name), labels, windows, tokenizer, before, after, config.get("pad_token_id") or 0, commit)


def _usual_windows(path: Path, config: dict[str, Any]) -> WindowSize:
    tokenizer_config = path / "tokenizer_config.json"
    limit = read_json(tokenizer_config).get("model_max_length") if tokenizer_config.exists() else None
    length = int(min(limit or config.get("max_position_embeddings", LONGEST_WINDOW), LONGEST_WINDOW))
    return WindowSize(length, length // 4)


def _located(name: str, revision: str | None) -> tuple[Path, str | None]:
    """Return the folder of a model and, for one from the Hub, its commit; raises InputError when there is neither."""
    folder = Path(name)
    try:
        is_folder = folder.is_dir()
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror}); correct the path, or mend its permissions") from None
    if is_folder:
        if revision:
            raise InputError(f"{name}: a folder on this machine has no revisions; leave --revision away, or name a Hub id")
        return folder, None
    if folder.is_absolute() or len(folder.parts) != 2:
        raise InputError(f"{name}: there is no such folder; train the model first (python train.py --config ...) or correct the path")
    from huggingface_hub import snapshot_download

    try:
        snapshot = Path(snapshot_download(name, revision=revision, allow_patterns=FILES))
    except (OSError, ValueError, RuntimeError) as error:  # every error of the Hub's client is one of these
        raise InputError(
            f"{name}: there is no such folder, and no model of that id could be fetched from the Hugging Face Hub "
            f"({type(error).__name__}: {str(error).strip().splitlines()[0]}); "
            "name a folder that train.py finished, or a Hub id that can be reached"
        ) from error
    return snapshot, snapshot.name
