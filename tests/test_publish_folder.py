# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What is put together to be published: everything that a user needs, nothing private, and clear words for the rest."""

import importlib.metadata
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub import ModelCard
from published_models import CLASS_NAMES, change_json, save_model
from safetensors.torch import load_file, save_file

from modeling_videomae_v2 import VideoMAEv2ForPreTraining, VideoMAEv2ForVideoClassification, VideoMAEv2Model
from modeling_videomae_v2.modeling_videomae_v2 import AUTO_MAP
from modeling_videomae_v2.publishing import staging
from modeling_videomae_v2.publishing.checks import check_finite
from modeling_videomae_v2.publishing.staging import StagedRepository, stage_repository


CODE = {"configuration_videomae_v2.py", "modeling_videomae_v2.py", "video_processing_videomae_v2.py"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("saved"))


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return shutil.copytree(saved, tmp_path / "model")


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    (tmp_path / "staged").mkdir()
    return tmp_path / "staged"


def stage(folder: Path, staged: Path, **options: object) -> StagedRepository:
    return stage_repository(folder, staged, "someone/some-model", **options)


def test_everything_that_a_repository_needs(folder: Path, staged: Path) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    repository = stage(folder, staged)
    wanted = {
        "config.json",
        "model.safetensors",
        "video_preprocessor_config.json",
        "README.md",
        "LICENSE",
        "LICENSE-CODE",
    }
    assert wanted | CODE <= set(repository.files)
    config = json.loads((staged / "config.json").read_text())
    assert set(config["auto_map"]) == {
        "AutoConfig", "AutoModel", "AutoModelForPreTraining", "AutoModelForVideoClassification"
    }  # fmt: skip
    assert list(config["id2label"].values()) == CLASS_NAMES
    assert "AutoVideoProcessor" in json.loads((staged / "video_preprocessor_config.json").read_text())["auto_map"]
    assert (staged / "model.safetensors").read_bytes() == before["model.safetensors"]
    assert "Apache License" in (staged / "LICENSE-CODE").read_text()
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_a_card_is_made_where_there_is_none(folder: Path, staged: Path) -> None:
    repository = stage(folder, staged)
    card = ModelCard.load(staged / "README.md")
    assert (card.data.license, card.data.pipeline_tag) == ("cc-by-nc-4.0", "video-classification")
    assert "someone/some-model" in card.text
    assert "| Classes | 5 |" in card.text
    parameters = sum(tensor.numel() for tensor in load_file(folder / "model.safetensors").values())
    assert f"| Parameters | {parameters:,} |" in card.text
    assert "\n# some-model\n" in card.text
    for name in ("README.md", "LICENSE", "LICENSE-CODE"):
        assert b"\r" not in (staged / name).read_bytes()  # also not on Windows
    assert "cc-by-nc-4.0" in "".join(repository.notes)
    assert "Attribution-NonCommercial" in (staged / "LICENSE").read_text()


@pytest.mark.parametrize(
    ("problem", "names_one"),
    [(None, True), ("single_label_classification", True), ("multi_label_classification", False), ("regression", False)],
)
def test_the_card_says_one_class_of_models_that_name_one(
    folder: Path, staged: Path, problem: str | None, names_one: bool
) -> None:
    change_json(folder / "config.json", problem_type=problem)
    stage(folder, staged)
    assert ("It always names one of its classes" in (staged / "README.md").read_text()) == names_one


def test_own_card_and_licence_are_sent_as_they_are(folder: Path, staged: Path) -> None:
    (folder / "README.md").write_text("---\nlicense: openrail\n---\n# Mine\n")
    (folder / "LICENSE.txt").write_text("My terms.\n")
    repository = stage(folder, staged)
    assert (staged / "README.md").read_text().endswith("# Mine\n")
    assert (staged / "LICENSE.txt").read_text() == "My terms.\n"
    assert "LICENSE" not in repository.files
    assert not repository.written


def test_what_is_included_takes_no_place_of_what_is_written(folder: Path, staged: Path) -> None:
    """A link put there first would lead the text of the licence into the model's folder."""
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Mine\n")
    (folder / "LICENSE-CODE").write_text("mine")
    (folder / ".env").write_text("x")
    repository = stage(folder, staged, include=["*"])
    assert ".env" not in repository.files
    assert (staged / "README.md").read_text().endswith("# Mine\n")
    assert "Apache License" in (staged / "LICENSE-CODE").read_text()
    assert (folder / "LICENSE-CODE").read_text() == "mine"


def test_a_relative_path_is_linked(folder: Path, staged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    stage(Path(folder.name), staged)
    assert (staged / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()


def test_a_processor_that_does_not_fit_the_model_is_said(folder: Path, staged: Path) -> None:
    assert not any("The video processor" in note for note in stage(folder, staged).notes)
    crop = {"height": 16, "width": 32}
    change_json(folder / "video_preprocessor_config.json", crop_size=crop, num_frames=6)
    (staged.parent / "other").mkdir()
    notes = stage(folder, staged.parent / "other").notes
    assert "The video processor crops to (16, 32), the model is made for (16, 16)." in notes
    assert "The video processor takes 6 frames, the model is made for 4." in notes


def test_a_processor_without_a_size_to_crop_to(folder: Path, staged: Path) -> None:
    settings = json.loads((folder / "video_preprocessor_config.json").read_text())
    settings |= {"crop_size": None, "do_center_crop": False}
    (folder / "video_preprocessor_config.json").write_text(json.dumps(settings))
    assert "crops to" not in "".join(stage(folder, staged).notes)


def test_a_processor_that_samples_by_time_has_no_number_of_frames_to_fit(folder: Path, staged: Path) -> None:
    change_json(folder / "video_preprocessor_config.json", fps=4.0, num_frames=16)
    assert "takes" not in "".join(stage(folder, staged).notes)


def test_a_processor_by_its_older_name(folder: Path, staged: Path) -> None:
    (folder / "video_preprocessor_config.json").rename(folder / "preprocessor_config.json")
    repository = stage(folder, staged)
    assert "video_preprocessor_config.json" in repository.files
    assert not any("Not sent" in note for note in repository.notes)


def test_a_disk_without_links_gets_copies(folder: Path, staged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("links are not supported")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    assert stage(folder, staged).model.parameters > 0
    assert (staged / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert not (staged / "model.safetensors").is_symlink()


@pytest.mark.parametrize("installed", [True, False])
def test_the_licence_of_the_code_comes_from_where_it_is(
    folder: Path, staged: Path, installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def distribution(name: str) -> SimpleNamespace:
        if not installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return SimpleNamespace(files=[Path("METADATA"), Path("LICENSE")], locate_file=lambda name: staged.parent / name)

    (staged.parent / "LICENSE").write_text("Apache License, the whole of it\n")
    monkeypatch.setattr(staging, "__file__", str(staged.parent / "no" / "checkout" / "there" / "staging.py"))
    monkeypatch.setattr(importlib.metadata, "distribution", distribution)
    stage(folder, staged)
    assert (
        (staged / "LICENSE-CODE")
        .read_text()
        .startswith("Apache License, the whole" if installed else "Apache License 2.0\nhttps://")
    )


@pytest.mark.parametrize("name", ["notes.json", "config.json", "video_preprocessor_config.json"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", r"Expecting property name .*\."),
        (b"[" * 100_000, "maximum recursion|Stack overflow"),  # the latter from Python 3.14 on
        (b'{"a": "\xff"}', "'utf-8' codec"),
    ],
)
def test_a_json_file_that_is_none_is_named(folder: Path, staged: Path, name: str, content: bytes, words: str) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{re.escape(name)} is not valid JSON: ({words})"):
        stage(folder, staged, include=["*.json"])


@pytest.mark.parametrize("pattern", ["**/*.txt", "notes/**"])
def test_only_what_belongs_to_the_model_is_sent(folder: Path, staged: Path, pattern: str) -> None:
    hidden = (".env", ".git/plan.txt", "__pycache__/plan.txt")
    for name in ("optimizer.pt", "metrics.jsonl", "notes/plan.txt", *hidden):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")
    repository = stage(folder, staged, include=[pattern])
    assert "notes/plan.txt" in repository.files
    assert not {"optimizer.pt", "metrics.jsonl", *hidden} & set(repository.files)
    assert "Not sent: metrics.jsonl, optimizer.pt (--include PATTERN sends more)." in repository.notes


def test_the_installed_code_is_sent_and_a_difference_is_said(folder: Path, staged: Path) -> None:
    (folder / "modeling_videomae_v2.py").write_text("raise SystemExit\n")
    change_json(folder / "config.json", auto_map={"AutoModel": "someone/else--their_code.Model"})
    repository = stage(folder, staged)
    assert json.loads((staged / "config.json").read_text())["auto_map"] == AUTO_MAP
    assert "class VideoMAEv2Model" in (staged / "modeling_videomae_v2.py").read_text()
    assert any("modeling_videomae_v2.py of the folder differ" in note for note in repository.notes)


def test_name_or_path_is_taken_out(folder: Path, staged: Path) -> None:
    change_json(folder / "config.json", _name_or_path="/home/me/secret-project/run 7")
    repository = stage(folder, staged)
    assert "secret-project" not in (staged / "config.json").read_text()
    assert any("_name_or_path" in note for note in repository.notes)


def test_labels_from_a_file(folder: Path, staged: Path, tmp_path: Path) -> None:
    change_json(folder / "config.json", id2label={str(i): f"LABEL_{i}" for i in reversed(range(5))}, label2id=None)
    assert any("have no names" in note for note in stage(folder, staged).notes)
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\ne\n")
    other = tmp_path / "other"
    other.mkdir()
    stage(folder, other, labels=tmp_path / "labels.txt")
    config = json.loads((other / "config.json").read_text())
    assert config["id2label"] == dict(zip("01234", "abcde"))
    assert config["label2id"] == dict(zip("abcde", range(5)))
    (tmp_path / "labels.txt").write_text("a\nb\n")
    with pytest.raises(ValueError, match="--labels names 2 classes, but the head of the model has 5"):
        stage(folder, other, labels=tmp_path / "labels.txt")


@pytest.mark.parametrize(("model_class", "tag"), [(VideoMAEv2ForPreTraining, "Masks"), (VideoMAEv2Model, "encoder")])
def test_models_without_classes(tmp_path: Path, staged: Path, model_class: type, tag: str) -> None:
    folder = save_model(tmp_path / "model", model_class, shards=True)
    change_json(folder / "config.json", id2label=None, label2id=None)
    repository = stage(folder, staged)
    assert not any("no names" in note for note in repository.notes)
    assert sum(name.endswith(".safetensors") for name in repository.files) > 1
    card = ModelCard.load(staged / "README.md")
    assert card.data.pipeline_tag == "feature-extraction"
    assert tag in card.text
    assert "classes" not in card.text.split("## Use")[0]


def _pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _cut_short(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])


def _foreign(folder: Path) -> None:
    change_json(folder / "config.json", model_type="videomae")


def _no_processor(folder: Path) -> None:
    (folder / "video_preprocessor_config.json").unlink()


def _too_few_names(folder: Path) -> None:
    change_json(folder / "config.json", id2label={"0": "a", "1": "b", "2": "c"}, label2id=None)


def _no_names_at_all(folder: Path) -> None:
    change_json(folder / "config.json", id2label=None, label2id=None)


def _same_name_twice(folder: Path) -> None:
    change_json(folder / "config.json", id2label=dict(zip("01234", "abbcd")), label2id=None)


def _gap_in_the_classes(folder: Path) -> None:
    change_json(folder / "config.json", id2label=dict(zip("01235", "abcde")), label2id=None)


def _other_depth(folder: Path) -> None:
    change_json(folder / "config.json", num_hidden_layers=3)


def _impossible(folder: Path) -> None:
    change_json(folder / "config.json", num_attention_heads=7)


def _local_path(folder: Path) -> None:
    change_json(folder / "config.json", teacher="/mnt/data/teacher")


def _token_in_the_card(folder: Path) -> None:
    (folder / "README.md").write_text("---\nlicense: mit\n---\nUse hf_" + "a" * 34 + "\n")


def _address_with_a_password(folder: Path) -> None:
    change_json(folder / "config.json", sources=[{"url": "https://me:secret@example.com/data"}])


def _local_path_in_a_list(folder: Path) -> None:
    change_json(folder / "config.json", teachers=["base", {"file": "C:\\models\\teacher"}])


def _local_address(folder: Path) -> None:
    change_json(folder / "config.json", teacher="file:///srv/teacher")


def _broken_front_matter(folder: Path) -> None:
    (folder / "README.md").write_text("---\nlicense: [mit\n---\n# Mine\n")


def _broken_processor(folder: Path) -> None:
    change_json(folder / "video_preprocessor_config.json", sampling="sometimes")


def _list_of_settings(folder: Path) -> None:
    (folder / "video_preprocessor_config.json").write_text("[]")


def _folder_of_a_run(folder: Path) -> None:
    files = list(folder.iterdir())
    (folder / "model").mkdir()
    for file in files:
        file.rename(folder / "model" / file.name)


def _adapter(folder: Path) -> None:
    (folder / "config.json").rename(folder / "adapter_config.json")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (shutil.rmtree, "There is no folder"),
        (lambda folder: (folder / "config.json").unlink(), "is not a model: it has no config.json"),
        (_folder_of_a_run, "is not a model: .* The training run left its model in .*model/model"),
        (_list_of_settings, "video_preprocessor_config.json must hold a JSON object, not list"),
        (_adapter, "is an adapter, not a whole model"),
        (_foreign, "`model_type` 'videomae', not 'videomae_v2'.*videomae-v2 convert"),
        (lambda folder: change_json(folder / "config.json", architectures=None), "one of VideoMAEv2Model"),
        (lambda folder: change_json(folder / "config.json", architectures=5), "`architectures`, got 5"),
        (lambda folder: change_json(folder / "config.json", architectures=[[]]), r"`architectures`, got \[\[\]\]"),
        (lambda folder: (folder / "model.safetensors").unlink(), "has no weights in model.safetensors"),
        (_pickled, "pytorch_model.bin, which may run code"),
        (_cut_short, "model.safetensors is no whole safetensors file"),
        (_no_processor, "has no video processor"),
        (_broken_processor, "video processor in .* cannot be read: `sampling`"),
        (_too_few_names, "names 3 classes, but the head of the model has 5.*--labels"),
        (lambda folder: change_json(folder / "config.json", id2label=None, num_labels="x"), "`num_labels` must be a"),
        (
            lambda folder: change_json(folder / "config.json", num_labels=7),  # and five names
            r"classifier\.bias: \(5,\) in the checkpoint, \(7,\) in the model",
        ),
        (_no_names_at_all, "names 2 classes, but the head of the model has 5"),
        (_same_name_twice, "several classes the same name: b"),
        (_gap_in_the_classes, "without a gap"),
        (_other_depth, r"(?s)weights of .* do not fit VideoMAEv2.*: not in the checkpoint\n  and .*Take the config"),
        (lambda folder: change_json(folder / "config.json", num_hidden_layers=1), r"layers\.1\.\S+: not in the model"),
        (
            lambda folder: change_json(folder / "config.json", intermediate_size=38),
            r"fc1\.weight: \(37, 32\) in the checkpoint, \(38, 32\) in the model",
        ),
        (_impossible, "config.json: .*num_attention_heads"),
        (_local_path, "`teacher` holds a path of this machine, '/mnt/data/teacher'"),
        (_local_path_in_a_list, r"`teachers\[1\]\.file` holds a path of this machine"),
        (lambda folder: change_json(folder / "config.json", teacher="~/data"), "`teacher` holds a path"),
        (lambda folder: change_json(folder / "config.json", teacher="\\\\server\\share"), "`teacher` holds a path"),
        (_local_address, "`teacher` holds a path of this machine, 'file:///srv/teacher'"),
        (_address_with_a_password, "config.json, line .* holds what looks like an access key or password"),
        (_token_in_the_card, "README.md, line 4 holds what looks like an access key"),
        (
            lambda folder: (folder / "README.md").write_text("---\ntags: 5\n---\n"),
            "front matter of .*README.md is not what the Hub accepts: 'int'",
        ),
        (_broken_front_matter, "front matter of .*README.md is not what the Hub accepts"),
    ],
)
def test_a_folder_that_cannot_be_published(
    folder: Path, staged: Path, spoil: Callable[[Path], object], words: str
) -> None:
    spoil(folder)
    with pytest.raises((ValueError, FileNotFoundError), match=f"(?s){words}"):
        stage(folder, staged)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"licence": "proprietary"}, "licence 'proprietary' is none of apache-2.0"),
        ({"include": ["../*"]}, "pattern of names inside"),
        ({"include": ["/*"]}, "pattern of names inside"),
        ({"include": ["."]}, "'.' must be a pattern of names inside"),
        ({"include": [""]}, "'' must be a pattern of names inside"),
        ({"include": ["**x"]}, r"'\*\*x' is no pattern of names"),
        ({"include": ["notes/***/x"]}, r"'notes/\*\*\*/x' is no pattern of names"),
        ({"include": ["*.png"]}, "fits no file"),
        ({"labels": "nowhere.txt"}, "no label file nowhere.txt"),
    ],
)
def test_options_that_do_not_fit(folder: Path, staged: Path, options: dict[str, object], words: str) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        stage(folder, staged, **options)


def test_licence_of_card_and_option_must_agree(folder: Path, staged: Path) -> None:
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Mine\n")
    with pytest.raises(ValueError, match=r"says `license: mit`, --license says apache-2\.0"):
        stage(folder, staged, licence="apache-2.0")
    (staged.parent / "other").mkdir()
    repository = stage(folder, staged.parent / "other", licence="mit")
    assert "Weights: MIT License" in (repository.path / "LICENSE").read_text()
    (folder / "README.md").unlink()
    (staged.parent / "third").mkdir()
    assert not any(
        "Licence of the weights" in note for note in stage(folder, staged.parent / "third", licence="mit").notes
    )


def test_the_licence_of_the_card_is_that_of_the_weights(folder: Path, staged: Path) -> None:
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# Mine\n")
    repository = stage(folder, staged)
    assert "Weights: MIT License" in (staged / "LICENSE").read_text()
    assert repository.written == {"LICENSE"}
    assert not any("icence" in note for note in repository.notes)


@pytest.mark.parametrize("stated", ["", "license: [mit, other]\n"])
def test_a_card_without_a_licence_is_said(folder: Path, staged: Path, stated: str) -> None:
    (folder / "README.md").write_text(f"---\ntags: [video]\n{stated}---\n# Mine\n")
    notes = stage(folder, staged).notes
    assert "README.md states no licence: add `license: cc-by-nc-4.0` to its front matter." in notes


@pytest.mark.parametrize("name", ["README.md", "LICENSE.txt"])
def test_a_licence_that_is_not_known_needs_its_text_and_a_card(folder: Path, staged: Path, name: str) -> None:
    (folder / name).write_text("---\nlicense: openrail\n---\n# Mine\n")
    with pytest.raises(ValueError, match="licence 'openrail' is none of"):
        stage(folder, staged, licence="openrail")


def test_labels_are_for_models_with_classes(tmp_path: Path, staged: Path) -> None:
    (tmp_path / "labels.txt").write_text("a\nb\n")
    folder = save_model(tmp_path / "model", VideoMAEv2Model)
    with pytest.raises(ValueError, match=r"has no classes .*leave out --labels"):
        stage(folder, staged, labels=tmp_path / "labels.txt")


@pytest.mark.parametrize(
    "secret",
    [
        "AKIA" + "A1" * 8, "-----BEGIN RSA PRIVATE KEY-----", "ghp_" + "a1" * 18, "github_pat_" + "a1" * 11 + "_" * 60,
        "sk-" + "a1" * 16, "AIza" + "a1-_b" * 7,
    ],
)  # fmt: skip
def test_access_keys_of_other_services(folder: Path, staged: Path, secret: str) -> None:
    (folder / "notes").mkdir()
    (folder / "notes" / "plan.txt").write_text(f"line 1\n{secret}\n")
    with pytest.raises(ValueError, match=r"notes/plan\.txt, line 2 holds"):
        stage(folder, staged, include=["**/*.txt"])


def test_a_class_may_be_called_like_a_path_and_a_picture_is_no_text(folder: Path, staged: Path) -> None:
    change_json(folder / "config.json", id2label=dict(zip("01234", ["/a/b", "c", "d", "e", "f"])), label2id=None)
    (folder / "picture.png").write_bytes(b"\x89PNG\xff")
    assert "picture.png" in stage(folder, staged, include=["*.png"]).files


def test_a_whole_model_may_have_had_an_adapter(folder: Path, staged: Path) -> None:
    (folder / "adapter_config.json").write_text("{}")
    assert "config.json" in stage(folder, staged).files


def test_shards_and_their_index_must_agree(tmp_path: Path, staged: Path) -> None:
    folder = save_model(tmp_path / "model", shards=True)
    index = folder / "model.safetensors.index.json"
    weight_map = json.loads(index.read_text())["weight_map"]
    change_json(index, weight_map={**weight_map, "extra": "model-00001-of-00002.safetensors"})
    with pytest.raises(ValueError, match="does not list what the weight files hold: extra"):
        stage(folder, staged)
    for nothing in ({}, [5], "x"):
        change_json(index, weight_map=nothing)
        with pytest.raises(ValueError, match="has no `weight_map`"):
            stage(folder, staged)
    change_json(index, weight_map=weight_map, metadata={"made_from": "/mnt/data/teacher"})
    with pytest.raises(ValueError, match=r"`metadata\.made_from` holds a path of this machine"):
        stage(folder, staged)
    shards = sorted(folder.glob("*.safetensors"))
    save_file(load_file(shards[0]) | load_file(shards[1]), shards[1], {"format": "pt"})
    with pytest.raises(ValueError, match="stands in two weight files"):
        stage(folder, staged)


def test_an_index_that_transformers_cannot_read_is_refused(tmp_path: Path, staged: Path) -> None:
    folder = save_model(tmp_path / "model", shards=True)
    index = folder / "model.safetensors.index.json"
    content = json.loads(index.read_text())
    del content["metadata"]
    index.write_text(json.dumps(content))
    with pytest.raises(KeyError, match="metadata"):  # else the refusal would be one too many
        VideoMAEv2ForVideoClassification.from_pretrained(folder)
    with pytest.raises(ValueError, match=r"model\.safetensors\.index\.json has no `metadata`"):
        stage(folder, staged)


def test_a_missing_shard_is_named(tmp_path: Path, staged: Path) -> None:
    folder = save_model(tmp_path / "model", shards=True)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks model-00002-of-00002\.safetensors, which model\."):
        stage(folder, staged)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../model.safetensors", "not in its own folder, such as '../model.safetensors'"),
        ("model.bin", "no safetensors files beside it"),
        (5, "it has no `weight_map`, or none that names a file for each weight"),
    ],
)
def test_an_index_cannot_name_files_elsewhere(tmp_path: Path, staged: Path, name: str | int, words: str) -> None:
    folder = save_model(tmp_path / "model", shards=True)
    change_json(folder / "model.safetensors.index.json", weight_map={"x": name, "y": "y.safetensors"})
    with pytest.raises(ValueError, match=re.escape(words)):
        stage(folder, staged)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_named(folder: Path, staged: Path, value: float) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["classifier.bias"][1] = value
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"1 of \d+ weights hold NaN or infinity: classifier\.bias"):
        check_finite(stage(folder, staged).model)
