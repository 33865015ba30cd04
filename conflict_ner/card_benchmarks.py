"""The evidence of benchmarks -> the tables of a model card, as Markdown: peers, seeds, speed, agreement. Benchmark pages share them."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from conflict_ner.card_tables import SCORED, figure, figures, markdown_table
from conflict_ner.comparison import over_runs
from conflict_ner.scoring import shown_interval
from conflict_ner.terminal import bounds

PEER_NAMES = {
    "gazetteer": "gazetteer of training mentions",
    "crf": "linear-chain CRF",
    "spacy-cnn": "spaCy CNN, blank English",
    "recipe": "example recipe, same encoder, published settings",
    "recipe-our-settings": "example recipe, same encoder, our epochs and learning rate",
    "ours": "**ours**",
}
SYSTEM_NAMES = {
    "stock": "stock pipeline, as it comes (batch size 1)",
    "stock-8": "stock pipeline, batch size 8",
    "stock-32": "stock pipeline, batch size 32",
    "torch": "**ours**, torch",
    "onnx-fp32": "**ours**, ONNX fp32",
    "onnx-int8": "**ours**, ONNX int8",
    "stock-cuda": "stock pipeline on the GPU, batch size 32",
    "torch-cuda": "**ours**, torch on the GPU",
}
Row = Mapping[str, Any]


def rounded(rate: float) -> str:
    """Return a rate with three digits that count, thousands marked."""
    return f"{float(f'{rate:.3g}'):,g}"


def rates(row: Row) -> list[float]:
    """Return sub-tokens a second, round by round."""
    return [row["sub_tokens"] / seconds for seconds in row["seconds"]]


def ranked_peers(peers: Row) -> list[dict[str, Any]]:
    """Return the systems of a comparison, the best first: `name`, mean F1 `over` its runs, `behind` (how far below ours)."""
    found = []
    for name, system in peers["systems"].items():
        found.append({"name": name, "title": PEER_NAMES.get(name, name), "over": over_runs([r["f1"] for r in system["runs"]]), **system})
    (ours,) = [row["over"]["mean"] for row in found if row["name"] == "ours"]
    ordered = sorted(found, key=lambda row: -row["over"]["mean"])
    return [{**row, "behind": ours - row["over"]["mean"]} for row in ordered]


def peer_table(peers: Row) -> str:
    """Return systems on the same splits: means over runs, the interval over documents of the first run, minutes of training."""
    rows = []
    for row in ranked_peers(peers):
        over, first = row["over"], row["runs"][0]
        spread = f"{over['stdev']:.3f}" if over["stdev"] is not None else ""
        behind = "" if row["name"] == "ours" else f"{row['behind']:+.3f}"
        minutes = f"{median(run['minutes'] for run in row['runs']):.1f}"
        rows.append([row["title"], figure(over["mean"]), behind, bounds(first["ci95"]), over["runs"], spread, minutes])
    header = ["system", "strict micro F1", "ours is better by", "95 % of run 1 over documents", "runs", "standard deviation", "minutes"]
    return markdown_table(header, rows)


def seed_table(seeds: Row) -> str:
    """Return every seed's scores."""
    rows = [
        [f"{row['seed']}", *figures(row["micro"], bounds(row["micro"]["ci95"])), f"{row['training_minutes']:.1f}"] for row in seeds["seeds"]
    ]
    return markdown_table(["seed", *SCORED, "training minutes"], rows)


def times_stock(speed: Row, name: str, kind: str) -> list[float]:
    """Return, round by round, how many times as fast a system is as the stock pipeline at its best batch size on the same device."""
    systems, on_gpu = speed["systems"], name.endswith("-cuda")
    stock = [rates(systems[s]["kinds"][kind]) for s in systems if s.startswith("stock") and s.endswith("-cuda") == on_gpu]
    best = map(max, zip(*stock, strict=True))
    return [own / other for own, other in zip(rates(systems[name]["kinds"][kind]), best, strict=False)]


def speeds(speed: Row, kind: str) -> list[dict[str, Any]]:
    """Return what each system does in a second on one kind of text, medians over rounds; `rates` and `times_stock` are told by round."""
    found = []
    for name, system in speed["systems"].items():
        row = system["kinds"][kind]
        sub_tokens = median(rates(row))
        found.append(
            {
                "name": name,
                "rates": rates(row),
                "sub_tokens": sub_tokens,
                "documents": sub_tokens * row["documents"] / row["sub_tokens"],
                "times_stock": times_stock(speed, name, kind),
                "peak_mib": row["peak_mib"],
                "f1": system.get("f1"),
            }
        )
    return found


def speed_cells(row: Row) -> tuple[list[object], list[object]]:
    """Return what every table says first of a row of `speeds` (system, documents and sub-tokens a second) and last (memory, F1)."""
    memory = round(row["peak_mib"]) if row["peak_mib"] else ""
    f1 = figure(row["f1"]) if row["f1"] is not None else ""
    return [SYSTEM_NAMES.get(row["name"], row["name"]), rounded(row["documents"]), round(row["sub_tokens"])], [memory, f1]


def speed_table(speed: Row, kind: str) -> str:
    """Return documents and sub-tokens a second, memory and F1 by system."""
    rows = []
    for row in speeds(speed, kind):
        first, last = speed_cells(row)
        rows.append([*first, f"{median(row['times_stock']):.1f}" if row["times_stock"] else "", *last])
    return markdown_table(["system", "documents/s", "sub-tokens/s", "times stock, best batch", "peak memory, MiB", "strict F1"], rows)


def agreement_table(readings: Row) -> str:
    """Return how far two readers agreed, before their readings were made one."""
    labels = list(next(iter(readings.values()))["per_label"])
    rows = [
        [
            part,
            row["documents"],
            *(figure(row["per_label"][k]["f1"]) for k in labels),
            figure(row["micro"]["f1"]),
            shown_interval(dict(row)),
        ]
        for part, row in readings.items()
    ]
    return markdown_table(["part", "documents", *labels, "all", "95 % interval"], rows)
