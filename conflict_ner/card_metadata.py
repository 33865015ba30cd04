"""What the Hub reads of a model card: its YAML header, and the emissions estimated from a run's record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

# The Green Algorithms model (Lannelongue, Grealey, Inouye: Advanced Science 2021, 8, 2100707): the energy of a computation is its time,
# times the power of the cores in use, times what the building adds. These are its figures where a machine is not known more closely.
WATTS_PER_CORE = 12.0
WATTS_PER_GPU = 200.0
BUILDING = 1.67  # power usage effectiveness, mean over data centres
GRAMS_PER_KWH = 475.0  # CO2 equivalents of electricity, mean over the world
CORPUS = PurePath("data/conflict")  # what is published as the project's dataset
DEVELOPMENT = ("data/re3d/dev.json",)  # data of the project that choices were once made on, though no run names them as its dev


def emissions_of(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return grams of CO2 equivalents that training took, estimated, and how: `emissions`, `method`, `hardware`."""
    machine, hours = run["machine"], run["seconds"] / 3600
    processes = run["settings"].get("world_size", 1)
    if machine["gpu"]:
        hardware, watts, unit = f"{processes} × {machine['gpu']}", WATTS_PER_GPU * processes, f"{WATTS_PER_GPU:g} W a GPU"
    else:
        hardware = f"{machine['cores']} {machine['processor']} processor cores"
        watts, unit = WATTS_PER_CORE * machine["cores"], f"{WATTS_PER_CORE:g} W a core"
    grams = hours * watts / 1000 * BUILDING * GRAMS_PER_KWH
    method = (
        f"estimated, not measured: {run['seconds'] / 60:.1f} minutes on {hardware}, {unit}, times {BUILDING:g} for the building, "
        f"times {GRAMS_PER_KWH:g} g/kWh (world mean), after the Green Algorithms model, doi.org/10.1002/advs.202100707"
    )
    return {"emissions": float(f"{grams:.2g}"), "method": method, "hardware": hardware}


def split_of(path: str, scores: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    """Return which split of the run a data set is, by checksum; `test` for data that nothing was chosen on."""
    used: dict[str, str] = {row["sha256"]: name for name, row in run["data"].items()}
    if scores.get("documents_learnt") == scores["strict"]["documents"]:
        return "train"
    return used.get(scores["data"]["sha256"], "dev" if path in DEVELOPMENT else "test")


def corpora_of(metrics: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the scores of every data set by its path, the main one first."""
    return {metrics["data"]["path"]: metrics, **metrics["others"]}


def is_ours(path: str) -> bool:
    """Tell whether a data set is part of the corpus that is published."""
    return PurePath(path).is_relative_to(CORPUS)


def learnt_ours(run: Mapping[str, Any]) -> bool:
    """Tell whether a run learnt from the corpus that is published."""
    return any(map(is_ours, run["settings"]["train_data"]))


def is_local(run: Mapping[str, Any]) -> bool:
    """Tell whether the encoder came from a folder, whose path means nothing elsewhere."""
    return str(run["encoder"]["origin"]).startswith("folder")


def citation_facts(cff: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a citation needs of a CITATION.cff: `title`, `authors`, `year`, `license`."""
    names = [author.get("name") or f"{author['given-names']} {author['family-names']}" for author in cff["authors"]]
    return {"title": cff["title"], "authors": names, "year": str(cff["date-released"])[:4], "license": cff["license"]}


def bibtex(facts: Mapping[str, Any], version: str) -> str:
    """Return the BibTeX entry of `citation_facts`; names and title in braces of their own stay as they are written."""
    authors = " and ".join(f"{{{name}}}" for name in facts["authors"])
    fields = {"author": authors, "title": f"{{{facts['title']}}}", "version": version, "year": facts["year"], "license": facts["license"]}
    return "\n".join(["@software{conflict_ner,", ",\n".join(f"  {key:<7} = {{{value}}}" for key, value in fields.items()), "}"])


def hub_metadata(
    name: str, metrics: Mapping[str, Any], run: Mapping[str, Any], examples: list[Mapping[str, Any]], dataset: str | None
) -> dict[str, Any]:
    """Return the header as the Hub defines it; `dataset` is the id of the corpus where it is published too."""
    emissions, on_conflict, local = emissions_of(run), learnt_ours(run), is_local(run)
    header: dict[str, Any] = {
        "license": run["license"],
        "language": "en",
        "library_name": "transformers",
        "pipeline_tag": "token-classification",
        "base_model": None if local else run["encoder"]["name"],
        "base_model_relation": None if local else "finetune",
        "datasets": [dataset] if dataset and on_conflict else None,
        "metrics": ["precision", "recall", "f1"],
        "tags": ["named-entity-recognition", *(("armed-conflict", "military", "osint") if on_conflict else ())],
        "widget": [{"text": example["text"], "output": example["output"]} for example in examples],
        "co2_eq_emissions": {
            "emissions": emissions["emissions"],
            "source": emissions["method"],
            "training_type": "fine-tuning",
            "hardware_used": emissions["hardware"],
        },
        "model-index": [{"name": name, "results": [_result(path, scores, run, dataset) for path, scores in corpora_of(metrics).items()]}],
    }
    return {key: value for key, value in header.items() if value}


def _result(path: str, scores: Mapping[str, Any], run: Mapping[str, Any], dataset: str | None) -> dict[str, Any]:
    micro = scores["strict"]["micro"]
    kind = dataset if dataset and is_ours(path) else path.replace("/", "-").strip(".-")
    return {
        "task": {"type": "token-classification", "name": "named-entity recognition"},
        "dataset": {"type": kind, "name": path, "split": split_of(path, scores, run)},
        "metrics": [{"type": key, "value": round(micro[key], 4), "name": f"strict micro {key}"} for key in ("f1", "precision", "recall")],
    }
