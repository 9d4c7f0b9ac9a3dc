# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""A model folder to the Hub: put together, compared, checked in a clean process, sent."""

import contextlib
import errno
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi

from .checks import check_clean_process, check_finite
from .staging import StagedRepository, stage_repository
from .upload import (
    Plan,
    hub_errors,
    plan_upload,
    plan_without_the_hub,
    resolve_repo_id,
    upload,
    who_publishes,
)


NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Progress:
    """Told what happens; does nothing. Derive from it to show something."""

    def planned(self, repository: StagedRepository, plan: Plan) -> None:
        """The files are put together and compared with the Hub."""

    def starts(self, step: str) -> None:
        """A step that takes time begins."""


def publish_folder(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool = False,
    replace: bool = False,
    revision: str | None = None,
    create_pr: bool = False,
    message: str | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
    **content: Any,
) -> str | None:
    """Publish a model as a complete repository, in one commit, that loads with and without this package.

    Args:
        folder: What `save_pretrained` wrote, model and video processor.
        repo_id: `namespace/name`; without a namespace it is the user's own.
        private: Make the repository private. One that is public already is refused.
        replace: Write over files that have other content there, and remove weights of an earlier model.
        revision: Branch to write to; made if it is not there. Default "main".
        create_pr: Open a pull request instead.
        message: Of the commit.
        dry_run: Do everything but send; the checks also where the Hub cannot be asked.
        progress: Told what happens.
        **content: `licence`, `labels` and `include` of `stage_repository`.

    Returns:
        Address of the commit or pull request; `None` where nothing was sent, because of `dry_run` or because the Hub
        has all of it already.

    Raises:
        FileExistsError: The Hub has other content and `replace` is not given.
        PermissionError: There is no access token, or it may not write.
        ConnectionError: The Hub cannot be reached.
        FileNotFoundError, ValueError: Something in the folder or in the arguments is missing or not right.
        OSError: The Hub refuses.
    """
    progress = progress or Progress()
    if create_pr and revision not in (None, "main"):
        raise ValueError(f"--create-pr proposes a change of main, so it does not go with --revision {revision}.")
    api = HfApi()
    repo_id = resolve_repo_id(api, repo_id, must_write=not dry_run)
    with tempfile.TemporaryDirectory(prefix="videomae-v2-publish-") as staged:
        with _room_in(staged):
            repository = stage_repository(folder, staged, repo_id, **content)
        try:
            who_publishes(api, must_write=not dry_run)
            plan = plan_upload(api, repository, repo_id, revision)
        except OSError as error:
            if dry_run:
                _check_without_the_hub(repository, repo_id, revision, progress, error)
            raise
        progress.planned(repository, plan)
        if not (replace or create_pr):
            plan.refuse_to_overwrite()
        if private and plan.exists:
            _refuse_public(api, repo_id)
        if not plan.changes_something:
            return None
        _check(repository, progress)
        if dry_run:
            return None
        progress.starts(f"Sending it to {api.endpoint}/{repo_id}")
        return upload(api, repository, plan, private=private, create_pr=create_pr, message=message)


@contextlib.contextmanager
def _room_in(staged: str) -> Iterator[None]:
    """Have the error of a full disk name the folder for temporary files (`OSError`)."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise OSError(
            f"{staged} cannot be written: {error.strerror}. Make room there, or set the environment variable TMPDIR to "
            "another folder for temporary files."
        ) from error


def _check_without_the_hub(
    repository: StagedRepository, repo_id: str, revision: str | None, progress: Progress, error: OSError
) -> None:
    """Show and check the files where the Hub cannot be asked what it has, then say why it cannot (`OSError`)."""
    progress.planned(repository, plan_without_the_hub(repository, repo_id, revision))
    _check(repository, progress)
    raise type(error)(f"The files are checked, but not compared with the Hub: {error}") from error


def _check(repository: StagedRepository, progress: Progress) -> None:
    progress.starts("Reading the weights")
    check_finite(repository.model)
    progress.starts("Loading it in a clean process")
    check_clean_process(repository.path, repository.model.architecture)


def _refuse_public(api: HfApi, repo_id: str) -> None:
    with hub_errors(api):
        is_private = api.model_info(repo_id).private
    if not is_private:
        raise ValueError(
            f"{repo_id} is there already, and public: --private would not hide it. Change that in its settings first, "
            "or choose another name."
        )


__all__ = ["Progress", "publish_folder"]
