"""Export a finished model to ONNX, float32 and int8, beside its weights: what makes tagging fast on a CPU without torch.

    python -m conflict_ner.export models/conflict-minilm

`quantization` says how int8 stays close.
Nothing is left behind unless the float32 export gives torch's logits within TOLERANCE; what int8 changes is measured and recorded.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForTokenClassification
from transformers.utils import logging as transformers_logging

from conflict_ner.errors import InputError, exit_2_on_bad_input
from conflict_ner.model_folder import ONNX_FP32, ONNX_INT8, ONNX_RECORD, ModelFolder, open_model
from conflict_ner.runs import RUN_RECORD, prepare_output, read_json_if_any, versions, write_json
from conflict_ner.sources import training_documents
from conflict_ner.tagger import Tagger
from conflict_ner.windows import tokenize

TOLERANCE = 1e-3  # of a float32 logit
FEWEST_SAME = 0.9  # share of sub-tokens to which int8 gives the tag of float32: less is no copy of the model any more
PREPARED_ON = 30  # training documents, about
OPSET = 20  # the last in which every operator of every encoder family runs as exported (23's RotaryEmbedding does not broadcast)
# Texts on which exports are compared with torch: short, long, and of many scripts.
PROBES = (
    "Two T-72B3 tanks and a Su-34 were seen near Port Azur.",
    "The Nordland army fired Kh-101/102 missiles at Brenholm, officials of the 3rd Fleet said on Monday. " * 40,
    "Ségou, Київ and بغداد 🚀",
    "x",
)


class _LogitsOnly(torch.nn.Module):
    """The classifier with a plain tensor as output: what ONNX can name."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return logits, (batch, seq) and (batch, seq) -> (batch, seq, num_tags)."""
        logits: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits


def export(name: str | Path) -> dict[str, Any]:
    """Write `onnx/` into the model folder and return its record: checksums, sizes and parity; raises InputError when it cannot be done."""
    if not Path(name).is_dir():
        raise InputError(f"{name}: there is no such folder; name one that train.py finished")
    if missing := [package for package in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(package) is None]:
        raise InputError(f"the export needs {', '.join(missing)}, not installed here: pip install -e '.[onnx]'")
    folder = open_model(name)
    weights = sum(file.stat().st_size for file in folder.path.glob("model*.safetensors"))
    prepare_output(folder.path, bytes_needed=4 * weights)
    with tempfile.TemporaryDirectory(dir=folder.path, prefix="onnx-part-") as temporary:
        # A folder like the model's, in which the export is tried before it takes the place of an earlier one.
        trial = Path(temporary)
        for file in folder.path.glob("*.*"):
            if file.suffix in (".json", ".safetensors"):
                (trial / file.name).symlink_to(file.resolve())
        target = trial / ONNX_RECORD.parent
        target.mkdir()
        _write_graphs(folder, target)
        files = {file.name: {"bytes": file.stat().st_size, "sha256": _sha256(file)} for file in sorted(target.glob("*.onnx"))}
        record: dict[str, Any] = {"weights_sha256": folder.weights_sha256, "files": files, "opset": OPSET, "versions": versions()}
        write_json(trial / ONNX_RECORD, record)
        record["parity"] = parity(trial)
        if not (difference := record["parity"]["fp32_max_difference"]) <= TOLERANCE:
            raise InputError(f"{name}: ONNX logits differ from torch's by {difference:.2g}; this architecture cannot be exported")
        if not (same := record["parity"]["int8_same_tags"]) >= FEWEST_SAME:
            raise InputError(f"{name}: int8 gives only {same:.1%} of sub-tokens the tag that torch gives; use --backend torch or onnx-fp32")
        write_json(trial / ONNX_RECORD, record)
        shutil.rmtree(folder.path / ONNX_RECORD.parent, ignore_errors=True)
        os.replace(target, folder.path / ONNX_RECORD.parent)
    return record


def parity(folder: Path) -> dict[str, Any]:
    """Return how exports differ from torch: logits on PROBES; int8 also by the share of sub-tokens of `_texts` with the same best tag."""
    taggers = {backend: Tagger.from_pretrained(folder, backend=backend, device="cpu") for backend in ("torch", "onnx-fp32", "onnx")}
    scored = {backend: tagger.score(PROBES) for backend, tagger in taggers.items()}
    found = {backend: tagger.tag(PROBES) for backend, tagger in taggers.items()}

    texts = _texts(folder)
    tags = [np.concatenate([scores.argmax(-1) for _, scores in taggers[backend].score(texts)]) for backend in ("torch", "onnx")]

    def largest(backend: str) -> float:
        pairs = zip(scored["torch"], scored[backend], strict=True)
        return float(max(np.abs(ours[1] - theirs[1]).max() for ours, theirs in pairs))

    return {
        "fp32_max_difference": largest("onnx-fp32"),
        "fp32_same_entities": found["torch"] == found["onnx-fp32"],
        "int8_max_difference": largest("onnx"),
        "int8_same_tags": float((tags[0] == tags[1]).mean()),
    }


def _write_graphs(folder: ModelFolder, part: Path) -> None:
    """Write `model.onnx` and its int8 copy; onnxruntime fuses what it can when it loads them."""
    from conflict_ner.quantization import quantize

    # Attention written out: below opset 23, torch's own operator is exported with guards against NaN that cost time.
    model = AutoModelForTokenClassification.from_pretrained(folder.path, dtype=torch.float32, attn_implementation="eager").eval()
    # Two rows, several columns: torch takes dimensions of size 1 for constants.
    example = (torch.full((2, 8), max(folder.pad_id, 1)), torch.ones((2, 8), dtype=torch.long))
    dimensions = {0: torch.export.Dim("batch"), 1: torch.export.Dim("sequence")}
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # deprecations inside the exporter
        program = torch.onnx.export(
            _LogitsOnly(model),
            example,
            dynamo=True,
            opset_version=OPSET,
            input_names=["input_ids", "attention_mask"],
            output_names=["logits"],
            dynamic_shapes={"input_ids": dimensions, "attention_mask": dimensions},
            verbose=False,
        )
    assert program is not None, "dynamo=True returns a program"
    fp32, int8 = part / ONNX_FP32.name, part / ONNX_INT8.name
    program.save(str(fp32), external_data=False)
    quantize(fp32, int8, list(_examples(folder)))


def _examples(folder: ModelFolder) -> Iterator[dict[str, NDArray[np.int64]]]:
    """Yield windows of `_texts` as the encoder reads them, arrays of (1, seq)."""
    for tokens in tokenize(folder.tokenizer, _texts(folder.path)):
        for window in folder.windows.cut(len(tokens.ids), len(folder.before) + len(folder.after)):
            input_ids = np.array([folder.before + tokens.ids[window.start : window.end] + folder.after])
            yield {"input_ids": input_ids, "attention_mask": np.ones_like(input_ids)}


def _texts(folder: Path) -> Sequence[str]:
    """Return some training documents, PROBES where they are not here; never others: int8 must not be scored on what it is prepared on."""
    documents = training_documents(read_json_if_any(folder / RUN_RECORD)) or []
    return [document.text for document in documents[:: max(1, len(documents) // PREPARED_ON)]] or PROBES


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@exit_2_on_bad_input
def main(argv: Sequence[str] | None = None) -> int:
    """Export and say what came of it."""
    parser = argparse.ArgumentParser(
        prog="python -m conflict_ner.export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="model folder that train.py finished")
    name = parser.parse_args(argv).model
    logging.disable(logging.WARNING)  # the exporter warns of absent packages, the quantizer of steps that change nothing here
    transformers_logging.disable_progress_bar()
    try:
        record = export(name)
    finally:
        logging.disable(logging.NOTSET)
    for file, facts in record["files"].items():
        print(f"{Path(name) / ONNX_RECORD.parent / file}  {facts['bytes'] / 1e6:.1f} MB")  # noqa: T201
    print(", ".join(f"{key} {value:.2g}" if isinstance(value, float) else f"{key} {value}" for key, value in record["parity"].items()))  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
