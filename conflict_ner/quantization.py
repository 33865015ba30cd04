"""A float32 ONNX graph -> int8 that stays close to it: weights per output channel, activations on the fly, both prepared for it.

Dynamic quantization spreads 256 steps over the largest value of a whole batch, so a few outliers cost all other values their precision, and
what else is in the batch changes results. Before quantizing, the products' inputs are therefore tamed, by what they are on a few texts:

- signed inputs (of attention and of the first feed-forward product) have outlier *channels*: each is divided by a factor that its row of
  weights is multiplied with, so the product stays the same (SmoothQuant, Xiao et al. 2023, with its exponent of one half);
- one-sided inputs (after GELU) have outlier *values*: they are cut off at the quantile KEPT.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

KEPT = 0.9999
ONE_SIDED = 0.1  # the lowest value is nearer to zero than this share of the highest

Array = NDArray[np.float32]


def quantize(source: Path, target: Path, batches: Sequence[NDArray[np.int64]]) -> None:
    """Write the int8 copy of a graph; `batches` are input ids, each (1, seq), of texts like those that will be read."""
    model = onnx.load(source)
    _tame(model, _values(model, batches))
    tamed = target.with_suffix(".tamed")
    onnx.save(model, tamed)
    # Embeddings (Gather) too: a quarter of the file, and dev F1 the same. Unsigned weights would miss the AMX kernels.
    quantize_dynamic(tamed, target, weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul", "Gather"])
    tamed.unlink()


def _products(model: onnx.ModelProto) -> dict[str, list[onnx.NodeProto]]:
    """Return the products with a weight matrix, by the name of the input they share."""
    weights = {tensor.name for tensor in model.graph.initializer if len(tensor.dims) == 2}
    products: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        if node.op_type == "MatMul" and node.input[1] in weights:
            products.setdefault(node.input[0], []).append(node)
    return products


def _values(model: onnx.ModelProto, batches: Sequence[NDArray[np.int64]]) -> dict[str, Array]:
    """Return what each product's input is over `batches`: (sub-tokens, channels)."""
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    names = list(_products(model))
    watched.graph.output.extend(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    session = onnxruntime.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    rows = [session.run(names, {"input_ids": ids, "attention_mask": np.ones_like(ids)}) for ids in batches]
    return {name: np.concatenate([row[k].reshape(-1, row[k].shape[-1]) for row in rows]) for k, name in enumerate(names)}


def _tame(model: onnx.ModelProto, values: dict[str, Array]) -> None:
    """Put a factor or a limit before the products, in place."""
    graph, weights = model.graph, {tensor.name: tensor for tensor in model.graph.initializer}
    before: dict[str, list[onnx.NodeProto]] = {}  # by the output of the first product that reads the new value
    for name, products in _products(model).items():
        found, tamed = values[name], f"{name}_tamed"
        if found.min() > -ONE_SIDED * found.max():
            limit = numpy_helper.from_array(np.float32(np.quantile(found, KEPT)), f"{name}_limit")
            node = helper.make_node("Min", [name, limit.name], [tamed])
            graph.initializer.append(limit)
        else:
            matrices = [numpy_helper.to_array(weights[product.input[1]]) for product in products]
            factor = _factor(found, matrices)
            inverse = numpy_helper.from_array(1 / factor, f"{name}_inverse")
            node = helper.make_node("Mul", [name, inverse.name], [tamed])
            graph.initializer.append(inverse)
            for product, matrix in zip(products, matrices, strict=True):
                own = f"{product.input[1]}_{product.output[0]}"  # another product may read the same weights
                graph.initializer.append(numpy_helper.from_array(matrix * factor[:, None], own))
                product.input[1] = own
        before[products[0].output[0]] = [node]
        for product in products:
            product.input[0] = tamed
    nodes = [node for old in graph.node for node in (*before.get(old.output[0], ()), old)]
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _factor(found: Array, matrices: Sequence[Array]) -> Array:
    """Return the factor of each channel, geometric mean 1: root of its largest input over its largest weight."""
    largest = np.maximum(np.abs(found).max(axis=0), 1e-5)
    weight = np.maximum(np.max([np.abs(matrix).max(axis=1) for matrix in matrices], axis=0), 1e-5)
    factor: Array = np.sqrt(largest / weight)
    factor /= np.exp(np.log(factor).mean())
    return factor
