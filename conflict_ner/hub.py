"""A folder -> one commit in a repository of the Hugging Face Hub, with the client as it is.

One commit shows all files or none, whatever happens on the way; a run that broke off is repeated, and what had arrived is not sent again.
The token comes from the environment (HF_TOKEN) or `hf auth login`, and goes nowhere but into the client's requests.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import httpx2
import yaml
from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi, constants, get_token
from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import disable_progress_bars, enable_progress_bars, validate_repo_id
from huggingface_hub.utils import logging as client_logging

from conflict_ner.errors import InputError
from conflict_ner.runs import CARD

Kind = Literal["model", "dataset", "space"]


@dataclass(frozen=True)
class Repository:
    """Where a folder goes: `id` is OWNER/NAME; `revision` a branch other than main; `create_pr` asks for a pull request instead."""

    id: str
    kind: Kind = "model"
    private: bool = False
    create_pr: bool = False
    revision: str | None = None


def check_repository(repository: Repository) -> None:
    """Raise InputError for an id the Hub would not take, or a pull request into a branch; nothing is sent."""
    try:
        validate_repo_id(repository.id)
    except ValueError as error:
        raise InputError(f"{repository.id}: is no repository id ({str(error).splitlines()[0]}); write OWNER/NAME") from None
    if "/" not in repository.id:
        raise InputError(f"{repository.id}: is no repository id; write OWNER/NAME")
    if repository.create_pr and repository.revision:
        raise InputError("--create_pr opens a pull request to main, --revision names another branch; leave one of them away")


def check_token() -> None:
    """Raise InputError when there is no token to write with."""
    if not get_token():
        raise InputError("there is no token to publish with; log in with `hf auth login`, or set HF_TOKEN")


def make_ready(folder: Path, repository: Repository) -> None:
    """Make the repository and its branch if need be, for `folder`; raises InputError, in one sentence, where nothing may be written."""
    api, repo_id, kind = HfApi(), repository.id, repository.kind
    with one_sentence(repository):
        api.create_repo(repo_id, repo_type=kind, private=repository.private or None, space_sdk=_sdk(folder, repository), exist_ok=True)
        if not repository.create_pr:  # anyone may ask
            api.auth_check(repo_id, repo_type=kind, write=True)
        if repository.private and not api.repo_info(repo_id, repo_type=kind).private:
            raise InputError(f"{repository.id}: exists and is public; make it private on its page, or choose another name")
        if repository.revision:
            api.create_branch(repo_id, repo_type=kind, branch=repository.revision, exist_ok=True)


def stale_files(folder: Path, repository: Repository, owned: Sequence[str]) -> list[str]:
    """Return the files of the repository that match a pattern of `owned`, in the very folder it names, and are not in `folder`.

    A repository that is not there yet has none; a branch that is not there yet has those of main. Raises InputError as `make_ready`.
    """
    there: list[str] = []
    with one_sentence(repository), suppress(RepositoryNotFoundError):
        try:
            there = HfApi().list_repo_files(repository.id, repo_type=repository.kind, revision=repository.revision)
        except RevisionNotFoundError:
            there = HfApi().list_repo_files(repository.id, repo_type=repository.kind)
    return [file for file in there if not (folder / file).exists() and any(_matches(file, pattern) for pattern in owned)]


def _matches(file: str, pattern: str) -> bool:
    return file.count("/") == pattern.count("/") and fnmatchcase(file, pattern)


def publish_folder(folder: Path, repository: Repository, message: str, stale: Sequence[str] = ()) -> CommitInfo:
    """Bring `folder` into a repository that is ready by one commit, which deletes the files `stale`; all others stay.

    Without changes, return the commit that is there. Raises InputError, in one sentence, for whatever the Hub or the network refuses.
    """
    (enable_progress_bars if sys.stderr.isatty() else disable_progress_bars)()
    additions = [CommitOperationAdd(str(file.relative_to(folder)), file) for file in sorted(folder.rglob("*")) if file.is_file()]
    with one_sentence(repository):
        return HfApi().create_commit(
            repository.id,
            repo_type=repository.kind,
            operations=[*additions, *map(CommitOperationDelete, stale)],
            commit_message=message,
            revision=repository.revision,
            create_pr=repository.create_pr,
        )


def tag_version(repository: Repository, commit: str, tag: str) -> bool:
    """Tag `commit`; False when the tag names another commit already: a version that was published is not moved."""
    api = HfApi()
    with one_sentence(repository):
        tags = {found.name: found.target_commit for found in api.list_repo_refs(repository.id, repo_type=repository.kind).tags}
        if tag not in tags:
            api.create_tag(repository.id, repo_type=repository.kind, tag=tag, revision=commit)
        return tags.get(tag, commit) == commit


def _sdk(folder: Path, repository: Repository) -> str | None:
    """Return what runs a Space, as the header of its own README says: the Hub wants to know it beforehand."""
    if repository.kind != "space":
        return None
    header = yaml.safe_load((folder / CARD).read_text(encoding="utf-8").split("---\n")[1])
    return str(header["sdk"])


@contextmanager
def one_sentence(repository: Repository) -> Iterator[None]:
    """Turn whatever the Hub's client raises into an InputError."""
    client_logging.set_verbosity_error()  # it retries in words; what fails in the end is said once, here
    try:
        yield
    except InputError:
        raise
    except (httpx2.HTTPError, OSError, ValueError, RuntimeError) as error:  # every error of the Hub's client is one of these
        raise InputError(f"{repository.id}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # the client's "Error while uploading ..." hides why
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
    if status == 401:
        return "the Hub does not know the token; log in again with `hf auth login`, or set HF_TOKEN to a valid one"
    if status == 403:
        return "the token may not write there: the name is someone else's, or the token only reads; choose another name or token"
    if status is not None:
        said = getattr(error, "server_message", None) or "nothing more"
        return f"the Hub answered with error {status} and said {said!r}; publish again, what has arrived is not sent twice"
    if isinstance(error, (httpx2.TransportError, OfflineModeIsEnabled)):
        return f"{constants.ENDPOINT} cannot be reached ({type(error).__name__}); check the connection and publish again"
    return f"could not be published ({' '.join(str(error).split())}); mend that and publish again"
