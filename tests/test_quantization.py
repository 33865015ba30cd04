"""int8 products: close to float32, never overflowing, with steps that no neighbour changes."""

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from conflict_ner.quantization import LARGEST_WEIGHT, STEPS, _closest_range, _seven_bits, quantize

INPUTS, OUTPUTS = 64, 24


@pytest.fixture(scope="module")
def weights():
    random = np.random.default_rng(0)
    return [random.standard_normal((INPUTS, OUTPUTS), dtype=np.float32) for _ in range(2)], random.standard_normal(
        OUTPUTS, dtype=np.float32
    )


@pytest.fixture(scope="module")
def int8_graph(weights, tmp_path_factory):
    """Two products of one input, the first with a bias, quantized; the same in float32 beside it."""
    (first, second), bias = weights
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["bare"]),
        helper.make_node("Add", ["bias", "bare"], ["one"]),
        helper.make_node("MatMul", ["x", "second"], ["two"]),
    ]
    constants = [numpy_helper.from_array(value, name) for name, value in (("first", first), ("second", second), ("bias", bias))]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, OUTPUTS]) for name in ("one", "two")]
    graph = helper.make_graph(nodes, "products", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, INPUTS])], ends, constants)
    folder = tmp_path_factory.mktemp("products")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), folder / "fp32.onnx")
    quantize(folder / "fp32.onnx", folder / "int8.onnx", [{"x": rows(seed)} for seed in range(5)])
    return folder / "int8.onnx"


@pytest.fixture(scope="module")
def sessions(int8_graph):
    """The products in float32 and quantized."""
    return [
        onnxruntime.InferenceSession(int8_graph.with_name(f"{name}.onnx"), providers=["CPUExecutionProvider"]) for name in ("fp32", "int8")
    ]


def rows(seed, number=40):
    return np.random.default_rng(seed).standard_normal((number, INPUTS), dtype=np.float32)


def test_every_product_is_one_of_integers_and_adds_its_bias(int8_graph):
    assert [node.op_type for node in onnx.load(int8_graph).graph.node] == ["QuantizeLinear", "MatMulIntegerToFloat", "MatMulIntegerToFloat"]


def test_results_are_close(sessions):
    fp32, int8 = sessions
    for exact, close in zip(fp32.run(None, {"x": rows(9)}), int8.run(None, {"x": rows(9)}), strict=True):
        assert 0 < np.abs(exact - close).max() < 0.03 * np.abs(exact).max()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.floats(0.1, 100))
def test_a_row_is_computed_alike_whatever_stands_beside_it(sessions, seed, scale):
    own, other = rows(seed, 3), np.float32(scale) * rows(seed + 1, 4)
    alone, together = (sessions[1].run(None, {"x": x}) for x in (own, np.concatenate([own, other])))
    for one, both in zip(alone, together, strict=True):
        assert (one == both[:3]).all()


def test_the_largest_products_do_not_overflow(weights, sessions):
    """Every input at its highest step. Eight-bit weights fail this where pairs are added in 16 bits (AVX2); the last line holds anywhere."""
    (first, _), bias = weights
    steps, size = _seven_bits(first)
    x = np.full((1, INPUTS), 100, dtype=np.float32)
    found = sessions[1].run(["one"], {"x": x})[0]
    highest = found[0, 0] - bias[0]
    assert highest / (steps[:, 0].astype(np.int64).sum() * size[0]) == pytest.approx(
        (found[0] - bias)[1] / (steps[:, 1].sum() * size[1]), rel=1e-3
    )
    assert 2 * STEPS * LARGEST_WEIGHT < 2**15


def test_weights_have_seven_bits_and_a_step_for_each_output(weights):
    steps, size = _seven_bits(weights[0][0])
    assert np.abs(steps).max(axis=0).tolist() == [LARGEST_WEIGHT] * OUTPUTS
    np.testing.assert_allclose(steps * size, weights[0][0], atol=size.max() / 2)
    assert not _seven_bits(np.zeros((3, 2), dtype=np.float32))[0].any()


def test_a_range_is_at_least_as_close_as_the_widest():
    values = np.random.default_rng(0).laplace(size=20_000).astype(np.float32)

    def error(low, high):
        scale = (high - low) / STEPS
        zero = round(-low / scale)
        return np.square((np.clip(np.round(values / scale) + zero, 0, STEPS) - zero) * scale - values).mean()

    low, high = _closest_range(values)
    assert values.min() < low
    assert high < values.max()
    assert error(low, high) < error(values.min(), values.max())


@pytest.mark.parametrize("values", [[0.0], [2.0, 3.0], [-3.0, -2.0]])
def test_zero_lies_in_every_range(values):
    low, high = _closest_range(np.array(values, dtype=np.float32))
    assert low <= 0 <= high
