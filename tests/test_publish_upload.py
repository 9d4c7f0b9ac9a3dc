# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""`videomae-v2 publish` against a Hub on the loopback interface, with the real client."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import huggingface_hub.constants
import pytest
import torch
from click.testing import Result
from full_disk import full_disk
from hub_server import READ_TOKEN, TOKEN, HubServer, StoredFile
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError
from published_models import change_json, save_model
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from modeling_videomae_v2.cli import app
from modeling_videomae_v2.publishing.upload import hub_errors, who_publishes


REPO = "someone/some-model"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("saved"), shards=True)


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return shutil.copytree(saved, tmp_path / "model")


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Without the clean process, which takes seconds and has tests of its own: what would be loaded in it."""
    models: list[str] = []
    monkeypatch.setattr(
        "modeling_videomae_v2.publishing.publish.check_clean_process",
        lambda path, architecture: models.append(architecture),
    )
    return models


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, checked: list[str]) -> Iterator[HubServer]:
    with HubServer() as server:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.endpoint)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield server


def publish(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["publish", *map(str, arguments)])


def words(result: Result) -> str:
    """What was said, on one line."""
    return re.sub(r"\s+", " ", result.output)


def state(result: Result, name: str) -> str:
    """What the table says of a file."""
    line = next(line for line in result.output.splitlines() if f" {name} " in line)
    return re.split(r"\s*[│|]\s*", line.strip())[-2]


def refused(result: Result, *parts: str) -> None:
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception  # in words, no traceback
    for part in parts:
        assert part in words(result)


def test_a_new_repository_holds_all_of_it(folder: Path, hub: HubServer, checked: list[str]) -> None:
    result = publish(folder, REPO, "--message", "The first")
    assert result.exit_code == 0, result.output
    repository = hub.repositories[REPO]
    files = repository.files()
    assert not repository.private
    for name in ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"):
        assert files[name].content == (folder / name).read_bytes()
        assert files[name].sha256
    assert {"config.json", "README.md", "LICENSE", "LICENSE-CODE", "modeling_videomae_v2.py"} <= set(files)
    assert repository.messages[1:] == ["The first"]  # besides the Hub's own first commit, one for all of it
    assert f"Published: {hub.endpoint}/{REPO}/commit/{repository.heads['main']}" in words(result)
    assert checked == ["VideoMAEv2ForVideoClassification"]


def test_again_sends_nothing(folder: Path, hub: HubServer, checked: list[str]) -> None:
    publish(folder, REPO)
    before, place = hub.repositories[REPO].heads["main"], len(hub.log)
    result = publish(folder, REPO)
    assert result.exit_code == 0
    assert "the Hub has all of it" in words(result)
    assert state(result, "config.json") == state(result, "README.md") == "same"
    assert hub.repositories[REPO].heads["main"] == before
    assert len(checked) == 1  # what is there already need not be loaded
    assert not [line for line in hub.log[place:] if not line.startswith("GET")]


def test_dry_run_shows_everything_and_sends_nothing(folder: Path, hub: HubServer, checked: list[str]) -> None:
    hub.add(REPO, {"config.json": b"{}", "LICENSE": b"mine"})
    result = publish(folder, REPO, "--dry-run", "--replace")
    assert result.exit_code == 0, result.output
    assert state(result, "config.json") == "changed"
    assert state(result, "LICENSE") == "kept"
    assert state(result, "model-00001-of-00002.safetensors") == "new"
    assert "Nothing was sent" in words(result)
    assert checked
    assert not [line for line in hub.log if not line.startswith("GET")]


def test_what_is_asked_for_is_sent(folder: Path, hub: HubServer) -> None:
    (folder / "labels.txt").write_text("a\nb\nc\nd\ne\n")
    (folder / "notes.txt").write_text("x")
    result = publish(
        folder,
        REPO,
        "--license",
        "mit",
        "--labels",
        folder / "labels.txt",
        "--include",
        "n*.txt",
        "--include",
        "l*.txt",
    )
    assert result.exit_code == 0, result.output
    files = hub.repositories[REPO].files()
    assert {"labels.txt", "notes.txt"} < set(files)
    assert json.loads(files["config.json"].content)["label2id"] == dict(zip("abcde", range(5)))
    assert b"MIT License" in files["LICENSE"].content
    assert "Note: README.md comes from the template" in words(result)


def test_weights_that_are_not_finite_are_not_sent(folder: Path, hub: HubServer) -> None:
    shard = folder / "model-00001-of-00002.safetensors"
    weights = load_file(shard)
    next(iter(weights.values())).fill_(torch.nan)
    save_file(weights, shard, {"format": "pt"})
    refused(publish(folder, REPO), "1 of", "weights hold NaN or infinity")
    assert not hub.repositories


def test_a_full_disk_names_the_folder(folder: Path, hub: HubServer) -> None:
    with full_disk(100):
        result = publish(folder, REPO, "--dry-run")
    refused(result, "cannot be written: File too large.", "set the environment variable TMPDIR")


@pytest.mark.parametrize("token", [None, READ_TOKEN])
def test_dry_run_needs_no_token(
    folder: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch, token: str | None
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    result = publish(folder, REPO, "--dry-run", "--revision", "trial")
    assert result.exit_code == 0, result.output
    assert state(result, "config.json") == "new"
    assert f"{REPO} (trial)" in words(result)


def test_a_name_alone_needs_a_token(folder: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is there whose own it could be."""
    monkeypatch.delenv("HF_TOKEN")
    refused(publish(folder, "some-model", "--dry-run"), "has no namespace; write NAMESPACE/some-model")


def test_a_token_of_which_the_hub_says_little_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    user = {"name": "someone"}
    assert who_publishes(Mock(whoami=lambda: user), must_write=True) == user


def test_other_content_is_not_overwritten(folder: Path, hub: HubServer) -> None:
    repository = hub.add(REPO, {"config.json": b"{}"})
    head = repository.heads["main"]
    refused(publish(folder, REPO), "other content in config.json", "--replace")
    assert repository.heads["main"] == head
    assert publish(folder, REPO, "--replace").exit_code == 0
    assert repository.files()["config.json"].content != b"{}"


def test_a_card_on_the_hub_is_better_than_the_template(folder: Path, hub: HubServer) -> None:
    repository = hub.add(REPO, {"README.md": b"# Written by hand\n"})
    assert publish(folder, REPO).exit_code == 0
    assert repository.files()["README.md"].content == b"# Written by hand\n"


def test_weights_of_an_earlier_model_do_not_stay(folder: Path, hub: HubServer) -> None:
    """`from_pretrained` would load model.safetensors before the shards."""
    stale = (
        "model-00001-of-00009.safetensors", "model.safetensors", "pytorch_model-00001-of-00009.bin",
        "pytorch_model.bin", "pytorch_model.bin.index.json",
    )  # fmt: skip
    assert publish(folder, REPO).exit_code == 0
    repository, kept = hub.repositories[REPO], ("picture.png", "model.safetensors.old", "my_model.bin")
    for files in (dict.fromkeys(stale, StoredFile(b"earlier")), dict.fromkeys(kept, StoredFile(b"x"))):
        repository.commit("main", {**repository.files(), **files}, "more")
    refused(publish(folder, REPO), f"other weights, {', '.join(stale)}. Nothing was sent")
    result = publish(folder, REPO, "--replace")
    assert result.exit_code == 0, result.output
    assert state(result, "model.safetensors") == "removed"
    assert not set(stale) & set(repository.files())
    assert set(kept) < set(repository.files())


def test_one_file_that_changed_is_sent(folder: Path, hub: HubServer) -> None:
    publish(folder, REPO)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Mine, at last\n")
    (folder / "LICENSE").write_text("The licence.\n")
    result = publish(folder, REPO, "--replace")
    assert result.exit_code == 0, result.output
    assert "at last" in hub.repositories[REPO].files()["README.md"].content.decode()


def test_a_new_branch_starts_from_main(folder: Path, hub: HubServer) -> None:
    repository = hub.add(REPO, {"notes.txt": b"x"})
    assert publish(folder, REPO, "--revision", "trial").exit_code == 0
    assert {"notes.txt", "config.json"} <= set(repository.files("trial"))
    assert "config.json" not in repository.files("main")
    assert publish(folder, "someone/other", "--revision", "trial").exit_code == 0
    assert "config.json" in hub.repositories["someone/other"].files("trial")


def test_a_pull_request_changes_no_branch(folder: Path, hub: HubServer) -> None:
    repository = hub.add(REPO, {"config.json": b"{}"})
    result = publish(folder, REPO, "--create-pr")
    assert result.exit_code == 0, result.output
    assert "/discussions/1" in words(result)
    assert repository.files("main")["config.json"].content == b"{}"
    assert "model.safetensors.index.json" in repository.files("refs/pr/1")
    refused(publish(folder, REPO, "--create-pr", "--revision", "x"), "does not go with --revision x")
    assert publish(folder, REPO, "--create-pr", "--revision", "main", "--dry-run").exit_code == 0


def test_private(folder: Path, hub: HubServer) -> None:
    assert publish(folder, REPO, "--private").exit_code == 0
    assert hub.repositories[REPO].private
    hub.add("someone/public")
    refused(publish(folder, "someone/public", "--private"), "is there already, and public")
    assert "config.json" not in hub.repositories["someone/public"].files()


def test_a_name_alone_is_ones_own(folder: Path, hub: HubServer) -> None:
    assert publish(folder, "some-model").exit_code == 0
    assert b"someone/some-model" in hub.repositories[REPO].files()["README.md"].content


def test_nothing_is_committed_over_the_work_of_others(folder: Path, hub: HubServer) -> None:
    repository = hub.add(REPO)
    hub.before_commit = lambda: repository.commit("main", {**repository.files()}, "somebody else's")
    refused(publish(folder, REPO), "Somebody else changes the repository", "Nothing was committed")
    assert repository.messages[-1] == "somebody else's"
    assert publish(folder, REPO).exit_code == 0


def test_what_the_hub_does_not_show_as_sent_is_said(
    folder: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = hub.add(REPO, {"README.md": b"# Written by hand\n"})
    commit = repository.commit

    def lossy(branch: str, files: dict[str, StoredFile], message: str) -> str:
        shown = {name: file for name, file in files.items() if name != "masking_videomae_v2.py"}
        return commit(branch, {**shown, "config.json": StoredFile(b"{}")}, message)

    monkeypatch.setattr(repository, "commit", lossy)
    refused(publish(folder, REPO), "does not show config.json, masking_videomae_v2.py as sent. Look at it.")


@pytest.mark.parametrize(
    ("token", "parts"),
    [
        (None, ("no access token", "hf auth login")),
        ("hf_" + "x" * 34, ("does not accept the access token",)),
        (READ_TOKEN, ("may only read",)),
    ],
)
def test_tokens_that_will_not_do(
    folder: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch, token: str | None, parts: tuple[str, ...]
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    refused(publish(folder, REPO), *parts)
    assert not hub.repositories


@pytest.mark.parametrize("name", ["a/b/c", "someone/with space", "someone/-x", "someone/a--b", ""])
def test_names_that_the_hub_does_not_accept(folder: Path, hub: HubServer, name: str) -> None:
    refused(publish(folder, name), "is no name of a repository")
    assert not hub.log


def test_the_name_space_of_others(folder: Path, hub: HubServer) -> None:
    refused(publish(folder, "others/model"), "may not write there", "namespace 'others'")


def test_no_network(folder: Path, hub: HubServer, checked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:1")
    refused(publish(folder, REPO), "http://127.0.0.1:1 cannot be reached", "HF_ENDPOINT")
    assert not checked
    result = publish(folder, REPO, "--dry-run")
    refused(result, "The files are checked, but not compared with the Hub", "cannot be reached")
    assert state(result, "config.json") == "not compared"
    assert checked == ["VideoMAEv2ForVideoClassification"]


def test_a_hub_without_xet(folder: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", False)
    refused(publish(folder, REPO), "xet-write-token", "HF_HUB_DISABLE_XET=1 sends them by plain HTTP")


def test_offline(folder: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    refused(publish(folder, REPO), "HF_HUB_OFFLINE is set")


def test_a_card_that_the_hub_refuses(folder: Path, hub: HubServer) -> None:
    (folder / "README.md").write_text("---\nlicense: mit\npipeline_tag: dancing\n---\n\n# Mine\n")
    refused(publish(folder, REPO), "Invalid metadata in README.md", "pipeline_tag: dancing")
    assert "config.json" not in hub.repositories[REPO].files()


class TransportError(Exception):
    """As the HTTP clients call theirs, and without a word."""


def http_error(status: int, kind: type[HfHubHTTPError] = HfHubHTTPError) -> HfHubHTTPError:
    return kind("No", response=Mock(status_code=status, headers={}))  # of whichever HTTP client


def caused_by(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (http_error(400), OSError, r"refuses \(400\): No$"),
        (http_error(403), PermissionError, "may not write there: No"),
        (http_error(412), OSError, "Somebody else .* Run the same command again"),
        (http_error(429), ConnectionError, r"does not answer as it should \(429: No\)\. Run the same command again"),
        (http_error(500), ConnectionError, r"does not answer as it should \(500: No\)\. Run the same command again"),
        (http_error(404, RepositoryNotFoundError), FileNotFoundError, "does not show the repository or branch: No"),
        (http_error(404, RevisionNotFoundError), FileNotFoundError, "does not show the repository or branch: No"),
        (ConnectionError("No"), ConnectionError, r"broke: No\. Run the same command again: [^.]*twice\.$"),
        (caused_by(RuntimeError("No"), TransportError()), ConnectionError, r"broke: No\. Run the same command again"),
        (OSError("No"), OSError, "^No$"),
        (ValueError("No"), ValueError, "^No$"),
        (TransportError(), ConnectionError, r"cannot be reached: TransportError\. Check the network"),
        (json.JSONDecodeError("No", "", 0), ConnectionError, "does not answer as a Hub does"),
        (RuntimeError("No"), OSError, r"The upload failed: No\. Run the same command again"),
        (ZeroDivisionError("No"), ZeroDivisionError, "No"),
    ],
)
def test_what_goes_wrong_on_the_hub_is_said(error: Exception, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said) as found, hub_errors(HfApi(), sending=True):
        raise error
    assert type(found.value) is kind


def test_a_folder_that_is_wrong_is_said_before_anything_is_sent(folder: Path, hub: HubServer) -> None:
    change_json(folder / "config.json", num_hidden_layers=3)
    refused(publish(folder, REPO), f"The weights of {folder} do not fit VideoMAEv2ForVideoClassification")
    refused(publish(folder.parent / "nowhere", REPO), "There is no folder")
    assert not hub.log
