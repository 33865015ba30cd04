"""Tagging on a cluster: `tag.py --engine ray`. Ray Data spreads the work and repeats what a lost worker had begun.

    files -> read (tasks) -> TagBatch (actors, one Tagger each) -> Parts (tasks) -> OUT/part-000000.jsonl, ...

Examples:
    python tag.py --model models/conflict-minilm --engine ray --output entities/ reports/          # all cores of this machine
    RAY_ADDRESS=10.0.0.1:6379 python tag.py --model models/conflict-minilm --engine ray --output /shared/entities /shared/reports
    ray job submit --address http://10.0.0.1:8265 -- python /shared/conflict-ner/tag.py --engine ray ...    # from any other machine

A cluster is started with `ray start --head` on one machine and `ray start --address=10.0.0.1:6379` on the others; the second command
runs on one of them. All need the same Python, this package, Ray's token (`ray get-auth-token`) and the same paths: input, output and
model lie on storage that they share (a Hub id will do for the model). Nodes may differ in cores; where only some have a GPU or onnxruntime,
name the `--backend`. There is one actor per GPU or else per `--cores_per_worker` cores; one with a GPU tokenizes and decodes on its
cores, so it may need more than the default.

Rows are read and written by the local engine's own code, so they are the same rows, ids included; only their order is not that of the
input. A part (JSONL, CSV or Parquet) bears the number of the task that writes it and appears whole: a task that runs twice, because a
worker or node was lost, replaces its part by the same part, so no row is lost or doubled. When the command itself is ended nothing is kept
for `--resume`, and one file is read by one task: cut an input of terabytes into some files and some runs.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from conflict_ner.errors import InputError
from conflict_ner.inputs import STANDARD_INPUT
from conflict_ner.job import Job
from conflict_ner.journal import companions
from conflict_ner.model_folder import open_model
from conflict_ner.onnx_backend import usable_cores
from conflict_ner.tagging import INTERRUPTED, Tally, counted

try:
    import ray
    from ray.data import ActorPoolStrategy, DataContext, TaskPoolStrategy, from_items
    from ray.exceptions import RayError

    from conflict_ner.ray_work import Parts, TagBatch, Written, read_files
except ModuleNotFoundError as error:
    raise InputError(f"--engine ray: {error.name} is not installed; pip install -e '.[ray]', or leave --engine away") from None

FORMATS = ("jsonl", "csv", "parquet")  # that make sense in parts
BLOCK_BYTES = 2**21  # of rows, for a worker at a time: some seconds of work
LOCAL_STORE_BYTES = 2**28  # of shared memory for a cluster on this machine alone; blocks are small and soon gone


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where the work is done: by how many workers, with how many cores each, on the cluster at `address`.

    `address` None is what RAY_ADDRESS says, else this machine alone; `workers` None is as many as the cluster has room for.
    """

    address: str | None = None
    workers: int | None = None
    cores_per_worker: int = 2
    device: str | None = None


def run_on_ray(job: Job, cluster: Cluster) -> int:
    """Tag everything into the folder `job.output`, made whole or not at all; returns the exit code: 0, or 130 when interrupted.

    Raises InputError when no row could be tagged, or where the job or the cluster cannot be used.
    """
    output = _checked(job, cluster)
    job = replace(job, revision=open_model(job.model, job.revision).hub_revision)  # of a Hub model, all workers take the same commit
    unfinished = companions(output).unfinished
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        with _connected(cluster.address):
            written = _tag(job, cluster, unfinished)
        return _finish(output, written)
    except KeyboardInterrupt:
        _say(f"interrupted: {output} was not made; parts that were made lie in {unfinished} until the next run")
        return INTERRUPTED
    except RayError:  # some of which are OSErrors too
        raise
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be written ({error.strerror}); make room or name another --output") from None
    finally:
        with suppress(OSError):
            unfinished.rmdir()  # only when nothing was made


def _checked(job: Job, cluster: Cluster) -> Path:
    """Return the folder to make; raises InputError for what is bound to fail, before a cluster is started."""
    if job.output is None:
        raise InputError("--engine ray: writes a folder of part files; name it with --output")
    if STANDARD_INPUT in job.files:
        raise InputError("--engine ray: workers cannot read standard input; save it in a file and name that")
    if job.resume:
        raise InputError("--resume: --engine ray mends the loss of a worker by itself and keeps no journal; leave --resume away")
    if job.format not in FORMATS:
        raise InputError(f"--format {job.format}: --engine ray writes {', '.join(FORMATS)}; choose one of them, or leave --engine away")
    for option, number in (("--workers", cluster.workers), ("--cores_per_worker", cluster.cores_per_worker)):
        if number is not None and number < 1:
            raise InputError(f"{option} {number}: name a number from 1 on")
    return job.output.absolute()


@contextmanager
def _connected(address: str | None) -> Iterator[None]:
    """Join the cluster, or start one on this machine that ends with us; one that the caller has joined already is left as it is."""
    if ray.is_initialized():
        yield
        return
    quiet = {"RAY_BACKEND_LOG_LEVEL": "fatal", "RAY_IGNORE_UNHANDLED_ERRORS": "1"}  # what matters comes as an exception
    for name, value in {"RAY_USAGE_STATS_ENABLED": "0", **quiet}.items():
        os.environ.setdefault(name, value)
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    alone: dict[str, Any] = {"num_cpus": usable_cores(), "object_store_memory": LOCAL_STORE_BYTES, "include_dashboard": False}
    try:
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False, **(alone if address == "local" else {}))
    except ConnectionError as error:
        why = str(error).splitlines()[0]
        raise InputError(f"--address {address}: no Ray cluster answers there ({why}); start one with ray start --head") from None
    try:
        yield
    finally:
        ray.shutdown()


def _room(cluster: Cluster, backend: str | None) -> tuple[int, dict[str, Any]]:
    """Return how many workers there will be and what each takes; raises InputError when the cluster has no room for so many."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    on_gpu = backend in (None, "auto", "torch") and cluster.device != "cpu" and any(node.get("GPU") for node in nodes)
    takes = {"CPU": cluster.cores_per_worker, **({"GPU": 1} if on_gpu else {})}
    room = sum(min(int(node.get(name, 0)) // number for name, number in takes.items()) for node in nodes)
    if room < (cluster.workers or 1):
        each = f"{cluster.cores_per_worker} cores" + (" and a GPU" if on_gpu else "")
        raise InputError(
            f"--engine ray: there is room for {counted(room, 'worker')} of {each} each; "
            "name fewer with --workers or --cores_per_worker, or add nodes"
        )
    return cluster.workers or room, {"num_cpus": takes["CPU"], "num_gpus": takes.get("GPU", 0)}


def _tag(job: Job, cluster: Cluster, folder: Path) -> list[Written]:
    """Have the cluster write parts into `folder`."""
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # what it says of a failure is in the exception too
    warnings.filterwarnings("ignore", module=r"ray\.data\.")  # of less work than workers
    context = DataContext.get_current()
    context.enable_progress_bars = sys.stdout.isatty() and sys.stderr.isatty()
    context.target_max_block_size = BLOCK_BYTES
    workers, takes = _room(cluster, job.backend)
    # Readers and writers take little beside the taggers, and must not wait for a core of theirs.
    arguments = {"here": Path.cwd(), "job": job, "cores": cluster.cores_per_worker, "device": cluster.device}
    parts = Parts(folder, job)
    try:
        (
            from_items([{"file": os.fsencode(file)} for file in job.files])
            .map_batches(
                partial(read_files, Path.cwd(), job.reading),
                batch_size=None,
                batch_format="pyarrow",
                compute=TaskPoolStrategy(min(workers, len(job.files))),
                num_cpus=0,
            )
            .map_batches(
                TagBatch,
                fn_constructor_kwargs=arguments,
                batch_size=None,  # a block as it is
                batch_format="pyarrow",
                compute=ActorPoolStrategy(size=workers),
                **takes,
            )
            .write_datasink(parts, ray_remote_args={"num_cpus": 0})
        )
    except RayError as error:
        if ours := re.search(r"InputError: (.+)", str(error)):  # Ray wraps what a worker raised in its own, several times over
            raise InputError(ours[1]) from None
        raise
    return parts.written


def _finish(output: Path, written: Sequence[Written]) -> int:
    """Turn the parts into the output, and those of bad rows into one file beside it."""
    files = companions(output)
    lost = [sentence for part in written for sentence in part.lost]
    tally = Tally(sum(part.good for part in written), sum(part.bad for part in written), len(lost))
    for sentence in lost:
        _say(f"left out: {sentence}")
    files.errors.unlink(missing_ok=True)
    if tally.bad:
        with files.errors.open("wb") as errors:
            for part in sorted(part for part in written if part.bad):
                with (files.unfinished / part.errors).open("rb") as some:
                    shutil.copyfileobj(some, errors)
        if not tally.good:
            shutil.rmtree(files.unfinished)
            raise InputError(f"nothing could be tagged, {tally.left_out()}; {files.errors} says why")
    for file in files.unfinished.iterdir():
        if not file.name.startswith("part-"):
            file.unlink()
    os.replace(files.unfinished, output)
    left_out = f"; {tally.left_out()}, {files.errors} says why" if tally.bad else ""
    _say(f"{output}: {counted(tally.good, 'row')} in {counted(sum(part.good > 0 for part in written), 'part')}{left_out}")
    return 0


def _say(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")
