# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""VideoMAE V2: a plain vision transformer over video cubes, its dual-masked autoencoder and its classifier.

Paper: "VideoMAE V2: Scaling Video Masked Autoencoders with Dual Masking", sections 3.1 to 3.3.

Shapes in comments and names: B clips, N = T*H*W tokens of the grid (time first, then rows, then columns), K tokens that
a mask keeps, D channels, P pixel values of a cube (tubelet_size * patch_size**2 * num_channels).
Masks are bool, True = dropped. Token indices `(B, K)` stand for what a mask keeps: all shapes follow from the
configuration, never from data, so nothing here waits for the device and one compiled graph serves all masks.
"""

import copy
import difflib
import math
import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedConfig
from transformers import initialization as init
from transformers.modeling_outputs import BaseModelOutputWithPooling, ImageClassifierOutput
from transformers.modeling_utils import PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING_NAMES
from transformers.processing_utils import Unpack
from transformers.utils import ModelOutput, TransformersKwargs, logging
from transformers.utils.generic import can_return_tuple, merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs

from .adapters_videomae_v2 import adapter_and_base, add_adapter
from .blocks_videomae_v2 import (
    VideoMAEv2Attention,
    VideoMAEv2Layer,
    VideoMAEv2LayerNorm,
    VideoMAEv2LayerScale,
    build_layers,
)
from .configuration_videomae_v2 import VideoMAEv2Config, where_from
from .constants_videomae_v2 import VideoMAEv2Constants
from .embeddings_videomae_v2 import VideoMAEv2CubeProjection, VideoMAEv2Embeddings
from .loading_videomae_v2 import is_of_adapter, refuse_other_heads, refuse_unfit_adapter, refuse_unfit_weights
from .masking_videomae_v2 import MASKS
from .patching_videomae_v2 import host_values, kept_indices, num_reconstructed, num_visible, token_grid
from .reconstruction_videomae_v2 import VideoMAEv2Decoder, VideoMAEv2ReconstructionLoss, at_least_fp32


logger = logging.get_logger(__name__)

ModelType = TypeVar("ModelType", bound="VideoMAEv2PreTrainedModel")

HEADS = ("num_attention_heads", "decoder_num_attention_heads")
GRID = ("image_size", "patch_size", "num_frames", "tubelet_size")  # what a grid of tokens follows from

# Attention functions that compute no weights.
FUSED_ATTENTION = ("sdpa", "flash_attention_2", "flex_attention")

# Weights of a pre-training checkpoint that other models have no place for, and need not mention: the decoder, and the
# norm of the tokens (models that pool have one of the pooled feature instead).
PRETRAINING_KEYS = [r"^(videomae_v2\.)?layernorm\.", r"^decoder\.", r"^encoder_to_decoder\."]
# Some versions of transformers' own VideoMAE have a key bias: the same number for all keys of a query, so that the
# softmax takes it out again.
KEY_BIAS = [r"attention\.attention\.key\.bias$"]

# Where the Auto classes find the code that travels with the weights.
AUTO_MAP = {
    "AutoConfig": "configuration_videomae_v2.VideoMAEv2Config",
    "AutoModel": "modeling_videomae_v2.VideoMAEv2Model",
    "AutoModelForPreTraining": "modeling_videomae_v2.VideoMAEv2ForPreTraining",
    "AutoModelForVideoClassification": "modeling_videomae_v2.VideoMAEv2ForVideoClassification",
}


@dataclass
class VideoMAEv2ForPreTrainingOutput(ModelOutput):
    """Output of `VideoMAEv2ForPreTraining`.

    Args:
        loss (`torch.FloatTensor` of shape `()`): Mean squared reconstruction error.
        logits (`torch.FloatTensor` of shape `(batch_size, kept decoder tokens, P)`): Reconstructed cubes; the values of
            a cube are ordered frame, row, column, channel.
        bool_masked_pos (`torch.BoolTensor` of shape `(batch_size, N)`): The encoder mask used, True = dropped.
        decoder_bool_masked_pos (`torch.BoolTensor` of shape `(batch_size, N)`): The decoder mask used, True = dropped.
        hidden_states (`tuple[torch.FloatTensor]`, *optional*): Input and output of every encoder block, each of shape
            `(batch_size, visible tokens, hidden_size)`. Returned with `output_hidden_states=True`.
        attentions (`tuple[torch.FloatTensor]`, *optional*): Attention weights of every encoder block, each of shape
            `(batch_size, heads, visible tokens, visible tokens)`. Returned with `output_attentions=True`, by
            the attention function `"eager"`; the others keep no weights, and the tuple is empty.
    """

    loss: torch.FloatTensor | None = None
    logits: torch.FloatTensor | None = None
    bool_masked_pos: torch.BoolTensor | None = None
    decoder_bool_masked_pos: torch.BoolTensor | None = None
    hidden_states: tuple[torch.FloatTensor, ...] | None = None
    attentions: tuple[torch.FloatTensor, ...] | None = None


class VideoMAEv2PreTrainedModel(PreTrainedModel):
    """What all VideoMAE V2 models share: loading, saving, weight initialisation, attention back ends."""

    config: VideoMAEv2Config
    base_model_prefix = "videomae_v2"
    main_input_name = "pixel_values"
    input_modalities = ("video",)
    supports_gradient_checkpointing = True
    accepts_loss_kwargs = False  # or `Trainer` would not divide the loss by the accumulation steps
    # FSDP looks for each of them in the model, and cuts `get_input_embeddings()` on its own
    _no_split_modules = ["VideoMAEv2Layer"]
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _can_compile_fullgraph = True
    _can_record_outputs = {"hidden_states": VideoMAEv2Layer, "attentions": VideoMAEv2Attention}
    _keys_to_ignore_on_load_unexpected = KEY_BIAS
    _xavier_init = False  # linear layers: truncated normal for fine-tuning, Xavier-uniform for pre-training

    def __init__(self, config: VideoMAEv2Config, *inputs: Any, **kwargs: Any) -> None:
        if isinstance(config, PreTrainedConfig) and not hasattr(config, "grid_size"):
            raise ValueError(
                f"`config` must be a `VideoMAEv2Config`, got a `{type(config).__name__}`. Checkpoints of transformers' "
                "own VideoMAE load by `from_pretrained` without it."
            )
        if isinstance(config, VideoMAEv2Config):
            config.validate_architecture()  # fields may have been set one by one since it was made
        super().__init__(config, *inputs, **kwargs)

    @classmethod
    def from_pretrained(
        cls: type[ModelType], pretrained_model_name_or_path: str | os.PathLike | None, *model_args, **kwargs
    ) -> ModelType:
        """As in transformers, with the OpenGVLab repositories and those of transformers' own VideoMAE as well.

        A whole head, decoder, final norm or part that a subclass adds may be missing, which transformers reports. Any
        other weight that is missing, left over or of another shape is an error that lists it; with
        `output_loading_info=True` the lists of what is missing and left over are returned instead. The model is built
        with as many heads as were trained, and for clips of another size (`num_frames`, `image_size`) it interpolates
        the positions that were trained (`config.position_grid`). The folder of an adapter (PEFT) gives the model that
        it was trained on, with the adapter in it, of which every weight must fit. (Where an adapter lies in the folder
        of its model, the adapter alone is compared: transformers tells of nothing else.)

        Raises:
            UnfitWeightsError: See above; a `ValueError` and a `RuntimeError`.
        """
        if pretrained_model_name_or_path is None:
            return super().from_pretrained(None, *model_args, **kwargs)
        source = str(pretrained_model_name_or_path)
        allow_mismatch = kwargs.pop("ignore_mismatched_sizes", False)
        with_info = kwargs.pop("output_loading_info", False)
        found = adapter_and_base(source, kwargs)
        if found is not None:
            # model and adapter one after the other: loaded together, transformers reports only the adapter's keys
            adapter, base = found
            options = {name: kwargs.pop(name) for name in ("adapter_name", "adapter_kwargs") if name in kwargs}
            place = where_from(kwargs)
            kwargs.pop("subfolder", None)  # of the adapter
            model, info = cls.from_pretrained(
                base, *model_args, ignore_mismatched_sizes=allow_mismatch, output_loading_info=True, **kwargs
            )
            refuse_unfit_weights(model, info, base, allow_mismatch)
            info = add_adapter(model, info, adapter, allow_mismatch, place, **options)
            return (model, info) if with_info else model
        trained = cls._trained_config(source, kwargs)
        if trained is not None:
            kwargs |= cls._trained_positions(trained, kwargs)
        model, info = super().from_pretrained(
            source, *model_args, ignore_mismatched_sizes=True, output_loading_info=True, **kwargs
        )
        lists = {**info, "missing_keys": (), "unexpected_keys": ()} if with_info else info
        if is_of_adapter(model):  # one stored in the model's own folder
            refuse_unfit_adapter(model, info, source, allow_mismatch)
        refuse_unfit_weights(model, lists, source, allow_mismatch)
        refuse_other_heads(model, info, trained, source)
        return (model, info) if with_info else model

    @classmethod
    def _trained_config(cls, source: str, kwargs: dict) -> VideoMAEv2Config | None:
        """The checkpoint's own configuration, where the model is to be built with another one."""
        if kwargs.get("config") is None and not kwargs.keys() & {*HEADS, *GRID}:
            return None
        try:
            return cls.config_class.from_pretrained(source, **where_from(kwargs))
        except OSError:  # weights alone, or an adapter's folder: nothing to compare with
            return None

    @classmethod
    def _trained_positions(cls, trained: VideoMAEv2Config, kwargs: dict) -> dict:
        """What to change in `kwargs` so that clips of another size get positions that come from the trained ones."""
        config = kwargs.get("config")
        given = isinstance(config, PreTrainedConfig)  # else the name of one, or none
        if given and not hasattr(config, "keep_table_of"):  # of another model, as building this one will tell
            return {}
        if given:
            wanted = copy.deepcopy(config)
        else:
            wanted = copy.deepcopy(trained) if config is None else cls.config_class.from_pretrained(config)
            for name in kwargs.keys() & {*GRID, "position_grid"}:
                setattr(wanted, name, kwargs[name])
        wanted.validate_architecture()
        if not wanted.keep_table_of(trained):
            return {}
        return {"config": wanted} if given else {"position_grid": wanted.position_grid}

    def save_pretrained(self, save_directory: str | os.PathLike, *args, **kwargs) -> None:
        """As in transformers. The folder holds the code, and names it for all Auto classes, not this model's alone.

        Raises:
            RuntimeError: The model has 8-bit layers, which live in memory alone. Nothing is written.
        """
        self._refuse_what_cannot_be_saved()
        if self._auto_class is not None:
            known = getattr(self.config, "auto_map", None)
            self.config.auto_map = {**AUTO_MAP, **(known if isinstance(known, dict) else {})}
        super().save_pretrained(save_directory, *args, **kwargs)

    def push_to_hub(self, *args, **kwargs) -> str:
        """As in transformers; what `save_pretrained` refuses is refused before a repository is made."""
        self._refuse_what_cannot_be_saved()
        return super().push_to_hub(*args, **kwargs)

    def _refuse_what_cannot_be_saved(self) -> None:
        """Have layers that were put into the model after loading say so, if they cannot be saved."""
        for module in self.modules():
            refuse = getattr(module, "refuse_to_be_saved", None)
            if refuse is not None:
                refuse()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, (nn.Linear, VideoMAEv2CubeProjection)):
            self._init_linear(module)
        elif isinstance(module, nn.LayerNorm):
            init.ones_(module.weight)
            init.zeros_(module.bias)
        elif isinstance(module, VideoMAEv2LayerScale):
            init.constant_(module.lambda1, self.config.layer_scale_init_value)
        elif isinstance(module, VideoMAEv2Decoder):
            init_truncated_normal(module.mask_token, self.config.initializer_range)
        elif isinstance(module, VideoMAEv2Constants):
            for name, value in module.constants().items():
                init.copy_(getattr(module, name), value)

    def _init_linear(self, module: nn.Module) -> None:
        if not self._xavier_init:
            init_truncated_normal(module.weight, self.config.initializer_range)
        elif isinstance(module, nn.Linear):
            init.xavier_uniform_(module.weight)
        else:
            init.kaiming_uniform_(module.weight, a=math.sqrt(5))  # the reference leaves its convolution at that
        if module.bias is not None:
            init.zeros_(module.bias)


def refuse_misspelt(keywords: dict[str, object]) -> None:
    """Refuse a keyword that is nearly an argument: what is left over is ignored, and it may have been the mask."""
    arguments = ("bool_masked_pos", "decoder_bool_masked_pos", "labels")
    for key in keywords:
        nearest = None if key in arguments else difflib.get_close_matches(key, arguments, n=1, cutoff=0.8)
        if nearest:
            raise TypeError(f"The model has no argument `{key}`; did you mean `{nearest[0]}`?")


def warn_without_weights(implementation: str) -> None:
    """Say once that attention weights will be missing; transformers returns an empty tuple and says nothing."""
    if implementation in FUSED_ATTENTION:
        logger.warning_once(
            f'`output_attentions` returns nothing with the attention function "{implementation}", which keeps no '
            'weights. Call `model.set_attn_implementation("eager")`, or load the model with '
            '`attn_implementation="eager"`.'
        )


def seen_by_hooks(layers: nn.ModuleList) -> AbstractContextManager:
    """Within it, blocks that were compiled one by one run as they are written.

    transformers collects attention weights by hooks inside of the blocks, which it adds when it is first asked for
    them; a graph that was made before does not know of them, and torch does not look.
    """
    is_compiled = any(layer._compiled_call_impl is not None for layer in layers)
    return torch.compiler.set_stance("force_eager") if is_compiled else nullcontext()


def init_truncated_normal(tensor: torch.Tensor, std: float) -> None:
    if not std:  # which torch would divide by
        init.zeros_(tensor)
        return
    # cut where it is never seen, yet near enough that the sampling by inversion cannot return the bound itself
    init.trunc_normal_(tensor, std=std, a=-5 * std, b=5 * std)


class VideoMAEv2Model(VideoMAEv2PreTrainedModel):
    """Encoder: tokens and feature of a clip.

    Args:
        config: Architecture.
        for_pretraining: Build it as the encoder of the masked autoencoder: tokens are normed whatever
            `config.use_mean_pooling` says, nothing is pooled, linear layers start Xavier-uniform.
    """

    def __init__(self, config: VideoMAEv2Config, for_pretraining: bool = False) -> None:
        super().__init__(config)
        self._xavier_init = for_pretraining
        self._keys_to_ignore_on_load_unexpected = KEY_BIAS if for_pretraining else PRETRAINING_KEYS + KEY_BIAS
        self.embeddings = VideoMAEv2Embeddings(config)
        self.layers = build_layers(
            config,
            config.num_hidden_layers,
            config.hidden_size,
            config.num_attention_heads,
            config.intermediate_size,
        )
        norm = VideoMAEv2LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        pools = config.use_mean_pooling and not for_pretraining
        self.layernorm, self.fc_norm = (None, norm) if pools else (norm, None)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.embeddings.patch_embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.embeddings.patch_embeddings = value

    @merge_with_config_defaults
    @capture_outputs(tie_last_hidden_states=False)
    def forward(
        self,
        pixel_values: torch.Tensor,
        bool_masked_pos: torch.BoolTensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> BaseModelOutputWithPooling:
        r"""Encode clips.

        Args:
            pixel_values (`torch.FloatTensor` of shape `(batch_size, num_frames, num_channels, height, width)`):
                Clips, normalised as `VideoMAEv2VideoProcessor` does it. Frames and sides other than the configured ones
                work as well, if they are multiples of the cube; the position table is then interpolated.
            bool_masked_pos (`torch.BoolTensor` of shape `(batch_size, N)`, *optional*):
                Encoder mask, True = dropped, the same number in every clip. Dropped cubes are not even embedded.
                Default: all cubes are seen.

        Returns:
            `last_hidden_state` (`(batch_size, visible tokens, hidden_size)`) and `pooler_output`
            (`(batch_size, hidden_size)`): LayerNorm of the mean over tokens, the feature of the clip. With
            `use_mean_pooling=False` the tokens are normed and the feature is the first of them.

        Raises:
            ValueError: Shape, type or order of an argument is not as above; the message says what to change.

        Example:

        ```python
        >>> import torch
        >>> from modeling_videomae_v2 import VideoMAEv2Config, VideoMAEv2Model

        >>> model = VideoMAEv2Model(VideoMAEv2Config.from_preset("small")).eval()
        >>> with torch.no_grad():
        ...     outputs = model(torch.randn(1, 16, 3, 224, 224))
        >>> outputs.last_hidden_state.shape, outputs.pooler_output.shape
        (torch.Size([1, 1568, 384]), torch.Size([1, 384]))
        ```"""
        wants_weights = False
        if not torch.compiler.is_compiling():
            refuse_misspelt(kwargs)
            wants_weights = kwargs.get("output_attentions", self.config.output_attentions)
            if wants_weights:
                warn_without_weights(self.config._attn_implementation)
        hidden_states = self.embeddings(pixel_values, bool_masked_pos)
        with seen_by_hooks(self.layers) if wants_weights else nullcontext():
            for layer in self.layers:
                hidden_states = layer(hidden_states)
        if self.layernorm is not None:
            hidden_states = self.layernorm(hidden_states)
            feature = hidden_states[:, 0]
        else:
            feature = self.fc_norm(hidden_states.mean(dim=1))
        return BaseModelOutputWithPooling(last_hidden_state=hidden_states, pooler_output=feature)


class VideoMAEv2ForPreTraining(VideoMAEv2PreTrainedModel):
    """Dual-masked autoencoder (section 3.2); with `decoder_mask_type=None` it is VideoMAE V1."""

    _xavier_init = True
    _no_split_modules = [*VideoMAEv2PreTrainedModel._no_split_modules, "VideoMAEv2Decoder"]

    def __init__(self, config: VideoMAEv2Config) -> None:
        super().__init__(config)
        self.videomae_v2 = VideoMAEv2Model(config, for_pretraining=True)
        self.encoder_to_decoder = nn.Linear(config.hidden_size, config.decoder_hidden_size, bias=False)
        self.decoder = VideoMAEv2Decoder(config)
        self.reconstruction_loss = VideoMAEv2ReconstructionLoss(config)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.Tensor,
        bool_masked_pos: torch.BoolTensor | None = None,
        decoder_bool_masked_pos: torch.BoolTensor | None = None,
        return_loss: bool = True,
        **kwargs: Unpack[TransformersKwargs],
    ) -> VideoMAEv2ForPreTrainingOutput:
        r"""Reconstruct part of what was hidden from the encoder.

        Args:
            pixel_values (`torch.FloatTensor` of shape `(batch_size, num_frames, num_channels, height, width)`):
                Clips, normalised with the ImageNet mean and deviation, as `VideoMAEv2VideoProcessor` does it.
            bool_masked_pos (`torch.BoolTensor` of shape `(batch_size, N)`, *optional*):
                Encoder mask, True = dropped. Default: one is drawn per clip, as the configuration says.
            decoder_bool_masked_pos (`torch.BoolTensor` of shape `(batch_size, N)`, *optional*):
                Decoder mask, True = dropped; what it keeps is reconstructed. Default: as above; with
                `decoder_mask_type=None` everything that the encoder did not see is reconstructed.
            return_loss (`bool`, defaults to `True`):
                Compute the loss. `Trainer` looks for this argument: it evaluates models without labels only by it.

        Returns:
            `VideoMAEv2ForPreTrainingOutput`. The loss is the squared error, averaged over the values of a cube and
            then over the kept cubes of the whole batch that the encoder did not see (equation 2; 0 where there are
            none); with `decoder_loss_on="all"` over all kept cubes.

        Raises:
            ValueError: Shape, type or order of an argument is not as above, the grid cannot be masked as configured, or
                the encoder mask hides nothing from a loss over what is hidden.

        Example:

        ```python
        >>> import torch
        >>> from modeling_videomae_v2 import VideoMAEv2Config, VideoMAEv2ForPreTraining

        >>> model = VideoMAEv2ForPreTraining(VideoMAEv2Config.from_preset("small"))
        >>> outputs = model(torch.randn(2, 16, 3, 224, 224))
        >>> outputs.loss.backward()
        >>> outputs.logits.shape
        torch.Size([2, 784, 1536])
        ```"""
        config = self.config
        grid = token_grid(pixel_values, config)
        batch, device = pixel_values.shape[0], pixel_values.device
        if bool_masked_pos is None:
            bool_masked_pos = MASKS[config.mask_type](batch, grid, config.mask_ratio, device=device)
        if decoder_bool_masked_pos is None and config.decoder_mask_type is not None:
            draw = MASKS[config.decoder_mask_type]
            decoder_bool_masked_pos = draw(batch, grid, config.decoder_mask_ratio, device=device)

        visible = kept_indices(
            "bool_masked_pos", bool_masked_pos, pixel_values, grid, partial(num_visible, config, grid)
        )
        if decoder_bool_masked_pos is None:
            decoder_bool_masked_pos = ~bool_masked_pos
        if return_loss and config.decoder_loss_on == "invisible" and visible.shape[1] == math.prod(grid):
            raise ValueError(
                f"`bool_masked_pos` hides nothing of the {visible.shape[1]} tokens from the encoder: there is no loss "
                f"over what is hidden. Raise `mask_ratio` ({config.mask_ratio} of `mask_type` {config.mask_type!r}), "
                "or set `decoder_loss_on` to 'all'."
            )
        kept = kept_indices(
            "decoder_bool_masked_pos",
            decoder_bool_masked_pos,
            pixel_values,
            grid,
            partial(num_reconstructed, config, grid),
        )

        outputs = self.videomae_v2(pixel_values, bool_masked_pos, return_dict=True, **kwargs)
        logits = self.decoder(self.encoder_to_decoder(outputs.last_hidden_state), grid, visible, kept)

        loss = None
        if return_loss:
            hidden = bool_masked_pos.to(device, non_blocking=device.type != "mps")
            loss = self.reconstruction_loss(logits, pixel_values, kept, hidden)
        return VideoMAEv2ForPreTrainingOutput(
            loss=loss,
            logits=logits,
            bool_masked_pos=bool_masked_pos,
            decoder_bool_masked_pos=decoder_bool_masked_pos,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )


class VideoMAEv2ForVideoClassification(VideoMAEv2PreTrainedModel):
    """Encoder with a linear classifier on the feature of the clip."""

    _keys_to_ignore_on_load_unexpected = PRETRAINING_KEYS + KEY_BIAS

    def __init__(self, config: VideoMAEv2Config) -> None:
        super().__init__(config)
        self.num_labels = config.num_labels
        self.loss_type = "ForVideoClassification"  # transformers reads it off the name of the class, a subclass's own
        self.videomae_v2 = VideoMAEv2Model(config)
        self.dropout = nn.Dropout(config.classifier_dropout or 0.0)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if module is self.classifier:  # fine-tuning starts from a head that says nothing
            init_truncated_normal(module.weight, 0.001 * self.config.initializer_range)

    @can_return_tuple
    def forward(
        self,
        pixel_values: torch.Tensor,
        labels: torch.Tensor | None = None,
        **kwargs: Unpack[TransformersKwargs],
    ) -> ImageClassifierOutput:
        r"""Classify clips.

        Args:
            pixel_values (`torch.FloatTensor` of shape `(batch_size, num_frames, num_channels, height, width)`):
                Clips, normalised as `VideoMAEv2VideoProcessor` does it. With one dimension more, `(batch_size, views,
                num_frames, num_channels, height, width)`, views of a video are averaged: the logits are the logarithm
                of the mean of the views' softmax (multi-view test), or the mean of the views' logits where classes do
                not exclude each other.
            labels (`torch.Tensor`, *optional*):
                Class ids, `(batch_size,)` or `(batch_size, 1)`, or soft targets, `(batch_size, num_labels)`: cross
                entropy either way. With `config.problem_type` `"regression"` (squared error) or
                `"multi_label_classification"` (binary cross entropy), `(batch_size, num_labels)`; a single output is
                regression.

        Returns:
            `ImageClassifierOutput` with `logits` of shape `(batch_size, num_labels)`, and `loss` if there are labels.

        Raises:
            ValueError: Shape, type or order of an argument is not as above; the message says what to change.

        Example:

        ```python
        >>> import torch
        >>> from modeling_videomae_v2 import VideoMAEv2Config, VideoMAEv2ForVideoClassification

        >>> config = VideoMAEv2Config.from_preset("small", num_labels=710)
        >>> model = VideoMAEv2ForVideoClassification(config).eval()
        >>> model(torch.randn(1, 16, 3, 224, 224)).logits.shape
        torch.Size([1, 710])
        ```"""
        views = None
        if isinstance(pixel_values, torch.Tensor) and pixel_values.dim() == 6:
            token_grid(pixel_values, self.config, with_views=True)
            views, pixel_values = pixel_values.shape[1], pixel_values.flatten(0, 1)
        outputs = self.videomae_v2(pixel_values, return_dict=True, **kwargs)
        logits = self.classifier(self.dropout(outputs.pooler_output))
        if views is not None:
            logits = self.average_views(logits.unflatten(0, (-1, views)))

        return ImageClassifierOutput(
            loss=None if labels is None else self.classification_loss(logits, labels),
            logits=logits,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    def average_views(self, logits: torch.Tensor) -> torch.Tensor:
        """`(B, views, num_labels)` to `(B, num_labels)`."""
        if self.config.has_exclusive_classes and logits.shape[-1] > 1:
            return logits.log_softmax(dim=-1).logsumexp(dim=1) - math.log(logits.shape[1])
        return logits.mean(dim=1)

    def classification_loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Loss `()` of `logits` `(B, num_labels)` against class ids `(B,)` or soft targets `(B, num_labels)`."""
        if not isinstance(labels, torch.Tensor):
            raise ValueError(f"`labels` must be a tensor, got {type(labels).__name__}: call `torch.tensor` on them.")
        logits = at_least_fp32(logits)
        if hasattr(self, "_loss_function"):  # the user's, by `model.loss_function = ...`
            return self.loss_function(labels, logits, self.config)
        outputs = logits.shape[-1]  # of a head that the user has replaced, too
        if not self.config.has_exclusive_classes or outputs == 1:
            if labels.shape != logits.shape and (outputs > 1 or labels.shape != logits.shape[:1]):
                raise ValueError(
                    f"`labels` must have shape {tuple(logits.shape)}, a number for each output, with `problem_type` "
                    f"{self.config.problem_type!r}, got {tuple(labels.shape)}."
                )
            return self.loss_function(labels.to(logits.dtype).view_as(logits), logits, self.config)
        if labels.is_floating_point() and labels.shape == logits.shape:
            return nn.functional.cross_entropy(logits, labels.to(logits.dtype))
        if not labels.is_floating_point() and labels.numel() == logits.shape[0] and labels.shape[1:] in ((), (1,)):
            labels = labels.reshape(-1)  # of data sets whose labels are tensors of one number
        if labels.is_floating_point() or labels.shape != logits.shape[:1]:
            raise ValueError(
                f"`labels` must be class ids of shape {tuple(logits.shape[:1])} or soft targets (floating point) of "
                f"shape {tuple(logits.shape)}, got {labels.dtype} of shape {tuple(labels.shape)}. For several "
                "classes at once set `problem_type` to 'multi_label_classification'."
            )
        values = host_values(labels)  # on other devices it would mean to wait
        if values is not None:
            refuse_unknown_classes(values, outputs)
        return nn.functional.cross_entropy(logits, labels.long())


def refuse_unknown_classes(labels: np.ndarray, num_labels: int) -> None:
    """Refuse class ids that the model has no output for; -100 leaves a clip out of the loss, as in PyTorch."""
    wrong = labels[((labels < 0) | (labels >= num_labels)) & (labels != -100)]
    if len(wrong):
        raise ValueError(
            f"`labels` must be class ids from 0 to {num_labels - 1}, got {wrong[:6].tolist()}. Correct them, or "
            "load the model with another `num_labels`."
        )


# `pipeline("video-classification")` takes the models of this table and complains about all others.
MODEL_FOR_VIDEO_CLASSIFICATION_MAPPING_NAMES.setdefault(
    VideoMAEv2Config.model_type, VideoMAEv2ForVideoClassification.__name__
)

__all__ = [
    "VideoMAEv2ForPreTraining",
    "VideoMAEv2ForPreTrainingOutput",
    "VideoMAEv2ForVideoClassification",
    "VideoMAEv2Model",
    "VideoMAEv2PreTrainedModel",
]
