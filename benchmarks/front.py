"""The README's figures in short: pure functions from the stored JSON to Markdown. The full tables are those of benchmarks/README.md."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from statistics import mean, median
from typing import Any

from accuracy import RUNS
from drawing import badge
from tables import KIND_NAMES

from conflict_ner.card_benchmarks import PEER_NAMES, SYSTEM_NAMES, times_stock
from conflict_ner.card_metadata import bibtex, citation_facts
from conflict_ner.card_tables import markdown_table
from conflict_ner.errors import InputError
from conflict_ner.scoring import FEWEST_DOCUMENTS, shown_interval
from conflict_ner.terminal import bounds, ratios

IN_WORDS = {
    "gazetteer": "a gazetteer of training mentions",
    "crf": "a linear-chain CRF",
    "spacy-cnn": "spaCy's CNN",
    "recipe": "the usual fine-tuning recipe with the same encoder",
    "recipe-our-settings": "that recipe with our epochs and learning rate",
}


def facts(project: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, tuple[str, str, str]]:
    """Return the badges' file names, each with name, value and the file that proves it."""
    strict = metrics["strict"]
    python = re.fullmatch(r">=([\d.]+)", project["requires-python"])
    if not python:
        raise InputError(f"pyproject.toml: requires-python is {project['requires-python']!r}; the badge can say '>=VERSION' only")
    return {
        "f1": ("strict F1 on test", f"{strict['micro']['f1']:.3f} ({shown_interval(strict)})", "models/conflict-minilm/metrics.json"),
        "python": ("python", f"{python[1]}+", "pyproject.toml"),
        "licence": ("licence", project["license"], "LICENSE"),
    }


def badge_files(shown: Mapping[str, tuple[str, str, str]]) -> dict[str, str]:
    """Return path and SVG of every badge."""
    return {f"benchmarks/badges/{file}.svg": badge(name, value) for file, (name, value, _) in shown.items()}


def badges(shown: Mapping[str, tuple[str, str, str]]) -> str:
    """Return the line of badges, each a link to its proof."""
    return "\n".join(f"[![{name}: {value}](benchmarks/badges/{file}.svg)]({proof})" for file, (name, value, proof) in shown.items())


def headline(metrics: Mapping[str, Any], accuracy: Mapping[str, Any], speed: Mapping[str, Any]) -> str:
    """Return the one paragraph to remember: our score, the peers' scores, our speed."""
    strict = metrics["strict"]
    peers = {name: f1_of(stored) for name, stored in accuracy["tasks"]["conflict"]["peers"].items() if name != "ours"}
    others = ", ".join(f"{IN_WORDS.get(name, name)} {peers[name]:.3f}" for name in sorted(peers, key=lambda name: -peers[name]))
    return (
        f"**Strict F1 {strict['micro']['f1']:.3f} (95 % interval {shown_interval(strict)})** on {strict['documents']} test documents with "
        f"{strict['micro']['support']:,} mentions. On the same training and test splits: {others}. {sentence_on_speed(speed)}"
    )


def sentence_on_speed(speed: Mapping[str, Any]) -> str:
    """Return how much faster than the stock pipeline articles are read on a CPU."""
    times = median(times_stock(speed, "onnx-int8", "articles"))
    cores, f1 = speed["machine"]["cores"], speed["systems"]["onnx-int8"]["f1"]
    return (
        f"On {cores} CPU cores its int8 export (strict F1 {f1:.3f}) reads articles {times:.1f} times as fast as the stock pipeline "
        "does at its best batch size."
    )


def scores(metrics: Mapping[str, Any]) -> str:
    """Return the default model's scores, one row per corpus."""
    labels = list(metrics["strict"]["per_label"])
    rows = []
    for path, scored_on in {metrics["data"]["path"]: metrics, **metrics["others"]}.items():
        strict = scored_on["strict"]
        precision, recall, f1 = ratios(strict["micro"])
        interval = f"\N{NO-BREAK SPACE}[{bounds(strict['micro']['ci95'])}]" if strict["documents"] >= FEWEST_DOCUMENTS else ""
        by_label = [ratios(strict["per_label"][label])[-1] for label in labels]
        rows.append([f"`{path}`", precision, recall, f"**{f1}**{interval}", *by_label])
    return markdown_table(["data", "precision", "recall", "F1 [95 % interval]", *labels], rows)


def weakest(metrics: Mapping[str, Any]) -> str:
    """Return where the default model is weak on test: unseen words, and the lowest of the genres with enough documents for an interval."""
    slices = metrics["slices"]
    seen, unseen = (slices["dimensions"]["surface form"][name] for name in ("seen", "unseen"))
    genres = {
        name: row
        for name, row in slices["dimensions"]["genre"].items()
        if row["documents"] >= FEWEST_DOCUMENTS and row["support"] >= slices["fewest_mentions"]
    }
    low = min(genres, key=lambda name: genres[name]["f1"])
    return (
        f"On test, mentions in words that training never showed have F1 {unseen['f1']:.3f} [{bounds(unseen['ci95'])}], known ones "
        f"{seen['f1']:.3f} [{bounds(seen['ci95'])}]; of the genres with at least {FEWEST_DOCUMENTS} documents "
        f"the weakest is `{low}`, {genres[low]['f1']:.3f} [{bounds(genres[low]['ci95'])}]."
    )


def f1_of(stored: Mapping[str, Any]) -> float:
    """Return the mean strict micro F1 over a peer's runs."""
    return mean(run["strict"]["micro"]["f1"] for run in stored["runs"])


def peers_short(accuracy: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """Return one row per system, one column per task; the interval is that of the first run over documents."""
    tasks = [accuracy["tasks"][name] for name in ("conflict", "re3d")]
    order = sorted(tasks[0]["peers"], key=lambda name: f1_of(tasks[0]["peers"][name]), reverse=True)
    rows = [[PEER_NAMES[name], *(scored(task["peers"].get(name)) for task in tasks)] for name in order]
    sizes = [f"{task['documents']} documents" for task in tasks]
    header = ["strict micro F1", f"our test split, three labels ({sizes[0]})", f"re3d dev, ten labels ({sizes[1]})"]
    seeds = {len(task["peers"]["ours"]["runs"]) for task in tasks}
    note = f"Mean of {' or '.join(map(str, sorted(seeds)))} seeds; in brackets the first seed's 95 % interval over documents."
    if once := [PEER_NAMES[name] for name in order if name in RUNS and RUNS[name].seeded and len(tasks[0]["peers"][name]["runs"]) == 1]:
        note += f" One seed only: {', '.join(once)}."
    micro = metrics["strict"]["micro"]
    if micro["f1"] not in [run["strict"]["micro"]["f1"] for run in tasks[0]["peers"]["ours"]["runs"]]:
        note += f" The committed model is none of these runs, but a later one: {micro['f1']:.3f} [{bounds(micro['ci95'])}]."
    return f"{markdown_table(header, rows)}\n\n{note}"


def scored(stored: Mapping[str, Any] | None) -> str:
    """Return a peer's mean F1 and interval, empty for a peer that was not run."""
    return f"{f1_of(stored):.3f} [{bounds(stored['runs'][0]['strict']['micro']['ci95'])}]" if stored else ""


def speed_short(speed: Mapping[str, Any]) -> str:
    """Return how many times as fast as the stock pipeline each of our backends is, by kind of text, and the cold start."""
    ours = [name for name in speed["systems"] if not name.startswith("stock")]
    rows = [[SYSTEM_NAMES[name], *(spread(times_stock(speed, name, kind)) for kind in speed["kinds"])] for name in ours]
    header = ["times as fast as the stock pipeline", *(KIND_NAMES[kind].lower() for kind in speed["kinds"])]
    machine = speed["machine"]
    more = (
        f"{machine['cores']} cores ({machine['processor']}), same weights, stock pipeline at its best batch size; lowest and highest of "
        f"{speed['rounds']} rounds in brackets."
    )
    starts = speed["cold_start"]["seconds"]
    if {"stock", "onnx-int8"} <= set(starts):
        more += (
            f" From the start of the command to the first entity: {median(starts['onnx-int8']):.1f} s, with the stock pipeline "
            f"{median(starts['stock']):.1f} s."
        )
    return f"{markdown_table(header, rows)}\n\n{more}"


def spread(found: Sequence[float]) -> str:
    """Return a ratio's median, and its extremes where it was measured more than once."""
    if len(found) < 2:
        return "".join(f"{once:.1f}" for once in found)
    return f"{median(found):.1f} [{min(found):.1f}–{max(found):.1f}]"


def sentence_output(stored: Mapping[str, Any]) -> str:
    """Return what the README's lines of Python print with the model that drew the picture."""
    lines = [f"{span['label']} {span['text']} {span['score']:.2f}" for span in stored["sentence"]["spans"]]
    return "\n".join(["```text", *lines, "```"])


def citation(cff: Mapping[str, Any]) -> str:
    """Return the BibTeX entry that CITATION.cff stands for, as a block of code."""
    return f"```bibtex\n{bibtex(citation_facts(cff), cff['version'])}\n```"
