"""One publication from a run folder to the Hub: check everything, upload, load back, tag; in this order, so that a tag means all of it."""

from __future__ import annotations

import tempfile
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from conflict_ner import __version__
from conflict_ner.card_metadata import CORPUS
from conflict_ner.errors import InputError
from conflict_ner.hub import Kind, Repository, check_repository, check_token, make_ready, publish_folder, stale_files, tag_version
from conflict_ner.readback import check_same, entities, load_back
from conflict_ner.release import OWNED, sample_texts, stage_dataset, stage_model, staged_files
from conflict_ner.runs import CARD
from conflict_ner.space import build_space


def publish(arguments: Namespace, console: Console) -> None:
    """Do what `publish.py` was asked to (its options are the attributes of `arguments`); raises InputError for what stands in the way."""
    named: dict[Kind, str | None] = {"model": arguments.repo_id, "dataset": arguments.dataset, "space": arguments.space}
    options = (arguments.private, arguments.create_pr, arguments.revision)
    repositories = [Repository(name, kind, *options) for kind, name in named.items() if name]
    for repository in repositories:
        check_repository(repository)
    if not arguments.dry_run:
        check_token()
    with tempfile.TemporaryDirectory(prefix="publish-") as temporary:
        # The model's name stands on the Space's page.
        folders = {"model": Path(temporary, arguments.repo_id.rpartition("/")[2])}
        folders |= {kind: Path(temporary, f"of a {kind}") for kind in ("dataset", "space")}
        stage(arguments, folders, console)
        texts = {"model": sample_texts(folders["model"])}
        if not arguments.dry_run:
            for repository in repositories:
                make_ready(folders[repository.kind], repository)
        for repository in repositories:
            staged = folders[repository.kind]
            stale = show(repository, staged, arguments.dry_run, console)
            if arguments.dry_run:
                console.print("\n" + (staged / CARD).read_text(encoding="utf-8"), markup=False)
            else:
                upload(repository, staged, stale, texts.get(repository.kind, []), console)


def stage(arguments: Namespace, folders: Mapping[str, Path], console: Console) -> None:
    """Lay out in `folders`, by kind of repository, what was asked for, and say what was left out; nothing is sent."""
    if left_out := stage_model(arguments.model, arguments.repo_id, folders["model"], arguments.license, arguments.dataset):
        console.print(f"left out: {left_out}", markup=False)
    if arguments.dataset:
        stage_dataset(Path(CORPUS), arguments.dataset, folders["dataset"])
    if arguments.space:
        build_space("static", folders["model"], folders["space"], repo_id=arguments.repo_id)


def show(repository: Repository, staged: Path, dry_run: bool, console: Console) -> list[str]:
    """List what is published, and what is deleted for it, which is returned; a dry run needs no Hub to ask."""
    files = staged_files(staged)
    console.print(f"{repository.kind} {repository.id}: {len(files)} files, {sum(files.values()):,} bytes")
    for name, size in files.items():
        console.print(f"{size:>14,}  {name}", markup=False)
    try:
        stale = stale_files(staged, repository, OWNED[repository.kind])
    except InputError as error:
        if not dry_run:
            raise
        console.print(f"not known what of an earlier publication would be deleted: {error}", markup=False)
        return []
    for name in stale:
        console.print(f"{'deleted':>14}  {name}", markup=False)
    return stale


def upload(repository: Repository, staged: Path, stale: Sequence[str], texts: Sequence[str], console: Console) -> None:
    """Publish one staged folder, load a model back, tag it on main, and only then say that it is there."""
    expected = entities(staged, texts) if texts else {}
    commit = publish_folder(staged, repository, f"conflict-ner {__version__}", stale)
    if texts:
        check_same(repository.id, commit.oid, load_back(repository.id, commit.oid, texts), expected)
        console.print(f"loaded back by its id: the same entities in {len(texts)} test documents")
    tag = f"v{__version__}"
    if not (repository.create_pr or repository.revision) and not tag_version(repository, commit.oid, tag):
        console.print(f"{tag} stays at the commit it was published with; raise __version__ to tag this one")
    console.print(f"published: {commit.pr_url or commit.commit_url}")
