# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Configuration of VideoMAE V2 and the table of its published sizes."""

import dataclasses
import difflib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from huggingface_hub.dataclasses import strict
from huggingface_hub.errors import StrictDataclassFieldValidationError
from transformers import PreTrainedConfig
from transformers.activations import ACT2FN
from transformers.utils import CONFIG_NAME

from .foreign_settings_videomae_v2 import translate_config
from .masking_videomae_v2 import MASKS, RUNNING_CELL_RATIOS


# Architecture of every published size: ViT-g by the paper's Table 7 (but the decoder of the released checkpoint has
# 2234 MLP channels where that says 2048), the encoders of ViT-B to ViT-H as in VideoMAE (3.3), decoders by appendix B,
# that of ViT-B by 4.2; ViT-S is not in the paper. What is not named here is the default of `VideoMAEv2Config`.
PRESETS: dict[str, dict[str, int]] = {
    "small": {
        "hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "intermediate_size": 1536,
        "decoder_hidden_size": 192, "decoder_num_attention_heads": 3, "decoder_intermediate_size": 768,
    },
    "base": {
        "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
        "decoder_hidden_size": 384, "decoder_num_attention_heads": 6, "decoder_intermediate_size": 1536,
    },
    "large": {
        "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096,
        "decoder_hidden_size": 512, "decoder_num_attention_heads": 8, "decoder_intermediate_size": 2048,
    },
    "huge": {
        "hidden_size": 1280, "num_hidden_layers": 32, "num_attention_heads": 16, "intermediate_size": 5120,
        "decoder_hidden_size": 512, "decoder_num_attention_heads": 8, "decoder_intermediate_size": 2048,
    },
    "giant": {
        "patch_size": 14,
        "hidden_size": 1408, "num_hidden_layers": 40, "num_attention_heads": 16, "intermediate_size": 6144,
        "decoder_hidden_size": 512, "decoder_num_attention_heads": 8, "decoder_intermediate_size": 2234,
    },
}  # fmt: skip

# Keywords that are no fields but that `PreTrainedConfig` understands or configuration files carry (`use_cache` after
# `Trainer` had the model), and those that every configuration of transformers took before version 5.
_COMMON_KEYWORDS = {
    "attn_implementation", "auto_map", "experts_implementation", "model_type", "name_or_path", "num_labels",
    "output_attentions", "per_layer_config", "quantization_config", "torch_dtype", "use_cache",
    "add_cross_attention", "bos_token_id", "cross_attention_hidden_size", "decoder_start_token_id", "eos_token_id",
    "finetuning_task", "is_decoder", "pad_token_id", "prefix", "pruned_heads", "sep_token_id", "task_specific_params",
    "tf_legacy_loss", "tie_encoder_decoder", "tie_word_embeddings", "tokenizer_class", "torchscript", "use_bfloat16",
}  # fmt: skip

# What people call fields that have another name.
_ALIASES = {
    "num_classes": "num_labels", "num_label": "num_labels", "nb_classes": "num_labels", "depth": "num_hidden_layers",
    "num_layers": "num_hidden_layers", "num_heads": "num_attention_heads", "embed_dim": "hidden_size",
}  # fmt: skip

_SIZES = (
    "image_size", "patch_size", "num_channels", "num_frames", "tubelet_size",
    "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
    "decoder_hidden_size", "decoder_num_hidden_layers", "decoder_num_attention_heads", "decoder_intermediate_size",
)  # fmt: skip

_DIVISIONS = (
    ("image_size", "patch_size"),
    ("num_frames", "tubelet_size"),
    ("hidden_size", "num_attention_heads"),
    ("decoder_hidden_size", "decoder_num_attention_heads"),
)

# Fields that are one of a few words, whatever the others are.
_CHOICES: dict[str, tuple[str | None, ...]] = {
    "problem_type": (None, "regression", "single_label_classification", "multi_label_classification"),
    "mask_type": tuple(MASKS),
    "decoder_mask_type": (None, *MASKS),
    "decoder_loss_on": ("invisible", "all"),
}

# Arguments of `from_pretrained` that say where to load from.
FROM_WHERE = frozenset({
    "cache_dir", "force_download", "local_files_only", "token", "revision", "proxies", "subfolder",
})  # fmt: skip


def where_from(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Those keywords of a `from_pretrained` that say where to load from."""
    return {name: keywords[name] for name in FROM_WHERE if name in keywords}


def check_class_ids(names: Any) -> None:
    """Refuse names of classes, by id as in `id2label`, whose ids are not 0, 1, 2, ... (`ValueError`)."""
    ids = sorted(map(str, names)) if isinstance(names, dict) else None
    if ids is None or not ids or ids != sorted(map(str, range(len(ids)))):
        found = type(names).__name__ if ids is None else f"the ids {', '.join(ids[:6])}" if ids else "no class"
        hint = " Pass `dict(enumerate(names))`." if isinstance(names, (list, tuple)) else ""
        raise ValueError(f"`id2label` must number the classes 0, 1, 2, ... without a gap, got {found}.{hint}")


ConfigClass = TypeVar("ConfigClass", bound=type)


def _check_choice(name: str, value: Any) -> None:
    """Refuse a word that the field does not know (`ValueError`); a value of another type is left to `strict`."""
    choices = _CHOICES.get(name)
    if choices is None or not isinstance(value, str) or value in choices:
        return
    words = [choice for choice in choices if choice is not None]
    nearest = difflib.get_close_matches(value, words, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
    listed = ", ".join(repr(choice) for choice in choices)
    raise ValueError(f"`{name}` must be one of {listed}, got {value!r}{hint}")


def _check_assignments(config_class: ConfigClass) -> ConfigClass:
    """Make a value of a wrong type a `ValueError` that names the field, which what `strict` raises is not.

    A name that is nearly a field's is refused, too: it would change nothing, and the saved file could not be loaded.
    So is a word that a field does not know, when it is set: a model that has been built asks for it at every pass.
    """
    assign = config_class.__setattr__

    def __setattr__(self: Any, name: str, value: Any) -> None:
        if not hasattr(type(self), name) and not self._is_known(name) and self._nearest_field(name):
            self._refuse(name)
        _check_choice(name, value)
        try:
            assign(self, name, value)
        except StrictDataclassFieldValidationError as error:
            raise ValueError(f"`{name}` has a value of a wrong type: {error.__cause__}.") from error

    config_class.__setattr__ = __setattr__
    return config_class


@_check_assignments
@strict
class VideoMAEv2Config(PreTrainedConfig):
    r"""Architecture and masking of a VideoMAE V2 model. The defaults are ViT-B.

    Args:
        image_size (`int`, defaults to 224): Side of the square frames, in pixels. Together with `patch_size`,
            `num_frames` and `tubelet_size` it fixes the grid of tokens.
        patch_size (`int`, defaults to 16): Side of a cube, in pixels.
        num_channels (`int`, defaults to 3): Colour channels.
        num_frames (`int`, defaults to 16): Frames per clip.
        tubelet_size (`int`, defaults to 2): Frames per cube.
        hidden_size (`int`, defaults to 768): Width of the encoder.
        num_hidden_layers (`int`, defaults to 12): Blocks of the encoder.
        num_attention_heads (`int`, defaults to 12): Attention heads of each encoder block.
        intermediate_size (`int`, defaults to 3072): Width of the encoder's MLPs.
        hidden_act (`str`, defaults to `"gelu"`): Activation of all MLPs; `"gelu"` is the exact one (erf).
        hidden_dropout_prob (`float`, defaults to 0.0): Dropout after each attention and MLP output.
        attention_probs_dropout_prob (`float`, defaults to 0.0): Dropout on the attention weights.
        drop_path_rate (`float`, defaults to 0.0): Stochastic depth of the last block; it rises linearly from 0.
        classifier_dropout (`float`, *optional*): Dropout before the classification head; `None` is none.
        initializer_range (`float`, defaults to 0.02): Standard deviation of the truncated normal that fine-tuning
            models start from (pre-training models start Xavier-uniform).
        layer_norm_eps (`float`, defaults to 1e-6): Epsilon of every LayerNorm.
        layer_scale_init_value (`float`, defaults to 0.0): Start of the per-channel scale of each residual branch;
            0 leaves the scale out.
        qkv_bias (`bool`, defaults to `True`): Biases on queries and values. Keys never have one.
        use_mean_pooling (`bool`, defaults to `True`): The clip's feature is the LayerNorm of the mean over tokens;
            otherwise all tokens are normed and the feature is the first.
        decoder_hidden_size (`int`, defaults to 384): Width of the pre-training decoder.
        decoder_num_hidden_layers (`int`, defaults to 4): Blocks of the decoder.
        decoder_num_attention_heads (`int`, defaults to 6): Attention heads of each decoder block.
        decoder_intermediate_size (`int`, defaults to 1536): Width of the decoder's MLPs.
        norm_pix_loss (`bool`, defaults to `True`): Reconstruct cubes normalised by their own mean and deviation.
        mask_type (`str`, defaults to `"tube"`): Encoder mask: `"tube"`, `"random"`, `"frame"` or `"running_cell"`.
        mask_ratio (`float`, defaults to 0.9): Share that the encoder mask drops, in [0, 1).
        decoder_mask_type (`str`, *optional*, defaults to `"running_cell"`): Decoder mask, of the same kinds; `None`
            reconstructs every token that the encoder did not see (VideoMAE V1).
        decoder_mask_ratio (`float`, defaults to 0.5): Share that the decoder mask drops, in [0, 1); 0.25, 0.5 or 0.75
            for running cells.
        decoder_loss_on (`str`, defaults to `"invisible"`): Kept decoder tokens that enter the loss: those that the
            encoder did not see, or `"all"` (row "Running cell 1" of Table 1).
        position_grid (`list[int]`, *optional*): Tokens along time, height and width that the sin-cos table of positions
            is made for; other grids are interpolated from it. Default: those of a clip of the configured size. Where
            weights are loaded for clips of another size than they were trained on, `from_pretrained` sets it to the
            grid that they know.
        num_labels (`int`, defaults to 2): Outputs of the classifier. Or `id2label`, their names by number from 0.
        problem_type (`str`, *optional*): `"single_label_classification"`, `"multi_label_classification"` or
            `"regression"`. Default: the first, or regression where there is one output.

    Raises:
        ValueError: A value is out of range, of a wrong type or does not fit the others, or a keyword is not known.

    Example:

    ```python
    >>> from modeling_videomae_v2 import VideoMAEv2Config, VideoMAEv2ForPreTraining

    >>> config = VideoMAEv2Config.from_preset("base", decoder_mask_ratio=0.75)
    >>> config.grid_size
    (8, 14, 14)
    >>> model = VideoMAEv2ForPreTraining(config)
    ```"""

    model_type = "videomae_v2"

    # wider than in transformers, whose words would come before ours in some versions
    id2label: dict | list | None = None
    problem_type: str | None = None
    if TYPE_CHECKING:  # a property in transformers, which type checkers and editors take for no keyword
        num_labels: int = 2
    image_size: int = 224
    patch_size: int = 16
    num_channels: int = 3
    num_frames: int = 16
    tubelet_size: int = 2
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float | int = 0.0
    attention_probs_dropout_prob: float | int = 0.0
    drop_path_rate: float | int = 0.0
    classifier_dropout: float | int | None = None
    initializer_range: float | int = 0.02
    layer_norm_eps: float | int = 1e-6
    layer_scale_init_value: float | int = 0.0
    qkv_bias: bool = True
    use_mean_pooling: bool = True
    decoder_hidden_size: int = 384
    decoder_num_hidden_layers: int = 4
    decoder_num_attention_heads: int = 6
    decoder_intermediate_size: int = 1536
    norm_pix_loss: bool = True
    mask_type: str = "tube"
    mask_ratio: float | int = 0.9
    decoder_mask_type: str | None = "running_cell"
    decoder_mask_ratio: float | int = 0.5
    decoder_loss_on: str = "invisible"
    position_grid: list[int] | tuple[int, ...] | None = None

    @classmethod
    def from_preset(cls, name: str, **overrides: Any) -> "VideoMAEv2Config":
        """Configuration of a published size: `"small"`, `"base"`, `"large"`, `"huge"` or `"giant"`.

        Args:
            name: Name of the size.
            **overrides: Any field of the configuration, to be set beside or instead of the preset's values.

        Raises:
            ValueError: `name` is not a preset, or the values do not fit together.
        """
        if name not in PRESETS:
            raise ValueError(f"There is no preset {name!r}; choose one of {', '.join(PRESETS)}.")
        return cls(**{**PRESETS[name], **overrides})

    @classmethod
    def get_config_dict(
        cls, pretrained_model_name_or_path: str | os.PathLike, **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """As in `PreTrainedConfig`, for other VideoMAE repositories too: OpenGVLab's and those of transformers.

        Raises:
            OSError: There is no `config.json`, or an empty one, which transformers takes for the default settings.
        """
        place = "/".join(filter(None, (str(pretrained_model_name_or_path), kwargs.get("subfolder"))))
        config_dict, kwargs = super().get_config_dict(pretrained_model_name_or_path, **kwargs)
        if not config_dict:
            raise OSError(
                f"{place} has no {CONFIG_NAME}, or an empty one. Name a folder that "
                "`save_pretrained` of a whole model wrote (that of an adapter names its model), or pass `config`."
            )
        return cls._translate(config_dict), kwargs

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> "VideoMAEv2Config":
        """As in `PreTrainedConfig`. Foreign keys, as other versions and tools write them, are kept as attributes."""
        config_dict = cls._translate(config_dict)  # the Auto classes come here directly
        # others' keys may stand in a file, and what is left over may be an argument of a model
        aliases = set() if kwargs.get("return_unused_kwargs") else _ALIASES.keys() & kwargs.keys()
        for key in (*config_dict, *kwargs):
            if not cls._is_known(key) and (cls._nearest_field(key) or key in aliases):
                cls._refuse(key)
        foreign = {key: value for key, value in config_dict.items() if not cls._is_known(key)}
        result = super().from_dict({k: v for k, v in config_dict.items() if k not in foreign}, **kwargs)
        config = result[0] if isinstance(result, tuple) else result
        for key, value in foreign.items():
            setattr(config, key, value)
        config.validate_architecture()  # `kwargs` were set after construction
        return result

    @classmethod
    def _translate(cls, config_dict: dict[str, Any]) -> dict[str, Any]:
        """Content of a `config.json` in our fields; a subclass with a model type of its own takes ours as its own."""
        if config_dict.get("model_type") == VideoMAEv2Config.model_type:
            config_dict = {**config_dict, "model_type": cls.model_type}
        return translate_config(config_dict, cls.model_type)

    def __post_init__(self, **kwargs: Any) -> None:
        for key in kwargs:
            if not self._is_known(key):
                self._refuse(key)
        count = kwargs.get("num_labels")
        if count is not None and (not isinstance(count, int) or count < 1):
            raise ValueError(f"`num_labels` must be a whole number of at least 1, got {count!r}.")
        if self.id2label is not None:
            check_class_ids(self.id2label)
        for name, value in (("dtype", self.dtype), ("torch_dtype", kwargs.get("torch_dtype"))):
            if isinstance(value, str) and not isinstance(getattr(torch, value, None), torch.dtype):
                raise ValueError(f"`{name}` must be a type of torch, such as 'float32' or 'bfloat16', got {value!r}.")
        super().__post_init__(**kwargs)
        self.validate_architecture()  # here, because what `strict` calls ends in an error that is no `ValueError`

    @classmethod
    def _is_known(cls, key: str) -> bool:
        if key.startswith("_") or key in _COMMON_KEYWORDS or key in cls.attribute_map:
            return True
        return key in {field.name for field in dataclasses.fields(cls)}

    @classmethod
    def _nearest_field(cls, key: str) -> str | None:
        matches = difflib.get_close_matches(key, [f.name for f in dataclasses.fields(cls)], n=1, cutoff=0.8)
        return matches[0] if matches else None

    @classmethod
    def _refuse(cls, key: str) -> None:
        nearest = cls._nearest_field(key) or _ALIASES.get(key)
        hint = f"did you mean `{nearest}`?" if nearest else "its fields are listed in the documentation of the class."
        raise ValueError(f"`{cls.__name__}` has no field `{key}`; {hint}")

    @property
    def grid_size(self) -> tuple[int, int, int]:
        """Tokens along (time, height, width) of a clip of the configured size."""
        side = self.image_size // self.patch_size
        return self.num_frames // self.tubelet_size, side, side

    @property
    def table_grid(self) -> tuple[int, int, int]:
        """Tokens along (time, height, width) that the table of positions is made for."""
        time, height, width = self.position_grid or self.grid_size
        return time, height, width

    @property
    def has_exclusive_classes(self) -> bool:
        """Whether a clip has one class of several, told by softmax: neither several classes at once nor a number."""
        return self.num_labels > 1 and self.problem_type not in ("regression", "multi_label_classification")

    def keep_table_of(self, trained: "VideoMAEv2Config") -> bool:
        """Set `position_grid`, unless it is set, to what weights of the configuration `trained` know.

        A new table for a larger grid would give nearly every place the code of another one.

        Returns:
            Whether it was set.
        """
        if self.position_grid is not None or self.grid_size == trained.table_grid:
            return False
        self.position_grid = list(trained.table_grid)
        return True

    def validate_architecture(self) -> None:
        """Refuse values that are out of range or do not fit together (`ValueError`). Runs in the constructor."""
        self._validate_sizes()
        self._validate_rates()
        self._validate_masks()
        self._validate_labels()

    def _validate_labels(self) -> None:
        check_class_ids(self.id2label)
        if self.problem_type == "single_label_classification" and self.num_labels == 1:
            raise ValueError(
                "`problem_type` 'single_label_classification' needs a `num_labels` of at least 2, got 1: set it to 2 "
                "for a yes or no, or `problem_type` to 'regression' for a number."
            )

    def _validate_sizes(self) -> None:
        for name in _SIZES:
            # transformers' own test of configurations builds every model type with hidden_size=0
            lowest = 0 if name in ("hidden_size", "num_hidden_layers", "decoder_num_hidden_layers") else 1
            if getattr(self, name) < lowest:
                raise ValueError(f"`{name}` must be at least {lowest}, got {getattr(self, name)}.")
        for whole_name, part_name in _DIVISIONS:
            whole, part = getattr(self, whole_name), getattr(self, part_name)
            if whole % part:
                fit = (whole // part) * part or part
                raise ValueError(
                    f"`{whole_name}` ({whole}) must be a multiple of `{part_name}` ({part}), for instance {fit}."
                )

        if self.norm_pix_loss and self.tubelet_size * self.patch_size**2 < 2:
            raise ValueError(
                "`norm_pix_loss` divides by the deviation of the pixels of a cube, and a cube of `patch_size` 1 and "
                "`tubelet_size` 1 is a single pixel: set it to False, or make the cubes larger."
            )
        grid = self.position_grid
        if grid is not None and (len(grid) != 3 or min(grid) < 1):
            raise ValueError(
                f"`position_grid` must be three numbers of tokens (time, height, width), got {list(grid)}."
            )

    def _validate_rates(self) -> None:
        for name in ("hidden_dropout_prob", "attention_probs_dropout_prob", "drop_path_rate", "classifier_dropout"):
            value = getattr(self, name)
            if value is not None and not 0.0 <= value < 1.0:
                raise ValueError(f"`{name}` must lie in [0, 1), got {value}.")
        for name in ("layer_norm_eps", "initializer_range", "layer_scale_init_value"):
            if not getattr(self, name) >= 0.0:
                raise ValueError(f"`{name}` must not be negative, got {getattr(self, name)}.")
        if self.hidden_act not in ACT2FN:
            raise ValueError(f"`hidden_act` must be an activation that transformers knows, got {self.hidden_act!r}.")

    def _validate_masks(self) -> None:
        for prefix in ("", "decoder_"):
            mask_type, ratio = getattr(self, f"{prefix}mask_type"), getattr(self, f"{prefix}mask_ratio")
            if not 0.0 <= ratio < 1.0:
                raise ValueError(f"`{prefix}mask_ratio` must lie in [0, 1), got {ratio}.")
            if mask_type == "running_cell" and ratio not in RUNNING_CELL_RATIOS:
                raise ValueError(
                    f"`{prefix}mask_ratio` must be 0.25, 0.5 or 0.75 with `{prefix}mask_type='running_cell'` "
                    f"(1, 2 or 3 places of a 2x2 cell), got {ratio}."
                )
        if self.mask_ratio == 0 and (self.decoder_loss_on == "invisible" or self.decoder_mask_type is None):
            raise ValueError(
                f"`mask_ratio` {self.mask_ratio} hides nothing from the encoder: nothing is left to reconstruct. "
                "Raise it, or set `decoder_loss_on` to 'all' together with a `decoder_mask_type`."
            )


def published_size(config: VideoMAEv2Config) -> str | None:
    """Name of the preset that has this encoder; None where none has."""
    names = ("patch_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    for size, preset in PRESETS.items():
        if all(getattr(config, name) == preset.get(name, getattr(VideoMAEv2Config, name)) for name in names):
            return size
    return None


__all__ = ["VideoMAEv2Config"]
