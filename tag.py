"""Tag text: files, folders, patterns or standard input (.txt, .jsonl[.gz], .csv, .tsv, .parquet) in -> entities out, in seven formats.

Examples:
    python tag.py --model models/conflict-minilm article.txt another.txt
    python tag.py --model models/conflict-minilm --format text article.txt
    python tag.py --model models/conflict-minilm --text_column body --id_column url --output entities.parquet news.csv more.jsonl.gz
    python tag.py --model models/conflict-minilm --output entities.jsonl --resume reports/
    python tag.py --model models/conflict-minilm --output entities/ --engine ray --address auto reports/
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from functools import partial

from conflict_ner.errors import InputError, exit_2_on_bad_input
from conflict_ner.job import planned
from conflict_ner.outputs import FORMATS
from conflict_ner.tagger import BACKENDS, Tagger
from conflict_ner.tagging import INTERRUPTED, run, stop_on_interrupt, tag_batches

CLUSTER = ("address", "workers", "cores_per_worker")


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("files", nargs="*", metavar="FILE", help="files, folders, patterns ('news/*.csv'); none or '-': standard input")
    parser.add_argument("--model", required=True, type=lambda name: name.rstrip("/") or name, help="model folder or Hub id")
    parser.add_argument("--revision", help="commit, branch or tag of a Hub model")
    parser.add_argument("--backend", choices=BACKENDS, default="auto", help="what computes; default: the fastest that can run here")
    parser.add_argument("--device", help="torch device; default: a GPU when there is one")
    parser.add_argument("--output", metavar="FILE", help="where the result goes, made whole or not at all; default: standard output")
    parser.add_argument("--format", metavar="F", help=f"{', '.join(FORMATS)}; default: what the suffix of --output says, else jsonl")
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run of the same command")
    parser.add_argument("--input_format", choices=("txt", "jsonl", "csv", "tsv", "parquet"), help="default: what the suffix says, else txt")
    parser.add_argument("--lines", action="store_true", help="every line of plain text is a text of its own")
    parser.add_argument("--text_column", default="text", metavar="NAME", help="column or key with the text (default: text)")
    parser.add_argument("--id_column", metavar="NAME", help="column or key with the id (default: id if there is one, else file:row)")
    parser.add_argument("--no_text", action="store_true", help="leave the whole texts out of jsonl and parquet; mentions stay")
    parser.add_argument("--min_score", type=float, default=0.0, metavar="S", help="leave out spans below it; report.html has its cost")
    ray = parser.add_argument_group("beyond one machine, with --engine ray")
    ray.add_argument("--engine", choices=("local", "ray"), default="local", help="ray: Ray Data's workers tag, OUT is a folder of parts")
    ray.add_argument("--address", help="of the Ray cluster; default: what RAY_ADDRESS says, else this machine alone")
    ray.add_argument("--workers", type=int, metavar="N", help="default: one per GPU, without GPUs one per --cores_per_worker cores")
    ray.add_argument("--cores_per_worker", type=int, metavar="N", help="default: 2")
    return parser.parse_args(argv)


@exit_2_on_bad_input
def main(argv: Sequence[str] | None = None) -> int:
    """Tag; exit code 0, 2 for input that cannot be used, 130 when interrupted."""
    arguments = parse(argv)
    try:
        cluster = {name: value for name in CLUSTER if (value := getattr(arguments, name)) is not None}
        if cluster and arguments.engine != "ray":
            raise InputError(f"--{next(iter(cluster))}: is for --engine ray; add that, or leave it away")
        job = planned(arguments)
        if job.engine == "ray":
            from conflict_ner.ray_engine import Cluster, run_on_ray

            return run_on_ray(job, Cluster(device=arguments.device, **cluster))
        with stop_on_interrupt() as stop:
            tagger = Tagger.from_pretrained(job.model, arguments.backend, arguments.device, arguments.revision)
            job = dataclasses.replace(job, revision=tagger.model.revision, backend=tagger.backend.name)
            return run(job, partial(tag_batches, tagger.stream), tagger.labels.names, stop)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted at once; what --output had is kept for --resume\n")
        return INTERRUPTED


if __name__ == "__main__":
    raise SystemExit(main())
