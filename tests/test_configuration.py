# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The configuration: fields and presets, what it refuses, and the contract of every transformers configuration."""

import copy
import json
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import tiny_config
from transformers import AutoConfig

from modeling_videomae_v2 import VideoMAEv2Config, VideoMAEv2ForVideoClassification


PRESET_PARAMETERS = {
    "small": 22_153_286,
    "base": 86_773_190,
    "large": 304_588_486,
    "huge": 632_516_550,
    "giant": 1_012_611_142,
}

DEFAULTS = {
    "image_size": 224,
    "patch_size": 16,
    "num_channels": 3,
    "num_frames": 16,
    "tubelet_size": 2,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-6,
    "use_mean_pooling": True,
    "decoder_hidden_size": 384,
    "decoder_num_hidden_layers": 4,
    "decoder_num_attention_heads": 6,
    "decoder_intermediate_size": 1536,
    "norm_pix_loss": True,
    "qkv_bias": True,
    "drop_path_rate": 0.0,
    "classifier_dropout": None,
    "layer_scale_init_value": 0.0,
    "mask_type": "tube",
    "mask_ratio": 0.9,
    "decoder_mask_type": "running_cell",
    "decoder_mask_ratio": 0.5,
    "decoder_loss_on": "invisible",
}

# What configurations of any transformers model accept, in this major version and in files of earlier ones.
COMMON = {
    "return_dict": False,
    "output_hidden_states": True,
    "output_attentions": True,
    "chunk_size_feed_forward": 5,
    "architectures": ["SomeModel"],
    "id2label": {0: "label"},
    "label2id": {"label": "0"},
    "problem_type": "regression",
    "tie_word_embeddings": False,
}
LEGACY = {
    "torchscript": True,
    "tf_legacy_loss": True,
    "use_bfloat16": True,
    "pruned_heads": {"a": 1},
    "is_decoder": False,
    "cross_attention_hidden_size": 128,
    "add_cross_attention": True,
    "tie_encoder_decoder": True,
    "finetuning_task": "classification",
    "tokenizer_class": "SomeTokenizer",
    "prefix": "prefix",
    "bos_token_id": 6,
    "pad_token_id": 7,
    "eos_token_id": 8,
    "sep_token_id": 9,
    "decoder_start_token_id": 10,
    "task_specific_params": {"classification": "some"},
}


def write_json(folder: Path, **values: Any) -> Path:
    """A folder with a `config.json` of exactly these values."""
    (folder / "config.json").write_text(json.dumps(values))
    return folder


# ---- fields and presets


def test_defaults_are_vit_b():
    config = VideoMAEv2Config()
    assert {name: getattr(config, name) for name in DEFAULTS} == DEFAULTS
    assert config.model_type == "videomae_v2"
    assert VideoMAEv2Config.from_preset("base").to_dict() == config.to_dict()
    assert config.grid_size == (8, 14, 14)


@pytest.mark.parametrize("name", PRESET_PARAMETERS)
def test_preset_has_the_published_number_of_parameters(name: str):
    config = VideoMAEv2Config.from_preset(name, num_labels=710)
    with torch.device("meta"):
        model = VideoMAEv2ForVideoClassification(config)
    assert model.num_parameters() == PRESET_PARAMETERS[name]


def test_preset_decoders():
    decoders = {
        name: tuple(
            getattr(VideoMAEv2Config.from_preset(name), f"decoder_{field}")
            for field in ("hidden_size", "num_attention_heads", "intermediate_size", "num_hidden_layers")
        )
        for name in PRESET_PARAMETERS
    }
    assert decoders == {
        "small": (192, 3, 768, 4),
        "base": (384, 6, 1536, 4),
        "large": (512, 8, 2048, 4),
        "huge": (512, 8, 2048, 4),
        "giant": (512, 8, 2234, 4),
    }


def test_preset_overrides():
    config = VideoMAEv2Config.from_preset("giant", image_size=266, num_frames=8, decoder_mask_type=None)
    assert (config.hidden_size, config.patch_size, config.decoder_mask_type) == (1408, 14, None)
    assert config.grid_size == (4, 19, 19)  # odd, hence not maskable by running cells, yet a fine classifier


def test_unknown_preset_is_refused():
    with pytest.raises(ValueError, match=r"gigantic.*small, base, large, huge, giant"):
        VideoMAEv2Config.from_preset("gigantic")


# ---- what is refused: each message names the field and its value


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"hidden_size": 100}, ("`hidden_size`", "100", "`num_attention_heads`", "12", "96")),
        ({"num_attention_heads": 7}, ("`hidden_size`", "768", "`num_attention_heads`", "7")),
        ({"decoder_num_attention_heads": 5}, ("`decoder_hidden_size`", "384", "`decoder_num_attention_heads`", "5")),
        ({"num_frames": 15}, ("`num_frames`", "15", "`tubelet_size`", "2", "14")),
        ({"image_size": 225}, ("`image_size`", "225", "`patch_size`", "16", "224")),
        ({"patch_size": 0}, ("`patch_size`", "0", "1")),
        ({"tubelet_size": 0}, ("`tubelet_size`", "0", "1")),
        ({"num_attention_heads": 0}, ("`num_attention_heads`", "0", "1")),
        ({"num_channels": -3}, ("`num_channels`", "-3")),
        ({"num_hidden_layers": -1}, ("`num_hidden_layers`", "-1")),
        ({"decoder_hidden_size": 0}, ("`decoder_hidden_size`", "0")),
        ({"mask_ratio": 1.0}, ("`mask_ratio`", "1.0", "[0, 1)")),
        ({"mask_ratio": -0.1}, ("`mask_ratio`", "-0.1", "[0, 1)")),
        ({"mask_ratio": float("nan")}, ("`mask_ratio`", "nan", "[0, 1)")),
        ({"decoder_mask_ratio": 1}, ("`decoder_mask_ratio`", "1", "[0, 1)")),
        ({"decoder_mask_ratio": 0.6}, ("`decoder_mask_ratio`", "0.6", "0.25, 0.5 or 0.75")),
        ({"mask_type": "running_cell"}, ("`mask_ratio`", "0.9", "0.25, 0.5 or 0.75")),
        ({"mask_type": "cube"}, ("`mask_type`", "'cube'", "'tube'", "'running_cell'", "'random'", "'frame'")),
        ({"decoder_mask_type": "cell"}, ("`decoder_mask_type`", "'cell'", "'running_cell'", "None")),
        ({"decoder_loss_on": "visible"}, ("`decoder_loss_on`", "'visible'", "'invisible'", "'all'")),
        ({"hidden_dropout_prob": 1.5}, ("`hidden_dropout_prob`", "1.5")),
        ({"attention_probs_dropout_prob": -1}, ("`attention_probs_dropout_prob`", "-1")),
        ({"drop_path_rate": 1.0}, ("`drop_path_rate`", "1.0")),
        ({"classifier_dropout": 2.0}, ("`classifier_dropout`", "2.0")),
        ({"layer_norm_eps": -1e-6}, ("`layer_norm_eps`", "-1e-06")),
        ({"layer_scale_init_value": -0.1}, ("`layer_scale_init_value`", "-0.1")),
        ({"hidden_act": "gleu"}, ("`hidden_act`", "'gleu'")),
        ({"patch_size": 1, "tubelet_size": 1}, ("`norm_pix_loss`", "a single pixel", "False")),
        ({"mask_ratio": 0.0}, ("`mask_ratio`", "0.0", "`decoder_loss_on`")),
        ({"problem_type": "multi_label"}, ("`problem_type`", "'multi_label'", "did you mean 'multi_label_")),
        ({"dtype": "float99"}, ("`dtype`", "'float99'")),
        ({"num_labels": 0}, ("`num_labels`", "0")),
        ({"num_labels": "5"}, ("`num_labels`", "'5'")),
        ({"id2label": {}}, ("`id2label`", "no class")),
        ({"id2label": ["run", "swim"]}, ("`id2label`", "list", "dict(enumerate(names))")),
        ({"id2label": {0: "run", 2: "swim"}}, ("`id2label`", "0, 2", "without a gap")),
        ({"id2label": {"run": 0}}, ("`id2label`", "the ids run")),
    ],
)
def test_inconsistent_value_is_refused(values: dict[str, Any], words: tuple[str, ...]):
    with pytest.raises(ValueError) as error:
        VideoMAEv2Config(**values)
    assert [word for word in words if word not in str(error.value)] == []


@pytest.mark.parametrize(
    ("name", "value", "choices", "hint"),
    [
        ("problem_type", "multi_label", "None, 'regression', ", "; did you mean 'multi_label_classification'?"),
        ("mask_type", "tubes", "'tube', ", "; did you mean 'tube'?"),
        ("decoder_mask_type", "none", "None, 'tube', ", "."),
        ("decoder_loss_on", "invisble", "'invisible', 'all'", "; did you mean 'invisible'?"),
    ],
)
def test_a_word_that_is_set_later_is_checked(name: str, value: str, choices: str, hint: str):
    """A model that has been built asks its configuration at every pass."""
    config = VideoMAEv2Config()
    before = getattr(config, name)
    with pytest.raises(ValueError) as error:
        setattr(config, name, value)
    assert str(error.value).startswith(f"`{name}` must be one of {choices}")
    assert str(error.value).endswith(f", got {value!r}{hint}")
    assert getattr(config, name) == before


@pytest.mark.parametrize("values", [{"hidden_size": "768"}, {"image_size": (224, 224)}, {"mask_ratio": "0.9"}])
def test_value_of_another_type_is_refused(values: dict[str, Any]):
    name, value = next(iter(values.items()))
    with pytest.raises(ValueError, match=f"`{name}`.* wrong type"):
        VideoMAEv2Config(**values)
    with pytest.raises(ValueError, match=f"`{name}`.* wrong type"):
        setattr(VideoMAEv2Config(), name, value)


def test_a_ratio_of_zero_has_a_use_where_the_loss_is_on_all():
    assert VideoMAEv2Config(mask_ratio=0, decoder_loss_on="all").mask_ratio == 0
    with pytest.raises(ValueError, match="nothing is left to reconstruct"):
        VideoMAEv2Config(mask_ratio=0, decoder_loss_on="all", decoder_mask_type=None)


def test_running_cell_ratio_does_not_matter_without_running_cells():
    config = VideoMAEv2Config(decoder_mask_type=None, decoder_mask_ratio=0.6)
    assert config.decoder_mask_ratio == 0.6
    assert VideoMAEv2Config(decoder_mask_type="random", decoder_mask_ratio=0).decoder_mask_ratio == 0


def test_misspelt_keyword_is_refused_everywhere(tmp_path: Path):
    hint = r"hiden_size.*hidden_size"
    with pytest.raises(ValueError, match=hint):
        VideoMAEv2Config(hiden_size=768)
    with pytest.raises(ValueError, match=hint):
        VideoMAEv2Config.from_preset("base", hiden_size=768)
    with pytest.raises(ValueError, match=hint):
        VideoMAEv2Config.from_dict({"hiden_size": 768})
    write_json(tmp_path, model_type="videomae_v2", hiden_size=768)
    with pytest.raises(ValueError, match=hint):
        VideoMAEv2Config.from_pretrained(tmp_path)
    with pytest.raises(ValueError, match="no field `spam`"):
        VideoMAEv2Config(spam=1)


@pytest.mark.parametrize(
    ("called", "field"), [("num_classes", "num_labels"), ("num_label", "num_labels"), ("depth", "num_hidden_layers")]
)
def test_other_names_of_a_field_are_understood_by_the_error(called: str, field: str, tmp_path: Path):
    tiny_config().save_pretrained(tmp_path)
    for make in (VideoMAEv2Config, partial(VideoMAEv2Config.from_pretrained, tmp_path)):
        with pytest.raises(ValueError, match=f"`{called}`; did you mean `{field}`"):
            make(**{called: 4})


def test_nearly_a_field_is_not_assigned_either():
    config = tiny_config()
    with pytest.raises(ValueError, match="no field `layer_norm_epsilon`; did you mean `layer_norm_eps`"):
        config.layer_norm_epsilon = 1e-5


def test_other_names_that_a_subclass_gives_its_fields_are_assigned() -> None:
    class Ours(VideoMAEv2Config):
        attribute_map = {"layer_norm_epsilon": "layer_norm_eps"}

    config = Ours()
    config.layer_norm_epsilon = 1e-3
    assert config.layer_norm_eps == 1e-3
    assert Ours(layer_norm_epsilon=1e-4).layer_norm_eps == 1e-4


def test_attributes_of_other_names_are_saved(tmp_path: Path):
    config = tiny_config()
    config.trained_by = "us"
    config.save_pretrained(tmp_path)
    assert VideoMAEv2Config.from_pretrained(tmp_path).trained_by == "us"


def test_a_model_may_have_an_argument_of_such_a_name(tmp_path: Path):
    class TwoHeads(VideoMAEv2ForVideoClassification):
        def __init__(self, config: VideoMAEv2Config, num_classes: int = 1) -> None:
            super().__init__(config)
            self.second = torch.nn.Linear(config.hidden_size, num_classes)

    VideoMAEv2ForVideoClassification(tiny_config()).save_pretrained(tmp_path)
    assert TwoHeads.from_pretrained(tmp_path, num_classes=7).second.out_features == 7


def test_misspelt_override_of_from_pretrained_is_refused(tmp_path: Path):
    tiny_config().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"droppath_rate.*drop_path_rate"):
        VideoMAEv2Config.from_pretrained(tmp_path, droppath_rate=0.1)


def test_override_of_from_pretrained_is_checked(tmp_path: Path):
    tiny_config().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"`num_frames` \(5\)"):
        VideoMAEv2Config.from_pretrained(tmp_path, num_frames=5)
    with pytest.raises(ValueError, match=r"`problem_type` 'single_label_classification'.*`num_labels`.*got 1"):
        VideoMAEv2Config.from_pretrained(tmp_path, num_labels=1, problem_type="single_label_classification")


def test_foreign_keys_of_a_file_are_kept(tmp_path: Path):
    write_json(tmp_path, model_type="videomae_v2", hidden_size=24, qlora={"rank": 4}, transformers_version="9.9")
    config = VideoMAEv2Config.from_pretrained(tmp_path)
    assert config.hidden_size == 24
    assert config.qlora == {"rank": 4}
    assert config.to_dict()["qlora"] == {"rank": 4}
    config.save_pretrained(tmp_path / "again")
    assert VideoMAEv2Config.from_pretrained(tmp_path / "again").qlora == {"rank": 4}


# ---- the contract of every transformers configuration


def test_json_string_holds_what_was_passed():
    values = json.loads(tiny_config(hidden_size=36).to_json_string())
    assert values["hidden_size"] == 36
    assert values["model_type"] == "videomae_v2"


def test_json_file_round_trip(tmp_path: Path):
    first = tiny_config(decoder_mask_type=None, classifier_dropout=0.5)
    first.to_json_file(tmp_path / "config.json")
    assert VideoMAEv2Config.from_json_file(tmp_path / "config.json").to_dict() == first.to_dict()


@pytest.mark.parametrize("subfolder", [None, "inner"])
def test_save_and_load(tmp_path: Path, subfolder: str | None):
    first = tiny_config(num_labels=2, id2label={0: "run", 1: "swim"}, label2id={"run": 0, "swim": 1}, dtype="bfloat16")
    first.save_pretrained(tmp_path / subfolder if subfolder else tmp_path)
    where = {"subfolder": subfolder} if subfolder else {}
    second = VideoMAEv2Config.from_pretrained(tmp_path, **where)
    assert second.to_dict() == first.to_dict()
    by_auto_class = AutoConfig.from_pretrained(tmp_path, **where)
    assert type(by_auto_class) is VideoMAEv2Config
    assert by_auto_class.to_json_string() == first.to_json_string()
    assert second.id2label == {0: "run", 1: "swim"}
    with pytest.raises(OSError):
        VideoMAEv2Config.from_pretrained(tmp_path / "nowhere")


def test_from_pretrained_overrides_and_returns_what_is_left(tmp_path: Path):
    tiny_config().save_pretrained(tmp_path)
    config, rest = VideoMAEv2Config.from_pretrained(
        tmp_path, drop_path_rate=0.3, output_attentions=True, num_labels=9, foo=False, return_unused_kwargs=True
    )
    assert (config.drop_path_rate, config.output_attentions, config.num_labels) == (0.3, True, 9)
    assert len(config.id2label) == 9
    assert rest == {"foo": False}


def test_number_of_labels():
    config = tiny_config(num_labels=5)
    assert len(config.id2label) == len(config.label2id) == 5
    config.num_labels = 3
    assert len(config.id2label) == len(config.label2id) == 3


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"num_labels": 3}, True),
        ({"num_labels": 3, "problem_type": "single_label_classification"}, True),
        ({"num_labels": 3, "problem_type": "multi_label_classification"}, False),
        ({"num_labels": 3, "problem_type": "regression"}, False),
        ({"num_labels": 1}, False),
    ],
)
def test_exclusive_classes_follow_from_the_fields_and_are_not_saved(
    values: dict[str, Any], expected: bool, tmp_path: Path
):
    config = tiny_config(**values)
    assert config.has_exclusive_classes is expected
    config.save_pretrained(tmp_path)
    assert "has_exclusive_classes" not in config.to_dict()
    assert "has_exclusive_classes" not in (tmp_path / "config.json").read_text()
    loaded = VideoMAEv2Config.from_pretrained(tmp_path)
    assert loaded.has_exclusive_classes is expected
    loaded.problem_type = "regression"
    assert loaded.has_exclusive_classes is False


def test_auto_config_knows_the_model_type():
    assert type(AutoConfig.for_model("videomae_v2", hidden_size=24)) is VideoMAEv2Config


@pytest.mark.parametrize(("index", "name"), [(0, "hidden_size"), (1, "num_attention_heads"), (2, "num_hidden_layers")])
def test_common_properties_take_small_numbers(index: int, name: str):
    """Transformers' own test writes 0, 1, 2 into these, both by assignment and in the constructor."""
    config = tiny_config()
    setattr(config, name, index)
    assert getattr(config, name) == index
    assert getattr(VideoMAEv2Config(**{name: index}), name) == index


def test_common_keywords_are_accepted():
    config = VideoMAEv2Config(dtype="float16", **copy.deepcopy(COMMON))
    assert {key: getattr(config, key) for key in COMMON} == COMMON
    assert config.dtype == torch.float16
    assert VideoMAEv2Config(torch_dtype="bfloat16").dtype == torch.bfloat16


@pytest.mark.parametrize("name", LEGACY)
def test_keyword_of_earlier_transformers_is_accepted(name: str, tmp_path: Path):
    config = VideoMAEv2Config(**{name: copy.deepcopy(LEGACY[name])})
    assert getattr(config, name) == LEGACY[name]
    write_json(tmp_path, **{name: LEGACY[name]})
    assert getattr(VideoMAEv2Config.from_pretrained(tmp_path), name) == LEGACY[name]


def test_attention_implementation_is_not_saved():
    config = tiny_config(attn_implementation="eager")
    assert config._attn_implementation == "eager"
    assert not [key for key in config.to_dict() if "attn" in key]


def test_copies_are_equal_and_independent():
    config = tiny_config(classifier_dropout=0.1)
    for twin in (copy.deepcopy(config), pickle.loads(pickle.dumps(config)), VideoMAEv2Config(**config.to_dict())):
        assert twin.to_dict() == config.to_dict()
        twin.num_labels = 2
        assert config.num_labels == 5
