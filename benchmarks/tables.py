"""Benchmark results -> Markdown tables: pure functions of the stored JSON, for the terminal and for benchmarks/README.md alike."""

from __future__ import annotations

from statistics import median
from typing import Any

from conflict_ner.card_benchmarks import PEER_NAMES, speed_cells, speeds
from conflict_ner.card_tables import markdown_table
from conflict_ner.comparison import over_runs
from conflict_ner.terminal import bounds

KIND_NAMES = {"sentences": "Short sentences", "articles": "Articles", "long": "One long text"}
COMMAND_NAMES = {
    "stock": "three lines with the stock pipeline",
    "torch": "`tag.py --backend torch`",
    "onnx-int8": "`tag.py --backend onnx` (int8)",
}
TRAINING_NAMES = {
    "recipe": "example recipe, published learning rate",
    "recipe-our-rate": "example recipe, our learning rate",
    "recipe-padded": "example recipe, our learning rate, padded to 512",
    "documents": "**ours**, the same data",
    "documents-fp32": "**ours**, the same data, fp32",
    "default": "**ours**, default (each sentence also by itself)",
}


TASK_NAMES = {"conflict": "Our corpus, test split, three labels", "re3d": "re3d, train to dev, ten labels"}


def peers_table(result: dict[str, Any]) -> str:
    """Return the peers' table: means over seeds with the interval of the mean, of one run over documents, and wall-clock minutes."""
    parts = []
    for name, task in result["tasks"].items():
        labels = next(iter(task["peers"].values()))["runs"][0]["strict"]["per_label"]
        shown = list(labels) if len(labels) <= 3 else []
        rows = []
        for peer, stored in task["peers"].items():
            runs = [run["strict"] for run in stored["runs"]]
            over = over_runs([run["micro"]["f1"] for run in runs])
            spread = f"{over['stdev']:.3f}" if over["stdev"] is not None else ""
            by_label = [f"{over_runs([run['per_label'][label]['f1'] for run in runs])['mean']:.3f}" for label in shown]
            minutes = sorted(run["minutes"] for run in stored["runs"])[len(runs) // 2]
            row = [PEER_NAMES[peer], len(runs), f"{over['mean']:.3f}", spread, bounds(over["ci95"]), bounds(runs[0]["micro"]["ci95"])]
            rows.append((over["mean"], [*row, *by_label, f"{minutes:.1f}"]))
        header = [
            "system",
            "runs",
            "strict micro F1",
            "standard deviation",
            "95 % over runs",
            "95 % of run 1 over documents",
            *shown,
            "minutes",
        ]
        ordered = [row for _, row in sorted(rows, key=lambda pair: pair[0])]
        parts.append(f"**{TASK_NAMES[name]}**, {task['documents']} documents scored\n\n{markdown_table(header, ordered)}")
    return "\n\n".join([*parts, f"    {result['command']}"])


def speed_table(result: dict[str, Any]) -> str:
    """Return a table per kind of text; ratios are medians of the ratios within each round, with their extremes."""
    header = [
        *("system", "documents/s", "sub-tokens/s", "times stock", "lowest–highest", "share of ceiling", "peak memory, MiB", "strict F1"),
    ]
    systems, ceilings = result["systems"], result["ceilings"]
    tables = []
    for kind, size in result["kinds"].items():
        found = speeds(result, kind)
        stock = next((row["rates"] for row in found if row["name"] == "stock"), [])
        rows = []
        for row in found:
            first, last = speed_cells(row)
            ratios = [rate / of_stock for rate, of_stock in zip(row["rates"], stock, strict=False)]
            shares = [
                rate / limit
                for rate, limit in zip(row["rates"], ceilings.get(systems[row["name"]]["ceiling"], {}).get(kind, []), strict=False)
            ]
            extremes = f"{min(ratios):.1f}–{max(ratios):.1f}" if len(ratios) > 1 else ""
            spread = [f"{median(ratios):.1f}" if ratios else "", extremes]
            rows.append([*first, *spread, f"{median(shares):.0%}" if shares else "", *last])
        sizes = ", ".join(f"{what} {size[what.replace('-', '_')]:,}" for what in ("documents", "characters", "sub-tokens"))
        title = f"**{KIND_NAMES[kind]}** ({sizes})"
        highest = ", ".join(f"{name} {median(by_kind[kind]):,.0f}" for name, by_kind in ceilings.items() if kind in by_kind)
        tables.append(f"{title}\n\n{markdown_table(header, rows)}\n\nCeilings in the same rounds, sub-tokens/s: {highest}.")
    machine = result["machine"]
    instructions = " with " + ", ".join(machine["instructions"]) if machine["instructions"] else ""
    more = f"{result['rounds']} rounds on {machine['cores']} cores ({machine['processor']}{instructions}).{left_out(result['skipped'])}"
    return "\n\n".join([*tables, more, f"    {result['command']}"])


def left_out(skipped: dict[str, str]) -> str:
    """Return the sentence about systems that could not be measured."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in skipped.items():
        by_reason.setdefault(reason, []).append(name)
    return " Left out: " + "; ".join(f"{', '.join(names)} ({reason})" for reason, names in by_reason.items()) + "." if skipped else ""


def cold_start_table(result: dict[str, Any]) -> str:
    """Return seconds from the start of a command to its first entity."""
    starts = result["cold_start"]
    stock = starts["seconds"].get("stock", [])
    rows = []
    for name, seconds in starts["seconds"].items():
        ratios = [of_stock / own for own, of_stock in zip(seconds, stock, strict=False)]
        ratio = f"{median(ratios):.1f}" if ratios else ""
        rows.append([COMMAND_NAMES[name], f"{median(seconds):.2f}", f"{min(seconds):.2f}–{max(seconds):.2f}", ratio])
    table = markdown_table(["command", "seconds to the first entity", "lowest–highest", "stock takes times as long"], rows)
    return f"{table}\n\nMedians of {result['rounds']} rounds.{left_out(starts['skipped'])}\n\n    {result['command']}"


def training_table(result: dict[str, Any]) -> str:
    """Return minutes, speed, memory and dev F1 of every training run."""
    header = ["training", "minutes", "times as fast", "sub-tokens/s", "peak memory, MiB", "dev strict F1", "95 % interval"]
    recipes = (name for name in TRAINING_NAMES if name.startswith("recipe") and name in result["systems"])
    base = next((result["systems"][name]["seconds"] for name in recipes), None)
    rows = []
    for name, title in TRAINING_NAMES.items():
        if not (row := result["systems"].get(name)):
            continue
        low, high = row["micro"]["ci95"]
        rows.append(
            [
                title,
                f"{row['seconds'] / 60:.1f}",
                f"{base / row['seconds']:.1f}" if base else "",
                round(row["sub_tokens"] / row["seconds"]),
                round(row["peak_mib"]),
                f"{row['micro']['f1']:.3f}",
                f"{low:.3f}–{high:.3f}",
            ]
        )
    settings = result["settings"]
    more = f"{settings['epochs']:g} epochs, seed {settings['seed']}, {settings['documents']:,} training documents."
    return f"{markdown_table(header, rows)}\n\n{more}\n\n    {result['command']}"
