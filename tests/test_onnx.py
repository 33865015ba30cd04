"""Export and the ONNX backend, on tiny models of every architecture: the same entities as torch, and never from other weights."""

import json
import logging
import shutil
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conflict_ner import Tagger, onnx_backend, quantization
from conflict_ner import tagger as tagger_module
from conflict_ner.errors import InputError
from conflict_ner.export import TOLERANCE, export, main
from tests.conftest import ENCODERS

TEXTS = [
    "Two T-72B3 tanks and a Su-34 were seen near Port Azur.",
    "Soldiers of the Nordland army fired rockets. " * 30,
    "",
    "x" * 300,
    "🚀 Ségou",
]


@pytest.fixture(scope="module")
def exported(wild_model, tmp_path_factory):
    """A model folder with its ONNX files."""
    folder = tmp_path_factory.mktemp("exported") / "model"
    shutil.copytree(wild_model("bert"), folder)
    export(folder)
    return folder


@pytest.fixture
def model(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "model")


@pytest.mark.slow
@pytest.mark.parametrize("architecture", [name for name in ENCODERS if name != "bert"])
def test_every_architecture_is_exported_with_the_same_logits(wild_model, tmp_path, architecture):
    folder = shutil.copytree(wild_model(architecture), tmp_path / "model")
    record = export(folder)
    assert record["parity"]["fp32_max_difference"] <= TOLERANCE
    assert record["parity"]["fp32_same_entities"]
    assert Tagger.from_pretrained(folder, backend="onnx-fp32").tag(TEXTS) == Tagger.from_pretrained(folder, backend="torch").tag(TEXTS)


def test_fp32_gives_torchs_logits_and_entities_whatever_the_batch(exported, monkeypatch):
    torch, onnx = (Tagger.from_pretrained(exported, backend=backend, device="cpu") for backend in ("torch", "onnx-fp32"))
    for (_, expected), (_, found) in zip(torch.score(TEXTS), onnx.score(TEXTS), strict=True):
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)
    assert onnx.tag(TEXTS) == torch.tag(TEXTS)
    monkeypatch.setattr(onnx.backend, "tokens_per_batch", 1)
    assert onnx.tag(TEXTS) == torch.tag(TEXTS)


def test_int8_is_near_and_chosen_by_itself(exported, monkeypatch):
    monkeypatch.setattr(tagger_module, "gpu_is_here", lambda: False)
    tagger = Tagger.from_pretrained(exported)
    assert tagger.backend.name == "onnx-int8"
    difference = max(
        np.abs(np.exp(found) - np.exp(expected)).max(initial=0)
        for (_, found), (_, expected) in zip(tagger.score(TEXTS), Tagger.from_pretrained(exported, "torch").score(TEXTS), strict=True)
    )
    assert 0 < difference < 0.5
    assert Tagger.from_pretrained(exported, device="cpu").backend.name == "onnx-int8"


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(st.lists(st.lists(st.sampled_from(["T-72B3 ", "army ", "Port Azur, ", "\n", "🚀", "x" * 90]), max_size=30).map("".join), max_size=6))
def test_int8_gives_a_text_the_same_spans_whatever_is_tagged_with_it(exported, texts):
    tagger = Tagger.from_pretrained(exported, backend="onnx")
    assert tagger.tag(texts) == [tagger.tag([text])[0] for text in texts]


@pytest.mark.parametrize(("limit", "most"), [("max 100000", 64), ("200000 100000", 2), ("50000 100000", 1), ("nonsense", 64)])
def test_a_containers_limit_of_processor_time_counts(tmp_path, monkeypatch, limit, most):
    (tmp_path / "cpu.max").write_text(limit)
    monkeypatch.setattr(onnx_backend, "CPU_LIMIT", tmp_path / "cpu.max")
    monkeypatch.setattr(onnx_backend.os, "sched_getaffinity", lambda process: set(range(64)))
    assert onnx_backend.usable_cores() == most


def test_without_an_export_torch_computes(wild_model):
    assert Tagger.from_pretrained(wild_model("bert")).backend.name == "torch"


def test_the_record_says_what_was_exported_from_what(exported):
    record = json.loads((exported / "onnx/export.json").read_text())
    assert record["weights_sha256"] == Tagger.from_pretrained(exported).model.weights_sha256
    assert record["files"]["model_int8.onnx"]["bytes"] == (exported / "onnx/model_int8.onnx").stat().st_size
    assert record["parity"]["fp32_max_difference"] <= TOLERANCE
    assert not list(exported.glob("onnx-part-*"))


def test_an_int8_copy_that_is_none_any_more_is_not_written(model, monkeypatch):
    before = (model / "onnx/export.json").read_bytes()
    monkeypatch.setattr(quantization, "LARGEST_WEIGHT", 0.5)  # all weights become 0
    with pytest.raises(InputError, match="int8 gives only .* use --backend torch or onnx-fp32"):
        export(model)
    assert (model / "onnx/export.json").read_bytes() == before, "an earlier export stays"


def test_an_export_of_other_weights_is_refused(model):
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(InputError, match=r"not made from the weights beside it.*conflict_ner.export.*or use --backend torch"):
        Tagger.from_pretrained(model, backend="onnx")


def test_an_onnx_file_of_another_model_is_refused(model):
    (model / "onnx/model_int8.onnx").write_bytes((model / "onnx/model.onnx").read_bytes())
    with pytest.raises(InputError, match="checksums differ"):
        Tagger.from_pretrained(model, backend="onnx")


def test_a_missing_export_says_how_to_make_one(wild_model):
    with pytest.raises(InputError, match=r"holds no ONNX export.*python -m conflict_ner.export"):
        Tagger.from_pretrained(wild_model("bert"), backend="onnx")


def test_onnx_runs_on_the_cpu_only(exported):
    with pytest.raises(InputError, match="run on the CPU"):
        Tagger.from_pretrained(exported, backend="onnx", device="cuda")


def test_a_graph_that_gives_other_logits_does_not_replace_a_good_one(model, monkeypatch, capsys):
    before = {file.name: file.read_bytes() for file in (model / "onnx").iterdir()}
    monkeypatch.setattr("conflict_ner.export.TOLERANCE", -1.0)
    assert main([str(model)]) == 2
    assert "cannot be exported" in capsys.readouterr().err
    assert {file.name: file.read_bytes() for file in (model / "onnx").iterdir()} == before
    assert not list(model.glob("onnx-part-*"))


def test_without_its_packages_the_export_says_what_to_install(model, monkeypatch, capsys):
    monkeypatch.setattr("conflict_ner.export.importlib.util.find_spec", lambda name: None)
    assert main([str(model)]) == 2
    assert "pip install -e '.[onnx]'" in capsys.readouterr().err


def test_the_command_line_says_what_it_wrote(model, capsys):
    assert main([str(model)]) == 0
    assert logging.getLogger("conflict_ner").isEnabledFor(logging.WARNING), "silence lasts for the export alone"
    assert "model_int8.onnx" in capsys.readouterr().out
    assert main([str(model / "absent")]) == 2
    assert "no such folder" in capsys.readouterr().err


@pytest.mark.slow
def test_tagging_by_onnx_imports_no_torch(exported):
    code = f"""
import sys
from conflict_ner import Tagger
spans = Tagger.from_pretrained({str(exported)!r}, backend="onnx").tag(["Two T-72B3 tanks near Port Azur."])
assert spans[0]
print(sorted({{"torch", "transformers", "datasets", "scipy", "pandas"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
