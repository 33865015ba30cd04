import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from conflict_ner.quantization import quantize

CHANNELS, VALUES = 32, 50


def graph(table, gain, weights, activation):
    """Embeddings, a gain of each channel, an activation, two products: the least that has what an encoder has."""
    tensors = {"table": table, "gain": gain, "weights": weights, "two": weights[::-1].copy()}
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["embedded"]),
        helper.make_node("Mul", ["embedded", "gain"], ["louder"]),
        helper.make_node(activation, ["louder"], ["active"]),
        helper.make_node("MatMul", ["active", "weights"], ["first"]),
        helper.make_node("MatMul", ["active", "two"], ["second"]),
        helper.make_node("Add", ["first", "second"], ["summed"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["wide"]),
        helper.make_node("Mul", ["summed", "wide"], ["logits"]),
    ]
    ids = [helper.make_tensor_value_info(name, onnx.TensorProto.INT64, ["batch", "seq"]) for name in ("input_ids", "attention_mask")]
    logits = [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", "seq", CHANNELS])]
    initializers = [numpy_helper.from_array(array, name) for name, array in tensors.items()]
    initializers.append(numpy_helper.from_array(np.array([-1]), "last"))
    model = helper.make_model(helper.make_graph(nodes, "g", ids, logits, initializers), opset_imports=[helper.make_opsetid("", 20)])
    model.ir_version = 10
    return model


def logits(path, ids):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0]


@pytest.mark.parametrize("activation", ["Identity", "Gelu"])
def test_outliers_cost_less_than_in_plain_quantization(tmp_path, activation):
    random = np.random.default_rng(0)
    table = random.normal(size=(VALUES, CHANNELS)).astype(np.float32)
    gain = np.ones(CHANNELS, dtype=np.float32)
    weights = random.normal(size=(CHANNELS, CHANNELS)).astype(np.float32)
    if activation == "Identity":  # an outlier channel that means little
        gain[3] = 60
        weights[3] /= 60
        weights[CHANNELS - 4] /= 60  # its row in the second product, which reads the weights upside down
    fp32, plain, tamed = (tmp_path / f"{name}.onnx" for name in ("fp32", "plain", "tamed"))
    onnx.save(graph(table, gain, weights, activation), fp32)
    ids = random.integers(0, VALUES, size=(1, 200))
    quantize_dynamic(fp32, plain, weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul", "Gather"])
    quantize(fp32, tamed, [ids])
    expected = logits(fp32, ids)
    errors = {path.stem: float(np.sqrt(((logits(path, ids) - expected) ** 2).mean())) for path in (plain, tamed)}
    scale = float(np.sqrt((expected**2).mean()))
    assert errors["tamed"] < 0.05 * scale
    if activation == "Identity":
        assert errors["tamed"] < 0.5 * errors["plain"]
    assert not list(tmp_path.glob("*.tamed"))


def test_what_one_sided_values_exceed_is_cut_off(tmp_path):
    table = np.zeros((VALUES, CHANNELS), dtype=np.float32)
    table[:, 0] = np.linspace(0, 1, VALUES)
    table[0, 1] = 1
    gain = np.ones(CHANNELS, dtype=np.float32)
    gain[1] = 500  # a single value far above all others
    weights = np.eye(CHANNELS, dtype=np.float32)
    fp32, int8 = tmp_path / "fp32.onnx", tmp_path / "int8.onnx"
    onnx.save(graph(table, gain, weights, "Relu"), fp32)
    often = np.concatenate([np.zeros((1, 1), dtype=np.int64), np.arange(1, VALUES).repeat(40)[None]], axis=1)
    quantize(fp32, int8, [often])
    assert any(node.op_type == "Min" for node in onnx.load(int8).graph.node)
    found, expected = logits(int8, often), logits(fp32, often)
    assert np.abs(found[0, 1:, 0] - expected[0, 1:, 0]).max() < 0.05, "small values keep their precision beside the large one"
