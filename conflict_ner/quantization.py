"""A float32 ONNX graph -> int8 that stays close to it: every `MatMul` with a weight matrix computes in 8-bit integers.

- Weights have a scale per output channel, and 7 bits: where a processor has no instruction for 8-bit products (AVX2), onnxruntime adds
  two of them in 16 bits, which full 8-bit weights overflow. So every processor computes the same.
- Inputs have one scale each, fixed here, from what they are on a few texts: a text's entities do not depend on what is computed with it,
  and nothing is measured while tagging. The range is the one with the least squared error over those texts: outliers are
  cut off only where that costs less than wider steps do.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

STEPS = 255  # of an unsigned 8-bit input
LARGEST_WEIGHT = 63  # of a signed 7-bit weight
SHARES = np.linspace(0.1, 1, 19)  # of an input's lowest and highest value that are tried as its range
SAMPLE = 100_000  # values that decide a range
CONTRIB = "com.microsoft"  # the domain of onnxruntime's own operators

Array = NDArray[np.float32]
Example = Mapping[str, NDArray[np.generic]]


def quantize(source: Path, target: Path, examples: Sequence[Example]) -> None:
    """Write the int8 copy of a graph; `examples` are inputs like those it will read, arrays by name."""
    model = onnx.load(source)
    graph, constants = model.graph, {tensor.name: tensor for tensor in model.graph.initializer}
    biases = _biases(model, constants)
    replaced: dict[str, list[onnx.NodeProto]] = {added: [] for _, added in biases.values()}
    for (name, products), (low, high) in zip(_products(model).items(), _ranges(model, examples), strict=True):
        scale = np.float32(max(high - low, 1e-8) / STEPS)
        scale_name, zero_name = _constant(graph, f"{name}_scale", scale), _constant(graph, f"{name}_zero", np.uint8(round(-low / scale)))
        steps = helper.make_node("QuantizeLinear", [name, scale_name, zero_name], [f"{name}_steps"])
        for product in products:
            out = product.output[0]
            bias, result = biases.get(out, ("", out))
            weight, weight_scale = _seven_bits(numpy_helper.to_array(constants[product.input[1]]))
            scales = [scale_name, _constant(graph, f"{out}_weight_scale", weight_scale)]
            zeros = [zero_name, _constant(graph, f"{out}_weight_zero", np.zeros_like(weight_scale, dtype=np.int8))]
            inputs = [f"{name}_steps", _constant(graph, f"{out}_weight", weight), *scales, *zeros, bias]
            replaced[out] = [steps] * (product is products[0]) + [
                helper.make_node("MatMulIntegerToFloat", inputs, [result], domain=CONTRIB)
            ]
    nodes = [new for old in graph.node for new in replaced.get(old.output[0], [old])]
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    if CONTRIB not in {opset.domain for opset in model.opset_import}:
        model.opset_import.append(helper.make_opsetid(CONTRIB, 1))
    onnx.save(model, target)
    quantize_dynamic(target, target, weight_type=QuantType.QInt8, op_types_to_quantize=["Gather"])  # embeddings: most of the file


def _products(model: onnx.ModelProto) -> dict[str, list[onnx.NodeProto]]:
    """Return the products with a weight matrix, by the name of the input they share."""
    weights = {tensor.name for tensor in model.graph.initializer if len(tensor.dims) == 2}
    products: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        if node.op_type == "MatMul" and node.input[1] in weights:
            products.setdefault(node.input[0], []).append(node)
    return products


def _biases(model: onnx.ModelProto, constants: dict[str, onnx.TensorProto]) -> dict[str, tuple[str, str]]:
    """Return, by the output of a product, the bias that the next node adds to it and that node's output."""
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    found = {}
    for product in itertools.chain.from_iterable(_products(model).values()):
        out = product.output[0]
        node = readers[out][0] if len(readers.get(out, ())) == 1 else None
        if node is not None and node.op_type == "Add":
            bias = node.input[1 if node.input[0] == out else 0]
            if bias in constants and list(constants[bias].dims) == [constants[product.input[1]].dims[1]]:
                found[out] = (bias, node.output[0])
    return found


def _ranges(model: onnx.ModelProto, examples: Sequence[Example]) -> list[tuple[float, float]]:
    """Return the lowest and highest value that each input of `_products` is given steps for."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    names = list(_products(model))
    watched.graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    session = onnxruntime.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    kept: list[list[Array]] = [[] for _ in names]  # a sample and the extremes of each example: all of it would fill the memory
    for example in examples:
        for sample, value in zip(kept, session.run(names, example), strict=True):
            chosen = random.choice(value.ravel(), min(value.size, SAMPLE // len(examples)), replace=False)
            sample.append(np.append(chosen, [value.min(), value.max()]).astype(np.float32))
    return [_closest_range(np.concatenate(sample)) for sample in kept]


def _closest_range(values: Array) -> tuple[float, float]:
    """Return the range, zero in it, whose steps differ least from `values` in the mean square."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)

    def error(limits: tuple[float, float]) -> float:
        scale = max(limits[1] - limits[0], 1e-8) / STEPS
        zero = round(-limits[0] / scale)
        steps = np.clip(np.round(values / scale) + zero, 0, STEPS)
        return float(np.square((steps - zero) * scale - values).mean())

    return min((limits for s in SHARES for limits in ((s * low, high), (low, s * high), (s * low, s * high))), key=error)


def _seven_bits(weight: Array) -> tuple[NDArray[np.int8], Array]:
    """Return a weight matrix (inputs, outputs) in steps, and the size of a step for each output."""
    scale = np.maximum(np.abs(weight).max(axis=0), 1e-8).astype(np.float32) / np.float32(LARGEST_WEIGHT)
    return np.round(weight / scale).astype(np.int8), scale


def _constant(graph: onnx.GraphProto, name: str, value: NDArray[np.generic] | np.generic) -> str:
    graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name
