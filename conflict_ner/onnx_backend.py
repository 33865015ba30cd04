"""Logits by onnxruntime on a CPU, without torch: the int8 (or fp32) export that `conflict_ner.export` left beside the weights."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from conflict_ner.errors import InputError
from conflict_ner.model_folder import ONNX_FP32, ONNX_INT8, ONNX_RECORD, ModelFolder
from conflict_ner.runs import read_json

CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")  # of a container: microseconds of processor time in each period, or `max`


class OnnxBackend:
    """One session of one thread, called by a worker per core, so that no core waits for another."""

    tokens_per_batch = 512
    pads = False  # padding is work, too, and there are windows of equal length enough

    def __init__(self, folder: ModelFolder, precision: str = "int8", cores: int | None = None) -> None:
        """Load the export of `precision` (`int8` or `fp32`), to be run by `cores` cores (None: all that this process may use).

        Raises InputError when there is no such export or it was made from other weights.
        """
        try:
            import onnxruntime
        except ImportError:
            raise InputError("onnxruntime is not installed; pip install -e '.[onnx]', or use --backend torch") from None
        file = folder.path / (ONNX_INT8 if precision == "int8" else ONNX_FP32)
        again = f"make it with python -m conflict_ner.export {folder.name}, or use --backend torch"
        if not file.exists() or not (folder.path / ONNX_RECORD).exists():
            raise InputError(f"{folder.name}: holds no ONNX export ({file.name} and {ONNX_RECORD.name}); {again}")
        content, record = file.read_bytes(), read_json(folder.path / ONNX_RECORD)
        exported = record.get("files", {}).get(file.name, {})
        if record.get("weights_sha256") != folder.weights_sha256 or exported.get("sha256") != hashlib.sha256(content).hexdigest():
            raise InputError(f"{file}: was not made from the weights beside it (checksums differ); {again}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # SkipLayerNormFusion off: the fused kernel takes a quarter of the time of int8 inference, its parts a twentieth (onnxruntime 1.31).
        self.session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"], disabled_optimizers=["SkipLayerNormFusion"]
        )
        self.name = f"onnx-{precision}"
        self.workers = cores or usable_cores()

    def logits(self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the logits of a batch of windows of one length: (batch, seq) and (batch, seq) -> (batch, seq, num_tags)."""
        scores: NDArray[np.float32] = self.session.run(["logits"], {"input_ids": input_ids, "attention_mask": attention_mask})[0]
        return scores


def usable_cores() -> int:
    """Return how many cores this process may use, which in a container may be fewer than the machine has."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = CPU_LIMIT.read_text(encoding="ascii").split()
        return cores if quota == "max" else max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):
        return cores
