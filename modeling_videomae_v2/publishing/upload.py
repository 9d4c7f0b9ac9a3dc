# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Files to the Hub: what is new there and what would change, one commit for all of it, its failures in words."""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import validate_repo_id

from ..wording_videomae_v2 import shortened
from .staging import StagedRepository


# Weights that `from_pretrained` would take before those that are sent, or mix with them.
STALE_WEIGHTS = re.compile(
    r"(?:model|pytorch_model)(?:-\d+-of-\d+)?\.(?:safetensors|bin)|(?:model\.safetensors|pytorch_model\.bin)\.index\.json"
)
LOG_IN = "Log in with `hf auth login`, or set HF_TOKEN; the token needs the permission to write."


class State(str, Enum):
    """What sending does to a file of the repository."""

    NEW = "new"
    CHANGED = "changed"
    SAME = "same"
    KEPT = "kept"  # the Hub has its own, which is better than one made from the template
    REMOVED = "removed"  # weights of an earlier model
    UNKNOWN = "not compared"


@dataclass(frozen=True)
class Entry:
    """One file: its path in the repository, its size in bytes, and what happens to it."""

    path: str
    size: int
    state: State


@dataclass(frozen=True)
class Plan:
    """What an upload would do.

    Attributes:
        repo_id: `namespace/name`.
        revision: Branch.
        entries: Every file that is to be sent or removed.
        exists: Whether the repository is there.
        head: The commit that was compared with; `None` for a new repository.
        new_branch: Whether the branch has to be made.
    """

    repo_id: str
    revision: str
    entries: list[Entry]
    exists: bool = False
    head: str | None = None
    new_branch: bool = False

    def paths(self, *states: State) -> list[str]:
        """Paths of the files in any of these states."""
        return [entry.path for entry in self.entries if entry.state in states]

    @property
    def changes_something(self) -> bool:
        return bool(self.paths(State.NEW, State.CHANGED, State.REMOVED))

    def refuse_to_overwrite(self) -> None:
        """`FileExistsError` where a file of the Hub would be lost."""
        changed, removed = self.paths(State.CHANGED), self.paths(State.REMOVED)
        if changed or removed:
            parts = [f"has other content in {shortened(changed)}"] if changed else []
            parts += [f"holds other weights, {shortened(removed)}"] if removed else []
            raise FileExistsError(
                f"{self.repo_id} ({self.revision}) {' and '.join(parts)}. Nothing was sent. --replace writes over them "
                "(the history keeps them), --create-pr proposes the change, --revision NAME uses another branch."
            )


def resolve_repo_id(api: HfApi, repo_id: str, must_write: bool) -> str:
    """`namespace/name`; without a namespace it is the user's own. Arguments and further errors as for `who_publishes`.

    Raises:
        ValueError: The Hub would not accept the name, or it has no namespace and there is no access token.
    """
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise ValueError(f"{repo_id!r} is no name of a repository (NAMESPACE/NAME): {error}") from error
    if "/" in repo_id:
        return repo_id
    user = who_publishes(api, must_write)
    if user is None:
        raise ValueError(f"{repo_id!r} has no namespace; write NAMESPACE/{repo_id}.")
    return f"{user['name']}/{repo_id}"


def who_publishes(api: HfApi, must_write: bool) -> dict[str, Any] | None:
    """The user whose access token is set, as the Hub describes them; `None` without a token.

    Args:
        api: The client.
        must_write: Refuse a missing token and one that may only read.

    Raises:
        PermissionError: There is no token, the Hub does not know it, or it may only read.
        ConnectionError: The Hub cannot be reached.
    """
    if get_token() is None:
        if must_write:
            raise PermissionError(f"There is no access token for {api.endpoint}. {LOG_IN}")
        return None
    with hub_errors(api):
        user = api.whoami()
    role = ((user.get("auth") or {}).get("accessToken") or {}).get("role")
    if must_write and role == "read":
        raise PermissionError(f"The access token of {user.get('name')} may only read. {LOG_IN}")
    return user


def plan_upload(api: HfApi, repository: StagedRepository, repo_id: str, revision: str | None = None) -> Plan:
    """Compare files with those of the Hub, by content.

    Args:
        api: The client.
        repository: The files.
        repo_id: `namespace/name`.
        revision: Branch; default "main". One that is not there yet is compared with "main", which it will start from.

    Returns:
        What sending them would do. A repository that is not there, or not to be seen without a token, is a new one.

    Raises:
        PermissionError: The Hub does not let us look.
        ConnectionError: The Hub cannot be reached.
    """
    branch, new_branch = revision or "main", False
    with hub_errors(api):
        try:
            info = api.model_info(repo_id, revision=branch, files_metadata=True)
        except RevisionNotFoundError:
            info, new_branch = api.model_info(repo_id, files_metadata=True), True
        except RepositoryNotFoundError:
            entries = [Entry(name, _size(repository, name), State.NEW) for name in repository.files]
            return Plan(repo_id, branch, entries, new_branch=branch != "main")
    there = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    entries = []
    for name in repository.files:
        state = State.NEW
        if name in there:
            state = State.SAME if _is_same(repository.path / name, there[name]) else State.CHANGED
            if state is State.CHANGED and name in repository.written:
                state = State.KEPT
        entries.append(Entry(name, _size(repository, name), state))
    sent = set(repository.files)
    for name, sibling in there.items():
        if name not in sent and STALE_WEIGHTS.fullmatch(name):
            entries.append(Entry(name, sibling.size or 0, State.REMOVED))
    return Plan(repo_id, branch, entries, True, info.sha, new_branch)


def plan_without_the_hub(repository: StagedRepository, repo_id: str, revision: str | None = None) -> Plan:
    """What would be sent, where the Hub cannot be asked what it has."""
    entries = [Entry(name, _size(repository, name), State.UNKNOWN) for name in repository.files]
    return Plan(repo_id, revision or "main", entries)


def upload(
    api: HfApi,
    repository: StagedRepository,
    plan: Plan,
    *,
    private: bool = False,
    create_pr: bool = False,
    message: str | None = None,
) -> str:
    """Send what `plan` says, in one commit: the repository has all of it, or nothing.

    What a run that was cut off has uploaded of the large files is not sent again. Nothing is committed if somebody else
    has changed the branch since the plan was made.

    Args:
        api: The client.
        repository: The files.
        plan: What `plan_upload` found.
        private: Make the repository private, if it is made.
        create_pr: Open a pull request instead of writing to the branch.
        message: Of the commit.

    Returns:
        Address of the commit or the pull request.

    Raises:
        PermissionError: The token may not write there.
        ConnectionError: The Hub cannot be reached, or the connection broke.
        OSError: The Hub refuses for another reason.
        ValueError: It does not accept the metadata of the card.
    """
    operations: list[CommitOperationAdd | CommitOperationDelete] = [
        CommitOperationAdd(name, (repository.path / name).resolve()) for name in plan.paths(State.NEW, State.CHANGED)
    ]
    operations += [CommitOperationDelete(name) for name in plan.paths(State.REMOVED)]
    with hub_errors(api, sending=True):
        if not plan.exists:
            api.create_repo(plan.repo_id, private=private or None, exist_ok=True)
        if plan.new_branch:
            api.create_branch(plan.repo_id, branch=plan.revision, exist_ok=True)
        commit = api.create_commit(
            plan.repo_id,
            operations,
            commit_message=message or "Upload VideoMAE V2 model",
            revision=plan.revision,
            create_pr=create_pr,
            parent_commit=plan.head,
        )
    after = plan_upload(api, repository, plan.repo_id, commit.oid)
    lacking = after.paths(State.NEW, State.CHANGED)
    if lacking:
        raise OSError(
            f"The Hub took the commit {commit.oid}, but does not show {shortened(lacking)} as sent. Look at it."
        )
    return commit.pr_url or str(commit.commit_url)


@contextmanager
def hub_errors(api: HfApi, sending: bool = False) -> Iterator[None]:
    """Turn what goes wrong with the Hub into `PermissionError`, `ConnectionError` or `OSError` that say what to do."""
    again = " Run the same command again: files that arrived whole are not sent twice." if sending else ""
    try:
        yield
    except (RevisionNotFoundError, RepositoryNotFoundError) as error:
        raise FileNotFoundError(
            f"{api.endpoint} does not show the repository or branch: {_server_words(error)}"
        ) from error
    except HfHubHTTPError as error:
        raise _http_error(api, error, again) from error
    except OfflineModeIsEnabled as error:
        raise ConnectionError("HF_HUB_OFFLINE is set, so the Hub is not asked. Unset it to publish.") from error
    except json.JSONDecodeError as error:
        raise ConnectionError(
            f"{api.endpoint} does not answer as a Hub does. Check HF_ENDPOINT, and whether the network wants a log-in."
        ) from error
    except (ValueError, OSError, RuntimeError) as error:
        if _is_network_error(error):
            plain = " HF_HUB_DISABLE_XET=1 sends them by plain HTTP." if "xet" in str(error).lower() else ""
            raise ConnectionError(f"The connection to {api.endpoint} broke: {error}.{again}{plain}") from error
        if isinstance(error, RuntimeError):  # from hf_xet or a thread that uploads
            raise OSError(f"The upload failed: {str(error).rstrip('.')}.{again}") from error
        raise
    except Exception as error:
        if not _is_network_error(error):
            raise
        raise ConnectionError(
            f"{api.endpoint} cannot be reached: {str(error) or type(error).__name__}. Check the network, the proxy "
            f"(HTTPS_PROXY) and HF_ENDPOINT.{again}"
        ) from error


def _http_error(api: HfApi, error: HfHubHTTPError, again: str) -> OSError:
    status = error.response.status_code
    words = _server_words(error)
    if status == 401:
        return PermissionError(f"{api.endpoint} does not accept the access token ({words}). {LOG_IN}")
    if status == 403:
        return PermissionError(f"The access token may not write there: {words}. {LOG_IN}")
    if status in (409, 412):
        return OSError(f"Somebody else changes the repository just now ({words}). Nothing was committed.{again}")
    if status == 429 or status >= 500:
        return ConnectionError(f"{api.endpoint} does not answer as it should ({status}: {words}).{again}")
    return OSError(f"{api.endpoint} refuses ({status}): {words}")


def _server_words(error: HfHubHTTPError) -> str:
    return str(error.server_message or str(error).strip().splitlines()[0]).strip().rstrip(".")


def _is_network_error(error: BaseException | None) -> bool:
    """Whether it, or what it came from, is an error of the HTTP client's transport, whichever client that is."""
    while error is not None:
        if isinstance(error, ConnectionError) or any(base.__name__ == "TransportError" for base in type(error).__mro__):
            return True
        error = error.__cause__
    return False


def _size(repository: StagedRepository, name: str) -> int:
    return (repository.path / name).stat().st_size


def _is_same(path: Path, sibling: Any) -> bool:
    """Whether a file has the content of one on the Hub, by the hash that the Hub keeps of it."""
    size = path.stat().st_size
    if sibling.size is not None and sibling.size != size:
        return False
    if sibling.lfs is not None:
        return _digest(path, hashlib.sha256()) == sibling.lfs.sha256
    return _digest(path, hashlib.sha1(b"blob %d\0" % size)) == sibling.blob_id


def _digest(path: Path, digest: Any) -> str:
    with path.open("rb") as file:
        while part := file.read(1 << 22):
            digest.update(part)
    return digest.hexdigest()


__all__ = [
    "Entry",
    "Plan",
    "State",
    "hub_errors",
    "plan_upload",
    "plan_without_the_hub",
    "resolve_repo_id",
    "upload",
    "who_publishes",
]
