"""The house: import directions, room sizes, thin scripts, and documentation that says what the code does."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import conflict_ner

PACKAGE = Path("conflict_ner")
MODULES = {".".join(path.with_suffix("").parts[1:]).removesuffix(".__init__"): path for path in sorted(PACKAGE.rglob("*.py"))}
MODULES["conflict_ner"] = MODULES.pop("__init__")

# What each room may import from the package: the order a sentence travels, no cycles. Rooms above the line know nothing of torch.
LIGHT = {
    "errors": set(),
    "labels": {"errors"},
    "documents": {"errors"},
    "corpus.splits": {"documents", "errors"},
    "corpus.markdown": {"documents", "errors"},
    "corpus.jsonl": {"documents", "errors"},
    "corpus.conll": {"documents", "errors"},
    "corpus.standoff": {"corpus.conll", "corpus.jsonl", "documents", "errors"},
    "corpus": {"corpus.markdown", "corpus.jsonl", "corpus.conll", "corpus.standoff", "corpus.splits", "documents", "errors"},
    "corpus.quality": {"documents", "scoring", "slices"},
    "matching": {"documents"},
    "scoring": {"documents", "matching"},
    "slices": {"documents", "scoring"},
    "mistakes": {"documents", "matching"},
    "calibration": {"documents", "scoring"},
    "comparison": {"documents", "scoring"},
    "tables": {"errors"},
    "inputs": {"errors", "tables"},
    "colours": {"documents"},
    "webpage": {"colours"},
    "brat": set(),
    "outputs": {"brat", "colours", "corpus", "corpus.jsonl", "corpus.markdown", "documents", "errors", "webpage"},
    "journal": {"brat", "errors", "outputs", "tables"},
    "progress": {"tables"},
    "job": {"documents", "errors", "inputs", "journal", "outputs", "tables"},
    "tagging": {"documents", "errors", "inputs", "job", "journal", "outputs", "progress", "tables"},
    "predictions": {"corpus.jsonl", "documents", "errors"},
    "runs": {"errors"},
    "encoders": {"errors"},
    "decoding": {"documents", "labels"},
    "terminal": {"scoring"},
    "plots": {"colours", "runs", "scoring"},
    "report": {"colours", "documents", "mistakes", "plots", "scoring", "terminal"},
    "snippets": {"errors"},
    "card_tables": {"mistakes", "scoring", "terminal"},
    "card_benchmarks": {"card_tables", "comparison", "scoring", "terminal"},
    "card_metadata": set(),
    "model_card": {"card_benchmarks", "card_metadata", "card_tables", "errors", "plots", "runs", "scoring", "snippets", "terminal"},
    "windows": {"errors"},
    "model_folder": {"errors", "labels", "runs", "windows"},
    "onnx_backend": {"errors", "model_folder", "runs"},
    "showcase": {"card_metadata", "corpus", "documents", "errors", "model_folder", "runs", "scoring", "outputs"},
}
HEAVY = {
    "alignment": {"documents", "labels", "windows"},
    "config": {"errors", "windows"},
    "training": {"alignment", "decoding", "documents", "encoders", "errors", "labels", "windows"},
    "experiment": {
        "config",
        "corpus",
        "documents",
        "encoders",
        "errors",
        "labels",
        "model_folder",
        "runs",
        "temperature",
        "training",
        "windows",
    },
    "temperature": {"calibration", "corpus", "decoding", "documents", "errors", "runs", "tagger"},
    "torch_backend": {"errors", "model_folder"},
    "tagger": {"decoding", "documents", "errors", "model_folder", "onnx_backend", "torch_backend", "windows"},
    "quantization": set(),
    "export": {"errors", "model_folder", "quantization", "runs", "sources", "tagger", "windows"},
    "ray_work": {"errors", "inputs", "job", "outputs", "tables", "tagger", "tagging"},
    "ray_engine": {"errors", "inputs", "job", "journal", "model_folder", "onnx_backend", "ray_work", "tagging"},
    "corpus.export": {"corpus.conll", "documents", "labels"},
    "corpus.__main__": {"corpus", "corpus.export", "corpus.quality", "documents", "errors", "labels"},
    "evaluation": {"calibration", "corpus", "corpus.conll", "documents", "errors", "mistakes", "runs", "scoring", "slices"},
    "assessment": {
        *(
            "comparison",
            "documents",
            "errors",
            "errors",
            "evaluation",
            "model_card",
            "predictions",
            "report",
            "runs",
            "slices",
            "sources",
            "tagger",
            "terminal",
        ),
    },
    "release": {
        "config",
        "experiment",
        "corpus",
        "corpus.__main__",
        "corpus.export",
        "errors",
        "export",
        "model_card",
        "model_folder",
        "plots",
        "runs",
        "sources",
    },
    "hub": {"errors", "runs"},
    "readback": {"errors", "tagger"},
    "publication": {"card_metadata", "space", "conflict_ner", "errors", "hub", "readback", "release", "runs"},
    "sources": {"corpus", "documents", "errors", "predictions", "scoring", "tagger"},
    "demo": {"colours", "errors", "outputs", "showcase", "tagger"},
    "space": {"colours", "errors", "model_folder", "runs", "showcase", "tagger", "webpage"},
    "evidence": {
        "card_metadata",
        "card_tables",
        "conflict_ner",
        "corpus",
        "corpus.quality",
        "documents",
        "errors",
        "labels",
        "model_card",
        "model_folder",
        "runs",
        "snippets",
        "sources",
    },
    "conflict_ner": {"tagger"},
}
ALLOWED = LIGHT | HEAVY


def imports(path):
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def rooms_of(names):
    rooms = set()
    for name in names:
        if name.startswith("conflict_ner."):
            room = name.removeprefix("conflict_ner.")
            while room and room not in ALLOWED:
                room = room.rpartition(".")[0]
            rooms.add(room or "conflict_ner")
    return rooms


def test_every_room_is_named_here():
    assert set(MODULES) == set(ALLOWED)


@pytest.mark.parametrize("room", ALLOWED)
def test_imports_point_the_agreed_way(room):
    assert rooms_of(imports(MODULES[room])) <= ALLOWED[room]


@pytest.mark.parametrize("room", LIGHT)
def test_light_rooms_know_neither_torch_nor_transformers(room):
    assert not {name for name in imports(MODULES[room]) if re.match(r"(torch|transformers|datasets|seqeval)\b", name)}


def test_tag_starts_without_what_it_may_never_need():
    heavy = {"torch", "transformers", "scipy"}
    command = f"import sys, tag; print(*sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout == "\n"


def test_there_are_no_cycles():
    order: list[str] = []

    def visit(room, above=()):
        assert room not in above, f"cycle {above} -> {room}"
        for below in ALLOWED[room]:
            visit(below, (*above, room))
        order.append(room)

    for room in ALLOWED:
        visit(room)


@pytest.mark.parametrize("path", [*MODULES.values()], ids=str)
def test_rooms_stay_small(path):
    source = path.read_text()
    assert len(source.splitlines()) <= 250
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            length = node.end_lineno - node.lineno + 1 - len((ast.get_docstring(node) or "").splitlines())
            assert length <= 50, f"{node.name} has {length} lines"


@pytest.mark.parametrize("script", ["train.py", "evaluate.py", "tag.py", "publish.py"])
def test_scripts_are_thin_and_open_with_commands(script):
    source = Path(script).read_text()
    assert len(source.splitlines()) <= 90
    assert f"    python {script} " in ast.get_docstring(ast.parse(source), clean=False)


def test_data_and_models_are_no_packages_and_nothing_shadows_evaluate():
    assert not list(Path("data").rglob("*.py"))
    assert not list(Path("models").rglob("*.py"))
    assert "evaluate" not in MODULES
    assert not re.search(r"^evaluate\b", Path("requirements.txt").read_text(), re.MULTILINE)


def test_readme_names_every_module_file_and_dependency():
    readme = Path("README.md").read_text()
    for name, path in MODULES.items():
        assert path.name in readme or path.name == "__init__.py", name
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    for requirement in project["dependencies"]:
        assert f"| {re.split('[<>=]', requirement)[0]} |" in readme, requirement
    for target in re.findall(r"^([a-z-]+):.*##", Path("Makefile").read_text(), re.MULTILINE):
        assert f"make {target}" in readme or target == "help"


def test_the_lock_pins_exactly_and_covers_every_dependency():
    pins = dict(line.split("==") for line in Path("requirements.txt").read_text().splitlines() if line and line[0] != "#")
    assert pins["torch"] == "2.13.0"
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + [r for extra in project["optional-dependencies"].values() for r in extra]
    normal = {name.lower().replace("_", "-") for name in pins}
    assert {re.split(r"[<>=[]", requirement)[0].lower().replace("_", "-") for requirement in wanted} <= normal


def test_one_version_everywhere():
    version = conflict_ner.__version__
    assert f"version: {version}" in Path("CITATION.cff").read_text()
    assert f"## {version}" in Path("CHANGELOG.md").read_text()
