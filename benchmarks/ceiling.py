"""What this machine's matrix multiplication could do at most: the ceiling that a tagger's speed is held against.

Nearly all arithmetic of an encoder lies in six matrix products per layer (query, key, value, attention output, and the two of the
feed-forward part). The ceiling runs these alone, on random numbers: no tokenizing, no embeddings, no attention, no norms, no padding,
no decoding. It is told in sub-tokens a second, one row of the products being one sub-token, so a tagger's speed divides by it.

- `fp32`: the products by torch, one thread per core.
- `int8`: an ONNX model of the products, quantized as our int8 model is, so each product's input is quantized on the way (no float model
  has int8 products without that); one thread per core.
- `bf16-cuda`: one big bfloat16 product on the GPU; its operations a second, divided by those that a sub-token needs.
"""

from __future__ import annotations

import functools
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROWS = 512  # sub-tokens in one product: about what a batch of the int8 tagger holds


@dataclass(frozen=True)
class Encoder:
    """The sizes that decide an encoder's products."""

    hidden: int
    intermediate: int
    layers: int

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Encoder:
        """Read the sizes from a model's `config.json`."""
        return cls(config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"])

    def operations(self) -> int:
        """Return the multiplications and additions of one sub-token."""
        return 2 * self.layers * (4 * self.hidden * self.hidden + 2 * self.hidden * self.intermediate)

    def weights(self) -> Iterator[tuple[str, str, np.ndarray]]:
        """Yield (input, output, weight) of every product, in order; what a layer's `out` holds is the next layer's input."""
        generator = np.random.default_rng(0)
        before = "x"
        for k in range(self.layers):
            projections = [(before, "query"), (before, "key"), (before, "value"), (f"value{k}", "mixed")]
            for source, target in [*projections, (f"mixed{k}", "wide"), (f"wide{k}", "out")]:
                shape = (self.intermediate if target == "out" else self.hidden, self.intermediate if target == "wide" else self.hidden)
                yield source, f"{target}{k}", generator.standard_normal(shape, dtype=np.float32) / np.sqrt(shape[0], dtype=np.float32)
            before = f"out{k}"


def ceiling(kind: str, encoder: Encoder) -> Callable[[float], float]:
    """Return a function that measures for some seconds and returns sub-tokens a second."""
    return {"fp32": _torch_fp32, "int8": _onnx_int8, "bf16-cuda": _cuda_bf16}[kind](encoder)


def _torch_fp32(encoder: Encoder) -> Callable[[float], float]:
    import torch

    weights = [(source, target, torch.from_numpy(weight)) for source, target, weight in encoder.weights()]
    rows = torch.randn(ROWS, encoder.hidden)

    def products() -> None:
        values = {"x": rows}
        for source, target, weight in weights:
            values[target] = values[source] @ weight

    # One product per core, not one product on all cores: threads that need not wait for each other reach more.
    return lambda seconds: ROWS * on_every_core([products] * cores(), seconds, lambda: torch.set_num_threads(1))


def _onnx_int8(encoder: Encoder) -> Callable[[float], float]:
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        model = quantized(encoder, Path(folder)).read_bytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    rows = {"x": np.random.default_rng(1).standard_normal((ROWS, encoder.hidden), dtype=np.float32)}
    products = functools.partial(session.run, None, rows)
    return lambda seconds: ROWS * on_every_core([products] * cores(), seconds)


def quantized(encoder: Encoder, folder: Path) -> Path:
    """Write the products as an ONNX model, quantized as `conflict_ner` quantizes a whole model; returns its file."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    from conflict_ner.quantization import quantize

    products = list(encoder.weights())
    nodes = [helper.make_node("MatMul", [source, f"{target}.weight"], [target]) for source, target, _ in products]
    used = {source for source, _, _ in products}
    ends = [helper.make_tensor_value_info(target, TensorProto.FLOAT, [None, w.shape[1]]) for _, target, w in products if target not in used]
    begin = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, encoder.hidden])
    constants = [numpy_helper.from_array(weight, f"{target}.weight") for _, target, weight in products]
    graph = helper.make_graph(nodes, "products", [begin], ends, constants)
    whole, small = folder / "products.onnx", folder / "products_int8.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), whole)
    quantize(whole, small, [{"x": np.random.default_rng(1).standard_normal((ROWS, encoder.hidden), dtype=np.float32)}])
    return small


def _cuda_bf16(encoder: Encoder) -> Callable[[float], float]:
    import torch

    left, right = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))

    def products() -> None:
        for _ in range(20):
            left @ right
        torch.cuda.synchronize()

    return lambda seconds: repeated(products, seconds) * 20 * 2 * 8192**3 / encoder.operations()


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def instructions() -> list[str]:
    """Return which of the processor's instructions for 8-bit products it has, fastest first; nothing where Linux does not say."""
    file = Path("/proc/cpuinfo")
    flags = set(file.read_text(encoding="utf-8").split()) if file.exists() else set()
    return [name for name in ("amx_int8", "avx512_vnni", "avx_vnni", "avx2", "asimddp") if name in flags]


def on_every_core(work: Sequence[Callable[[], object]], seconds: float, begin: Callable[[], object] | None = None) -> float:
    """Do each work again and again in a thread of its own, all at once; returns how often a second, in sum."""
    with ThreadPoolExecutor(len(work), initializer=begin) as pool:
        return sum(pool.map(repeated, work, [seconds] * len(work)))


def repeated(work: Callable[[], object], seconds: float) -> float:
    """Return how often a second `work` can be done, after one time that does not count."""
    work()
    begun, times = time.monotonic(), 0
    while (taken := time.monotonic() - begun) < seconds:
        work()
        times += 1
    return times / taken
