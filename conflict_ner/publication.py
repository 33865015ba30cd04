"""One publication from a run folder to the Hub: check everything, upload, load back, tag; in this order, so that a tag means all of it."""

from __future__ import annotations

import tempfile
from argparse import Namespace
from pathlib import Path

from rich.console import Console

from conflict_ner import __version__
from conflict_ner.card_metadata import CORPUS
from conflict_ner.hub import Repository, check_repository, check_token, publish_folder, tag_version
from conflict_ner.readback import check_same, entities, load_back
from conflict_ner.release import DATASET_PATTERNS, MODEL_PATTERNS, sample_texts, stage_dataset, stage_model, staged_files
from conflict_ner.runs import CARD
from conflict_ner.space import build_space

OWNED = {"model": MODEL_PATTERNS, "dataset": DATASET_PATTERNS, "space": ("*.html",)}  # what an earlier publication may have left


def publish(arguments: Namespace, console: Console) -> None:
    """Do what `publish.py` was asked to (its options are the attributes of `arguments`); raises InputError for what stands in the way."""
    options = (arguments.private, arguments.create_pr, arguments.revision)
    repositories = [Repository(arguments.repo_id, "model", *options)]
    if arguments.dataset:
        repositories.append(Repository(arguments.dataset, "dataset", *options))
    if arguments.space:
        repositories.append(Repository(arguments.space, "space", *options))
    for repository in repositories:
        check_repository(repository)
    if not arguments.dry_run:
        check_token()
    with tempfile.TemporaryDirectory(prefix="publish-") as temporary:
        model = Path(temporary, arguments.repo_id.rpartition("/")[2])  # its name stands on the Space's page
        stage_model(arguments.model, arguments.repo_id, model, arguments.license, arguments.dataset)
        folders = {"model": model, "dataset": Path(temporary, "of a dataset"), "space": Path(temporary, "of a space")}
        if arguments.dataset:
            stage_dataset(Path(CORPUS), folders["dataset"])
        if arguments.space:
            build_space("static", model, folders["space"], repo_id=arguments.repo_id)
        for repository in repositories:
            staged = folders[repository.kind]
            show(repository, staged, console)
            if arguments.dry_run:
                console.print("\n" + (staged / CARD).read_text(encoding="utf-8"), markup=False)
            else:
                upload(repository, staged, console)


def show(repository: Repository, staged: Path, console: Console) -> None:
    """List what is published."""
    files = staged_files(staged)
    console.print(f"{repository.kind} {repository.id}: {len(files)} files, {sum(files.values()):,} bytes")
    for name, size in files.items():
        console.print(f"{size:>14,}  {name}", markup=False)


def upload(repository: Repository, staged: Path, console: Console) -> None:
    """Publish one staged folder, load a model back, tag it on main, and only then say that it is there."""
    texts = sample_texts(staged) if repository.kind == "model" else []
    expected = entities(staged, texts) if texts else {}
    commit = publish_folder(staged, repository, f"conflict-ner {__version__}", OWNED[repository.kind])
    if texts:
        check_same(repository.id, commit.oid, load_back(repository.id, commit.oid, texts), expected)
        console.print(f"loaded back by its id: the same entities in {len(texts)} test documents")
    tag = f"v{__version__}"
    if not (repository.create_pr or repository.revision) and not tag_version(repository, commit.oid, tag):
        console.print(f"{tag} stays at the commit it was published with; raise __version__ to tag this one")
    console.print(f"published: {commit.pr_url or commit.commit_url}")
