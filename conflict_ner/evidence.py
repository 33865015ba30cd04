"""What is known of a run beyond metrics.json and run.json -> `evidence.json` beside them, and the card rendered anew with its figures.

Examples:
    python -m conflict_ner.evidence models/conflict-minilm models/re3d-minilm    # after training, export, evaluation, benchmarks
    python -m conflict_ner.evidence models/yours --examples sentences.txt        # a widget of your own sentences, one a line

The model tags the examples and runs every snippet of its card, so that what the card shows is what the model says; the benchmarks' figures
are taken over only where they are those of this very run (its scores, its data, its weights). The card is then a function of the three
records, on any machine. Where the weights are not at hand, what an earlier `evidence.json` of the same weights holds is kept.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from safetensors import safe_open

from conflict_ner import __version__
from conflict_ner.card_metadata import CORPUS, citation_facts
from conflict_ner.card_tables import parts_of
from conflict_ner.corpus import read_documents
from conflict_ner.corpus.quality import agreement
from conflict_ner.documents import corpus_sha256
from conflict_ner.errors import InputError, exit_2_on_bad_input, read_text
from conflict_ner.labels import read_guides
from conflict_ner.model_card import EXAMPLES, MODEL, fitting, render_card, write_card
from conflict_ner.model_folder import WEIGHTS, open_model
from conflict_ner.runs import CARD, EVIDENCE, METRICS, RUN_RECORD, read_json, read_json_if_any, write_json
from conflict_ner.snippets import blocks_of, run_session
from conflict_ner.sources import TEXT_FOLDERS, training_documents

BENCHMARKS = Path("benchmarks")
READINGS = Path("data/agreement/readings.jsonl")
CITATION = Path(__file__).parent.parent / "CITATION.cff"
DIMENSIONS = ("conflict", "genre")  # of which a card says what training never showed
BY_THE_MODEL = ("model", "examples", "outputs")


def gather(folder: Path, sentences: Sequence[str] = EXAMPLES) -> dict[str, Any]:
    """Return the evidence for a run folder; raises InputError for records that are missing or speak of other weights."""
    metrics, run = read_json(folder / METRICS), read_json(folder / RUN_RECORD)
    found: dict[str, Any] = {
        "weights_sha256": metrics.get("weights_sha256"),
        "data_sha256": metrics["data"]["sha256"],
        "version": __version__,
        "citation": _citation(),
        "labels": _labels(run),
        "seeds": _seeds(metrics, run),
        "peers": _peers(metrics, run),
        "speed": _speed(metrics),
        **_corpus(run),
        "never_trained": _never_trained(metrics, run),
    }
    found = {key: value for key, value in found.items() if value or key == "weights_sha256"}
    if not list(folder.glob(WEIGHTS)):
        earlier = fitting(read_json_if_any(folder / EVIDENCE) or {}, metrics)
        return found | {key: earlier[key] for key in BY_THE_MODEL if key in earlier}
    if open_model(folder).weights_sha256 != metrics.get("weights_sha256"):
        raise InputError(f"{folder / METRICS}: was not measured on these weights; run python evaluate.py --model {folder} --data ... again")
    found |= {"model": _model(folder), "examples": _examples(folder, sentences)}
    return found | {"outputs": _outputs(folder, metrics, run, found)}


def _citation() -> dict[str, Any] | None:
    if not CITATION.exists():  # an installed package
        return None
    return citation_facts(yaml.safe_load(read_text(CITATION)))


def _labels(run: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the examples of the run's label file, if it still defines the labels as it did."""
    path = Path(run["settings"].get("label_file") or "")
    if not path.is_file():
        return None
    guides = read_guides(path)
    if {label: guide.definition for label, guide in guides.items()} != run["labels"] or not any(g.includes for g in guides.values()):
        return None
    return {k: {"includes": dict(g.includes), "excludes": dict(g.excludes), "note": g.note} for k, g in guides.items()}


def _seeds(metrics: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what seeds.py stored of the run's config, if one of its rows is this run."""
    stored = read_json_if_any(BENCHMARKS / f"{Path(run['config'] or 'none').stem}.json") or {}
    rows = [{key: row[key] for key in ("seed", "micro", "training_minutes")} for row in stored.get("seeds", ())]
    this = [row for row in rows if row["seed"] == run["settings"]["seed"] and row["micro"] == metrics["strict"]["micro"]]
    if not this or stored["data"]["sha256"] != metrics["data"]["sha256"]:
        return None
    return {"command": stored["command"], "micro_f1": stored["micro_f1"], "seeds": rows}


def _peers(metrics: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the comparison on the run's data; where none of our runs in it is this one, this one takes their place."""
    stored = read_json_if_any(BENCHMARKS / "accuracy.json") or {"tasks": {}}
    data = {**{split: run["data"].get(split, {}).get("sha256") for split in ("train", "dev")}, "test": metrics["data"]["sha256"]}
    for task in stored["tasks"].values():
        if task["data"] != data:
            continue
        this = {"seed": run["settings"]["seed"], "strict": metrics["strict"], "minutes": run["seconds"] / 60}
        ours = task["peers"].get("ours", {"runs": []})["runs"]
        if (this["seed"], metrics["strict"]["micro"]) not in [(row["seed"], row["strict"]["micro"]) for row in ours]:
            ours = [this]
        runs = {**{name: peer["runs"] for name, peer in task["peers"].items()}, "ours": ours}
        systems = {name: {"runs": [_peer_run(row) for row in rows]} for name, rows in runs.items()}
        return {"command": stored["command"], "documents": task["documents"], "systems": systems}
    return None


def _peer_run(row: Mapping[str, Any]) -> dict[str, Any]:
    micro = row["strict"]["micro"]
    return {"seed": row["seed"], "f1": micro["f1"], "ci95": micro["ci95"], "minutes": row["minutes"]}


def _speed(metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the speeds measured with these weights."""
    stored = read_json_if_any(BENCHMARKS / "speed.json") or {}
    same = stored.get("weights_sha256") == metrics.get("weights_sha256") is not None
    return {key: stored[key] for key in ("command", "machine", "rounds", "kinds", "systems", "cold_start")} if same else None


def _corpus(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return licence and agreement of the project's corpus, for the parts that the run used as they are now."""
    known = {split: row["sha256"] for split, row in run["data"].items() if Path(CORPUS / split).is_dir()}
    parts = [split for split, checksum in known.items() if corpus_sha256(read_documents(CORPUS / split)) == checksum]
    if "train" not in parts:
        return {}
    header = yaml.safe_load(read_text(Path(CORPUS.parent / CARD)).split("---\n")[1])
    readings = {part: scores for part, scores in agreement(READINGS).items() if part in parts} if READINGS.exists() else {}
    short = {part: {key: scores[key] for key in ("documents", "micro", "per_label")} for part, scores in readings.items()}
    return {"corpus": {"license": header["license"]}, "agreement": short}


def _never_trained(metrics: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the conflicts and genres of the scored documents that no training document has, where there is enough to score."""
    folders = [*run["settings"].get("text_folders", ()), *TEXT_FOLDERS]
    training = training_documents(run, folders) or []
    trained = {key: {document.meta.get(key) for document in training} for key in DIMENSIONS}
    found = {key: [part for part in parts_of(metrics, key) if part not in trained[key]] for key in DIMENSIONS if trained[key] - {None}}
    return {key: parts for key, parts in found.items() if parts}


def _model(folder: Path) -> dict[str, Any]:
    """Return the number of parameters and the bytes of weights and ONNX files."""
    parameters, weights = 0, sorted(folder.glob(WEIGHTS))
    for file in weights:
        with safe_open(file, framework="numpy") as tensors:
            for name in tensors.keys():  # noqa: SIM118 - it is no dict
                size = 1
                for length in tensors.get_slice(name).get_shape():
                    size *= length
                parameters += size
    onnx = {file.name: file.stat().st_size for file in sorted(folder.glob("onnx/*.onnx"))}
    return {"parameters": parameters, "weights_bytes": sum(file.stat().st_size for file in weights), "onnx_bytes": onnx}


def _examples(folder: Path, sentences: Sequence[str]) -> list[dict[str, Any]]:
    """Return the sentences in which the stock pipeline, which is what the Hub's widget runs, finds something, with what it finds."""
    from transformers import pipeline

    tagger = pipeline("token-classification", model=str(folder), aggregation_strategy="simple", device="cpu")
    keys = ("entity_group", "score", "word", "start", "end")
    rows = [
        [{key: round(float(entity[key]), 4) if key == "score" else entity[key] for key in keys} for entity in tagger(sentence)]
        for sentence in sentences
    ]
    return [{"text": sentence, "output": found} for sentence, found in zip(sentences, rows, strict=True) if found]


def _outputs(folder: Path, metrics: Mapping[str, Any], run: Mapping[str, Any], evidence: Mapping[str, Any]) -> dict[str, str]:
    """Run every Python snippet of the card, each by itself, and return what it prints by its code."""
    card = render_card({**metrics, "model": MODEL}, run, evidence)
    return {
        block.code: run_session([block.code.replace(MODEL, str(folder))])[0]
        for block in blocks_of(card)
        if block.language == "python"  # what tag.py writes names the revision, which changes with every publication
    }


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL", help="run folder with metrics.json and run.json")
    parser.add_argument("--examples", type=Path, metavar="FILE", help="sentences for the widget and the snippets; default: our own")
    return parser.parse_args(argv)


@exit_2_on_bad_input
def main(argv: Sequence[str] | None = None) -> int:
    """Gather, write, render; exit code 2 for records that cannot be used."""
    arguments = parse(argv)
    given = [line.strip() for line in read_text(arguments.examples).splitlines() if line.strip()] if arguments.examples else EXAMPLES
    for folder in arguments.models:
        evidence = gather(folder, given)
        write_json(folder / EVIDENCE, evidence)
        without = "" if "outputs" in evidence else " (no weights here: without examples and the snippets' outputs)"
        print(f"written: {folder / EVIDENCE}, {write_card(folder)}{without}")  # noqa: T201 - a command
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
