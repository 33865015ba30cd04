"""metrics.json + run.json -> the model card (`README.md` of a run folder): a pure function and a template.

No number is typed here: each is read from one of the two records, so a card cannot disagree with what was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

import yaml

from conflict_ner.errors import InputError
from conflict_ner.runs import CARD, METRICS, RUN_RECORD, read_json
from conflict_ner.scoring import shown_interval

ROLES = {
    "train": "that the model **was trained on**: no measure of anything else",
    "dev": "that also **fitted the scores' temperature, and chose the checkpoint where one was chosen**: read it as a development figure",
    "test": "that were used for no choice",
}
TEMPLATE = Path(__file__).with_name("model_card.md")


def write_card(folder: Path) -> Path:
    """Render the card of a run folder from its two records and return its path; raises InputError when one is missing or lacks a field."""
    card = folder / CARD
    card.write_text(render_card(read_json(folder / METRICS), read_json(folder / RUN_RECORD)), encoding="utf-8")
    return card


def render_card(metrics: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    """Return the card as Markdown with Hub metadata; raises InputError naming the field that a record lacks."""
    try:
        return _render(metrics, run)
    except KeyError as error:
        raise InputError(f"{METRICS} or {RUN_RECORD} lacks the field {error}; evaluate or train again") from None


def _render(metrics: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    settings = run["settings"]
    name = Path(metrics["model"]).resolve().name
    strict = metrics["strict"]
    body = Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        name=name,
        base_model=run["encoder"]["name"],
        origin=run["encoder"]["origin"],
        labels="\n".join(
            f"| `{label}` | {definition or 'as annotated in the training data'} |" for label, definition in run["labels"].items()
        ),
        micro_f1=figure(strict["micro"]["f1"]),
        interval=shown_interval(strict),
        documents=metrics["data"]["counts"]["documents"],
        spans=metrics["data"]["counts"]["spans"],
        test_path=metrics["data"]["path"],
        role=ROLES[split_of(metrics, run)] + _partly_learnt(metrics),
        results=_results(metrics),
        data="\n".join(
            f"| {split} | {row['documents']} | {row['words']} | {row['spans']} | `{row['sha256'][:12]}` |"
            for split, row in run["data"].items()
        ),
        train_data=", ".join(f"`{path}`" for path in settings["train_data"]),
        config=run["config"] or "train.py",
        epochs=f"{run['epochs']:g}",
        batch_size=run["batch_size"],
        learning_rate=f"{settings['learning_rate']:g}",
        seed=settings["seed"],
        max_length=settings["max_length"],
        minutes=("At least " if run["resumed"] else "") + f"{run['seconds'] / 60:.1f}",
        hardware=run["machine"]["gpu"] or f"{run['machine']['cores']} {run['machine']['processor']} processor cores",
        choice=_choice(run["dev"]["best_f1"]) + _temperature(run.get("calibration")),
        cut=run["alignment"]["train"]["cut"],
        aligned=run["alignment"]["train"]["aligned"],
        versions=", ".join(f"{package} {version}" for package, version in run["versions"].items()),
        commit=run["git_commit"] or "no git checkout",
        license=run["license"],
    )
    return f"---\n{yaml.safe_dump(hub_metadata(metrics, run), sort_keys=False, allow_unicode=True)}---\n\n{body}"


def split_of(metrics: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    """Return which split of the run was scored, by checksum: `train`, `dev`, or `test` for data the run made no use of."""
    used: dict[str, str] = {row["sha256"]: name for name, row in run["data"].items()}
    return "train" if metrics.get("documents_learnt") == metrics["strict"]["documents"] else used.get(metrics["data"]["sha256"], "test")


def _partly_learnt(metrics: Mapping[str, Any]) -> str:
    learnt = metrics.get("documents_learnt") or 0
    return f", **{learnt} of these documents were also trained on**" if 0 < learnt < metrics["strict"]["documents"] else ""


def _choice(best_f1: float | None) -> str:
    if best_f1 is None:
        return "The last epoch was kept."
    return f"The epoch with the best strict F1 on dev ({figure(best_f1)}, seqeval, IOB2 over sub-tokens) was kept."


def _temperature(calibration: Mapping[str, Any] | None) -> str:
    if calibration is None:
        return " Scores are not calibrated."
    return (
        f" Scores are calibrated: all logits are divided by {calibration['temperature']:g}, fitted on dev and folded into the last layer."
    )


def figure(fraction: float) -> str:
    """Return a score as the card prints it: three decimals."""
    return f"{fraction:.3f}"


def _results(metrics: Mapping[str, Any]) -> str:
    rows = []
    for path, scores in {metrics["data"]["path"]: metrics, **metrics["others"]}.items():
        strict = scores["strict"]
        for label, row in strict["per_label"].items():
            rows.append(
                f"| {path} | {label} | {figure(row['precision'])} | {figure(row['recall'])} | {figure(row['f1'])} | {row['support']} |"
            )
        micro, macro = strict["micro"], strict["macro"]
        f1 = f"**{figure(micro['f1'])}** [{shown_interval(strict)}]"
        rows.append(f"| {path} | micro | {figure(micro['precision'])} | {figure(micro['recall'])} | {f1} | {micro['support']} |")
        rows.append(f"| {path} | macro | {figure(macro['precision'])} | {figure(macro['recall'])} | {figure(macro['f1'])} | |")
    return "\n".join(rows)


def hub_metadata(metrics: Mapping[str, Any], run: Mapping[str, Any]) -> dict[str, Any]:
    """Return the card's YAML header as the Hub defines it, with a model-index of the strict micro scores."""
    name = Path(metrics["model"]).resolve().name
    micro = metrics["strict"]["micro"]
    scores = [{"type": kind, "value": round(micro[kind], 4), "name": f"strict micro {kind}"} for kind in ("precision", "recall", "f1")]
    dataset = {
        "type": metrics["data"]["path"].replace("/", "-").strip(".-"),
        "name": metrics["data"]["path"],
        "split": split_of(metrics, run),
    }
    return {
        "license": run["license"],
        "language": "en",
        "library_name": "transformers",
        "pipeline_tag": "token-classification",
        "base_model": run["encoder"]["name"],
        "base_model_relation": "finetune",
        "tags": ["named-entity-recognition", "armed-conflict", "military", "osint"],
        "metrics": ["precision", "recall", "f1"],
        "model-index": [{"name": name, "results": [{"task": {"type": "token-classification"}, "dataset": dataset, "metrics": scores}]}],
    }
