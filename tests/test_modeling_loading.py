# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Saving, loading and initialising: nothing is lost, nothing is left uninitialised, whatever the way in."""

import copy
import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny import MODEL_CLASSES, clips, inputs_for, tiny_config, tiny_model
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForPreTraining,
    AutoModelForVideoClassification,
    PreTrainedModel,
)

from modeling_videomae_v2 import (
    VideoMAEv2Config,
    VideoMAEv2ForPreTraining,
    VideoMAEv2ForVideoClassification,
    VideoMAEv2Model,
)
from modeling_videomae_v2.blocks_videomae_v2 import VideoMAEv2Layer
from modeling_videomae_v2.embeddings_videomae_v2 import VideoMAEv2Embeddings
from modeling_videomae_v2.loading_videomae_v2 import UnfitWeightsError


each_model = pytest.mark.parametrize("model_class", MODEL_CLASSES)
HEAD = {"classifier.weight", "classifier.bias"}
FEATURE_NORM = {"videomae_v2.fc_norm.weight", "videomae_v2.fc_norm.bias"}


def main_output(model: PreTrainedModel) -> torch.Tensor:
    with torch.no_grad():
        return model(**inputs_for(type(model)))["pooler_output" if type(model) is VideoMAEv2Model else "logits"]


def tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers, those that are not saved too."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def assert_same_tensors(first: nn.Module, second: nn.Module, dtype: torch.dtype | None = None) -> None:
    ours, theirs = tensors(first), tensors(second)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if ours[name].is_meta or theirs[name].is_meta] == []
    different = [name for name in ours if not torch.equal(ours[name].to(dtype), theirs[name].to(dtype))]
    assert different == []


def loading_report(model_class: type[PreTrainedModel], path: Path, **kwargs: Any) -> dict[str, set[str]]:
    info = model_class.from_pretrained(path, output_loading_info=True, **kwargs)[1]
    return {key: set(value) for key, value in info.items() if value}


# ---- round trips


@each_model
def test_save_and_load_twice(model_class: type[PreTrainedModel], tmp_path: Path):
    model = tiny_model(model_class)
    expected = main_output(model)
    for step in ("first", "second"):
        model.save_pretrained(tmp_path / step)
        assert {p.name for p in (tmp_path / step).glob("*.json")} == {"config.json"}
        assert (tmp_path / step / "model.safetensors").is_file()
        loaded = model_class.from_pretrained(tmp_path / step)
        assert_same_tensors(loaded, model)
        assert not loaded.training
        assert torch.equal(main_output(loaded), expected)
        assert loading_report(model_class, tmp_path / step) == {}
        model = loaded
    assert json.loads((tmp_path / "second/config.json").read_text())["architectures"] == [model_class.__name__]


@pytest.mark.parametrize("table", [5, "modeling_videomae_v2", ["AutoModel"], {"AutoBackbone": "own.Backbone"}])
def test_a_table_of_code_that_is_none_is_put_right(table: object, tmp_path: Path):
    """transformers' own models can be loaded and saved with it, too: they do not look at it. Entries of others stay."""
    tiny_model(VideoMAEv2Model).save_pretrained(tmp_path / "first")
    config = tmp_path / "first/config.json"
    right = json.loads(config.read_text())
    config.write_text(json.dumps({**right, "auto_map": table}))
    VideoMAEv2Model.from_pretrained(tmp_path / "first").save_pretrained(tmp_path / "second")
    expected = right["auto_map"] | (table if isinstance(table, dict) else {})
    assert json.loads((tmp_path / "second/config.json").read_text())["auto_map"] == expected


@each_model
def test_auto_classes_load_what_was_saved(model_class: type[PreTrainedModel], tmp_path: Path):
    auto_classes = (AutoModel, AutoModelForPreTraining, AutoModelForVideoClassification)
    auto_class = auto_classes[MODEL_CLASSES.index(model_class)]
    model = tiny_model(model_class)
    model.save_pretrained(tmp_path)
    loaded = auto_class.from_pretrained(tmp_path)
    assert type(loaded) is model_class
    assert_same_tensors(loaded, model)


@each_model
def test_saved_tensors_are_the_parameters(model_class: type[PreTrainedModel], tmp_path: Path):
    model = tiny_model(model_class)
    model.save_pretrained(tmp_path)
    assert load_file(tmp_path / "model.safetensors").keys() == dict(model.named_parameters()).keys()
    assert model.state_dict().keys() == dict(model.named_parameters()).keys(), "the tables are no weights"


@each_model
def test_sharded_variant(model_class: type[PreTrainedModel], tmp_path: Path):
    model = tiny_model(model_class)
    model.save_pretrained(tmp_path, max_shard_size="20KB", variant="v2")
    assert len(list(tmp_path.glob("model.v2-*.safetensors"))) > 1
    assert_same_tensors(model_class.from_pretrained(tmp_path, variant="v2"), model)
    with pytest.raises(OSError):
        model_class.from_pretrained(tmp_path)


@each_model
def test_state_dict_round_trips(model_class: type[PreTrainedModel], tmp_path: Path):
    model = tiny_model(model_class)
    torch.save(model.state_dict(), tmp_path / "weights.bin")
    state_dict = torch.load(tmp_path / "weights.bin", weights_only=True)
    other = model_class(tiny_config())
    assert str(other.load_state_dict(state_dict, strict=True)) == "<All keys matched successfully>"
    assert_same_tensors(other, model)
    assert_same_tensors(model_class.from_pretrained(None, config=tiny_config(), state_dict=state_dict), model)


def test_parameters_need_not_be_contiguous(tmp_path: Path):
    model = tiny_model(VideoMAEv2Model)
    weight = model.layers[0].mlp.fc1.weight
    weight.data = weight.data.t().contiguous().t()
    model.save_pretrained(tmp_path)
    assert_same_tensors(VideoMAEv2Model.from_pretrained(tmp_path), model)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@each_model
def test_dtypes(model_class: type[PreTrainedModel], dtype: torch.dtype, tmp_path: Path):
    model = tiny_model(model_class)
    model.to(dtype).save_pretrained(tmp_path)
    for choice in (None, "auto", dtype):
        loaded = model_class.from_pretrained(tmp_path, **({} if choice is None else {"dtype": choice}))
        assert {p.dtype for p in loaded.parameters()} == {dtype}
        assert_same_tensors(loaded, model, dtype)  # the tables may be kept in float32
        assert torch.equal(main_output(loaded), main_output(model))
    up = model_class.from_pretrained(tmp_path, dtype=torch.float32)
    assert {t.dtype for t in tensors(up).values()} == {torch.float32}
    exact = dict(tiny_model(model_class).named_buffers())
    for name, table in up.named_buffers():
        assert torch.equal(table, exact[name]), f"{name} went through {dtype}"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@each_model
def test_tables_are_exact_after_a_time_in_half_precision(model_class: type[PreTrainedModel], dtype: torch.dtype):
    """Otherwise the model computes something else once it has been saved and loaded."""
    model = tiny_model(model_class, num_frames=8, position_grid=[2, 4, 4], drop_path_rate=0.3)
    exact = {name: table.clone() for name, table in model.named_buffers()}
    assert exact
    for name, table in model.to(dtype).float().named_buffers():
        assert torch.equal(table, exact[name]), f"{name} went through {dtype}"


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@each_model
def test_tables_are_exact_in_a_model_that_is_made_in_half_precision(
    model_class: type[PreTrainedModel], dtype: torch.dtype
):
    settings: dict[str, Any] = {"num_frames": 8, "position_grid": [2, 4, 4], "drop_path_rate": 0.3}
    exact = dict(tiny_model(model_class, **settings).named_buffers())
    made = model_class._from_config(tiny_config(**settings), dtype=dtype)
    for name, table in made.float().named_buffers():
        assert torch.equal(table, exact[name]), f"{name} was made in {dtype}"


# ---- from one kind of model to another


def test_pretrained_checkpoint_as_classifier(tmp_path: Path):
    model = tiny_model(VideoMAEv2ForPreTraining)
    model.save_pretrained(tmp_path)
    report = loading_report(VideoMAEv2ForVideoClassification, tmp_path)
    assert report == {"missing_keys": HEAD | FEATURE_NORM}
    loaded = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path)
    pretrained = tensors(model.videomae_v2)
    for name, tensor in tensors(loaded.videomae_v2).items():
        if "fc_norm" not in name:
            assert torch.equal(tensor, pretrained[name]), name
    assert torch.equal(loaded.videomae_v2.fc_norm.weight, torch.ones(32))
    assert 0 < loaded.classifier.weight.abs().max() < 1e-3
    assert torch.isfinite(main_output(loaded)).all()


def test_checkpoints_of_other_kinds_as_encoder(tmp_path: Path):
    tiny_model(VideoMAEv2ForPreTraining).save_pretrained(tmp_path / "pretrained")
    classifier = tiny_model(VideoMAEv2ForVideoClassification)
    classifier.save_pretrained(tmp_path / "classifier")
    report = loading_report(VideoMAEv2Model, tmp_path / "pretrained")
    assert report == {"missing_keys": {"fc_norm.weight", "fc_norm.bias"}}
    loaded = VideoMAEv2Model.from_pretrained(tmp_path / "classifier")
    assert torch.equal(main_output(loaded), main_output(classifier.videomae_v2))


def test_pretrained_checkpoint_as_encoder_without_pooling_keeps_its_norm(tmp_path: Path):
    model = tiny_model(VideoMAEv2ForPreTraining)
    model.save_pretrained(tmp_path)
    loaded = VideoMAEv2Model.from_pretrained(tmp_path, use_mean_pooling=False)
    assert loading_report(VideoMAEv2Model, tmp_path, use_mean_pooling=False) == {}
    assert torch.equal(loaded.layernorm.weight, model.videomae_v2.layernorm.weight)


@pytest.mark.parametrize("model_class", MODEL_CLASSES[1:])
def test_encoder_checkpoint_in_a_larger_model(model_class: type[PreTrainedModel], tmp_path: Path):
    base = tiny_model(model_class).base_model
    base.save_pretrained(tmp_path)
    report = loading_report(model_class, tmp_path)
    assert report.keys() == {"missing_keys"}
    assert not [key for key in report["missing_keys"] if key.startswith("videomae_v2.")]
    assert_same_tensors(model_class.from_pretrained(tmp_path).base_model, base)


def test_missing_and_unexpected_weights_are_reported(tmp_path: Path):
    model = tiny_model(VideoMAEv2ForVideoClassification)
    state_dict = model.state_dict()
    del state_dict["videomae_v2.layers.1.mlp.fc1.weight"]
    state_dict["videomae_v2.layers.7.mlp.fc1.weight"] = torch.zeros(1)
    model.save_pretrained(tmp_path, state_dict=state_dict)
    assert loading_report(type(model), tmp_path) == {
        "missing_keys": {"videomae_v2.layers.1.mlp.fc1.weight"},
        "unexpected_keys": {"videomae_v2.layers.7.mlp.fc1.weight"},
    }


@pytest.mark.parametrize("part", ["embeddings", "layers"])
def test_no_whole_part_of_the_encoder_may_be_missing(part: str, tmp_path: Path):
    model = tiny_model(VideoMAEv2ForVideoClassification)
    rest = {key: value for key, value in model.state_dict().items() if f".{part}." not in key}
    model.save_pretrained(tmp_path, state_dict=rest)
    with pytest.raises(UnfitWeightsError, match=rf"videomae_v2\.{part}\..*: not in the checkpoint"):
        VideoMAEv2ForVideoClassification.from_pretrained(tmp_path)


def test_decoder_weights_without_a_place_are_reported_by_the_model_that_has_a_decoder(tmp_path: Path):
    tiny_model(VideoMAEv2ForPreTraining).save_pretrained(tmp_path)
    report = loading_report(VideoMAEv2ForPreTraining, tmp_path, decoder_num_hidden_layers=1)
    assert report.keys() == {"unexpected_keys"}
    assert all(key.startswith("decoder.layers.1.") for key in report["unexpected_keys"])


def test_head_of_another_size(tmp_path: Path):
    model = tiny_model(VideoMAEv2ForVideoClassification)
    model.save_pretrained(tmp_path)
    with pytest.raises(RuntimeError, match=r"classifier|mismatch"):
        VideoMAEv2ForVideoClassification.from_pretrained(tmp_path, num_labels=42)
    loaded = VideoMAEv2ForVideoClassification.from_pretrained(tmp_path, num_labels=42, ignore_mismatched_sizes=True)
    assert loaded(clips()).logits.shape == (2, 42)
    assert torch.equal(main_output(loaded.videomae_v2), main_output(model.videomae_v2))
    assert 0 < loaded.classifier.weight.abs().max() < 1e-3
    assert (loaded.classifier.bias == 0).all()


# ---- subclasses


class WithMore(VideoMAEv2ForVideoClassification):
    """What it adds is in no checkpoint of ours."""

    def __init__(self, config: VideoMAEv2Config) -> None:
        super().__init__(config)
        self.extra = nn.Linear(config.hidden_size, 3)
        self.post_init()


class WithMost(WithMore):
    def __init__(self, config: VideoMAEv2Config) -> None:
        super().__init__(config)
        self.second = nn.Linear(config.hidden_size, 2)
        self.post_init()


class WithMLP(VideoMAEv2ForVideoClassification):
    """Its head has other names than ours."""

    def __init__(self, config: VideoMAEv2Config) -> None:
        super().__init__(config)
        self.classifier = nn.Sequential(nn.Linear(config.hidden_size, 8), nn.GELU(), nn.Linear(8, config.num_labels))
        self.post_init()


def test_what_a_subclass_adds_is_new(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    model = tiny_model(VideoMAEv2ForVideoClassification)
    model.save_pretrained(tmp_path / "ours")
    loaded = WithMore.from_pretrained(tmp_path / "ours")
    assert "extra.weight" in caplog.text
    assert 0 < loaded.extra.weight.abs().max() < 1
    assert torch.equal(loaded(clips()).logits, model(clips()).logits)
    half = {name: value for name, value in loaded.state_dict().items() if name != "extra.bias"}
    loaded.save_pretrained(tmp_path / "half", state_dict=half)
    with pytest.raises(UnfitWeightsError, match=r"extra\.bias: not in the checkpoint"):
        WithMore.from_pretrained(tmp_path / "half")
    loaded.save_pretrained(tmp_path / "more")
    assert torch.equal(WithMost.from_pretrained(tmp_path / "more").extra.weight, loaded.extra.weight)


def test_head_with_other_names(tmp_path: Path):
    model = tiny_model(VideoMAEv2ForVideoClassification)
    model.save_pretrained(tmp_path)
    with pytest.raises(UnfitWeightsError, match=r"classifier\.weight: not in the model\n.*ignore_mismatched_sizes"):
        WithMLP.from_pretrained(tmp_path)
    loaded = WithMLP.from_pretrained(tmp_path, ignore_mismatched_sizes=True)
    assert torch.equal(main_output(loaded.videomae_v2), main_output(model.videomae_v2))


def test_a_model_type_of_ones_own(tmp_path: Path):
    class OwnConfig(VideoMAEv2Config):
        model_type = "one_of_our_own"

    class OwnModel(VideoMAEv2ForVideoClassification):
        config_class = OwnConfig

    AutoConfig.register(OwnConfig.model_type, OwnConfig, exist_ok=True)
    AutoModelForVideoClassification.register(OwnConfig, OwnModel, exist_ok=True)
    model = tiny_model(VideoMAEv2ForVideoClassification)
    model.save_pretrained(tmp_path / "ours")
    own = OwnModel.from_pretrained(tmp_path / "ours")
    assert own.config.model_type == OwnConfig.model_type
    own.save_pretrained(tmp_path / "own")
    for loaded in (own, AutoModelForVideoClassification.from_pretrained(tmp_path / "own")):
        assert type(loaded) is OwnModel
        assert torch.equal(loaded(clips()).logits, model(clips()).logits)


# ---- nothing is left uninitialised


def seed_every_initialisation(monkeypatch: pytest.MonkeyPatch) -> None:
    original = PreTrainedModel._initialize_weights

    def seeded(self: PreTrainedModel, module: nn.Module, *args: Any, **kwargs: Any) -> None:
        torch.manual_seed(0)
        original(self, module, *args, **kwargs)

    monkeypatch.setattr(PreTrainedModel, "_initialize_weights", seeded)


@pytest.mark.parametrize("overrides", [{}, {"layer_scale_init_value": 0.1, "use_mean_pooling": False}])
@each_model
def test_all_missing_weights_are_initialised(
    model_class: type[PreTrainedModel], overrides: dict[str, Any], monkeypatch: pytest.MonkeyPatch
):
    seed_every_initialisation(monkeypatch)
    config = tiny_config(**overrides)
    from_config = model_class(copy.deepcopy(config))
    from_nothing = model_class.from_pretrained(None, config=copy.deepcopy(config), state_dict={})
    assert_same_tensors(from_nothing, from_config)


@each_model
def test_every_parameter_is_written_by_the_initialisation(
    model_class: type[PreTrainedModel], monkeypatch: pytest.MonkeyPatch
):
    """Memory that was never written shows as NaN."""
    seed_every_initialisation(monkeypatch)
    config = tiny_config(layer_scale_init_value=0.1)
    with torch.device("meta"):
        model = model_class(config)
    model.to_empty(device="cpu")
    with torch.no_grad():
        for tensor in tensors(model).values():
            tensor.fill_(float("nan"))
    model.init_weights()
    assert [name for name, tensor in tensors(model).items() if tensor.isnan().any()] == []
    assert_same_tensors(model, model_class(config))
    assert torch.isfinite(main_output(model.eval())).all()


@each_model
def test_tables_are_right_after_loading_a_state_dict_from_meta(model_class: type[PreTrainedModel]):
    expected = tiny_model(model_class)
    for assign in (False, True):
        with torch.device("meta"):
            model = model_class(tiny_config())
        if not assign:
            model.to_empty(device="cpu")
        model.load_state_dict(expected.state_dict(), assign=assign)
        assert_same_tensors(model.eval(), expected)
        assert torch.equal(main_output(model), main_output(expected))


class WithoutFloat64(TorchDispatchMode):
    """As Apple's GPUs: nothing but the CPU knows float64. The meta device stands for one."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor) and tensor.dtype == torch.float64 and tensor.device.type != "cpu":
                raise TypeError(f"{func} makes float64 on {tensor.device}")
        return result


@each_model
def test_models_can_be_built_where_float64_is_missing(model_class: type[PreTrainedModel]):
    with WithoutFloat64(), torch.device("meta"):
        model = model_class(tiny_config())
    assert all(tensor.is_meta for tensor in tensors(model).values())


@each_model
def test_initialisation_follows_initializer_range(model_class: type[PreTrainedModel]):
    """Transformers' tests set every `..._range` to almost nothing and want means of 0 or 1; Xavier knows no range."""
    model = model_class(tiny_config(initializer_range=1e-10, layer_scale_init_value=1e-10))
    for name, parameter in model.named_parameters():
        if model_class is VideoMAEv2ForPreTraining and parameter.dim() > 1 and "mask_token" not in name:
            continue
        assert round(parameter.mean().item(), 8) in (0.0, 1.0), name


def test_a_range_of_zero_starts_from_zeros():
    model = VideoMAEv2ForVideoClassification(tiny_config(initializer_range=0))
    weights = [parameter for name, parameter in model.named_parameters() if "norm" not in name]
    assert weights
    assert not any(weight.any() for weight in weights)
    decoder = VideoMAEv2ForPreTraining(tiny_config(initializer_range=0.0)).decoder
    assert not decoder.mask_token.any()


def test_loading_a_whole_checkpoint_draws_no_random_number(tmp_path: Path):
    tiny_model(VideoMAEv2ForVideoClassification).save_pretrained(tmp_path)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    VideoMAEv2ForVideoClassification.from_pretrained(tmp_path)
    assert torch.equal(torch.rand(3), expected)


# ---- large models on small machines


@each_model
def test_device_map_on_the_cpu(model_class: type[PreTrainedModel], tmp_path: Path):
    model = tiny_model(model_class)
    model.save_pretrained(tmp_path)
    loaded = model_class.from_pretrained(tmp_path, device_map="cpu")
    assert_same_tensors(loaded, model)
    assert torch.equal(main_output(loaded), main_output(model))


@pytest.mark.parametrize("to", ["cpu", "disk"])
@each_model
def test_offloading(model_class: type[PreTrainedModel], to: str, tmp_path: Path):
    accelerate = pytest.importorskip("accelerate")
    model = tiny_model(model_class)
    expected = main_output(model)
    if to == "cpu":
        offloaded = accelerate.cpu_offload(copy.deepcopy(model), execution_device="cpu")
    else:
        offloaded = accelerate.disk_offload(copy.deepcopy(model), str(tmp_path), execution_device="cpu")
    assert all(p.is_meta for p in offloaded.parameters())
    assert torch.equal(main_output(offloaded), expected)


@each_model
def test_device_map_with_layers_on_disk(model_class: type[PreTrainedModel], tmp_path: Path):
    pytest.importorskip("accelerate")
    model = tiny_model(model_class)
    model.save_pretrained(tmp_path / "model")
    prefix = "" if model_class is VideoMAEv2Model else "videomae_v2."
    places = {name: "cpu" for name, _ in model.named_children()}
    if prefix:
        places |= {f"{prefix}{name}": "cpu" for name, _ in model.videomae_v2.named_children()}
        places.pop("videomae_v2")
    places.pop(f"{prefix}layers")
    places |= {f"{prefix}layers.0": "cpu", f"{prefix}layers.1": "disk"}
    loaded = model_class.from_pretrained(tmp_path / "model", device_map=places, offload_folder=tmp_path / "offload")
    assert loaded.base_model.layers[1].mlp.fc1.weight.is_meta
    assert torch.equal(main_output(loaded), main_output(model))


@pytest.mark.parametrize("share", [0.7, 0.9])
@each_model
def test_device_map_auto_finds_a_split(model_class: type[PreTrainedModel], share: float):
    """With too little room on the first device, whole blocks and only those go to the next one."""
    accelerate = pytest.importorskip("accelerate")
    model = tiny_model(model_class)
    size = accelerate.utils.compute_module_sizes(model)[""]
    device_map = accelerate.infer_auto_device_map(
        model, {0: int(share * size), "cpu": 2 * size}, no_split_module_classes=model._no_split_modules
    )
    assert set(device_map.values()) == {0, "cpu"}
    assert not [name for name in device_map if name.count("layers.") and name.split("layers.")[1].count(".")]


@each_model
def test_fsdp_wraps_blocks_of_its_own_accord(model_class: type[PreTrainedModel]):
    """Where a configuration names no class, accelerate and `Trainer` ask the model, and want to find each."""
    accelerate = pytest.importorskip("accelerate")
    plugin = accelerate.FullyShardedDataParallelPlugin(fsdp_version=2, auto_wrap_policy="transformer_based_wrap")
    plugin.set_auto_wrap_policy(tiny_model(model_class))
    wrapped = plugin.auto_wrap_policy.keywords["transformer_layer_cls"]
    assert VideoMAEv2Layer in wrapped
    assert VideoMAEv2Embeddings not in wrapped  # accelerate cuts `get_input_embeddings()`, which lies in it, by itself


@each_model
def test_no_warnings_on_loading(model_class: type[PreTrainedModel], tmp_path: Path, caplog: pytest.LogCaptureFixture):
    tiny_model(model_class).save_pretrained(tmp_path)
    with caplog.at_level(logging.WARNING):
        model_class.from_pretrained(tmp_path)
    assert caplog.records == []
