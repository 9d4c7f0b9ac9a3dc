# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Masks that depend on nothing but the seed and the number of the clip in the run.

However a batch is spread over processes and accumulated passes, and wherever a run is resumed, a clip gets the masks
that it would have had.
"""

import torch

from modeling_videomae_v2 import VideoMAEv2Config
from modeling_videomae_v2.masking_videomae_v2 import MASKS

from .data.chance import seed_from


class MaskDrawer:
    """Draws the masks of a configuration, clip by clip, in host memory.

    Args:
        config: Grid, types and ratios of the masks.
        seed: Seed of the run.

    Raises:
        ValueError: The grid cannot be masked as configured.
    """

    def __init__(self, config: VideoMAEv2Config, seed: int) -> None:
        self.config, self.seed = config, seed
        self.generators: list[torch.Generator] = []
        self(0, 1)  # refuses grids that cannot be masked before anything else happens

    def __call__(self, first_clip: int, num_clips: int) -> tuple[torch.BoolTensor, torch.BoolTensor | None]:
        """Encoder and decoder masks, each `(num_clips, tokens)`, True = dropped; no decoder mask in VideoMAE V1.

        Args:
            first_clip: Number in the run of the first clip; the others follow it.
            num_clips: How many.
        """
        config, grid = self.config, self.config.grid_size
        while len(self.generators) < num_clips:
            self.generators.append(torch.Generator())
        generators = self.generators[:num_clips]
        for clip, generator in enumerate(generators, first_clip):
            generator.manual_seed(seed_from(self.seed, clip))
        encoder = MASKS[config.mask_type](num_clips, grid, config.mask_ratio, generators)
        decoder = None
        if config.decoder_mask_type is not None:
            decoder = MASKS[config.decoder_mask_type](num_clips, grid, config.decoder_mask_ratio, generators)
        return encoder, decoder


def loss_weight(encoder: torch.BoolTensor, decoder: torch.BoolTensor | None, config: VideoMAEv2Config) -> float:
    """Weight of the loss of one part of a batch, so that the mean over all parts counts every token alike.

    The loss is a mean over tokens that were hidden from the encoder and kept for the decoder. Where their number
    differs from clip to clip, parts of a batch must count by it. This is their number here over the number that the two
    masks, being independent, share on average. It is 1 wherever the number is fixed, as for the published models.

    Args:
        encoder: Bool `(clips, tokens)` in host memory, True = dropped.
        decoder: The same for the decoder; None in VideoMAE V1.
        config: Which tokens the loss is taken over.
    """
    if decoder is None or config.decoder_loss_on == "all":
        return 1.0
    clips, tokens = encoder.shape
    hidden, kept = int(encoder[0].sum()), tokens - int(decoder[0].sum())
    expected = clips * hidden * kept / tokens
    return int((encoder & ~decoder).sum()) / expected if expected else 1.0
