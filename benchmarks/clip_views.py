# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Views of clips out of video files, as ours and other libraries make them; each decodes once for all views."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision.transforms import v2
from torchvision.transforms.v2.functional import resized_crop
from transformers import VideoMAEVideoProcessor
from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from transformers.video_utils import load_video

from training.data import ClipDataset, FrameSampler, Mixture
from training.data.augment import multi_scale_crop
from training.data.files import FolderSource
from training.data.loading import make_view_maker
from training.recipe import DataRecipe, SourceRecipe
from training.recipe_data import AugmentRecipe


NUM_FRAMES, STRIDE, SIZE = 16, 4, 224
MEAN = torch.tensor(IMAGENET_DEFAULT_MEAN).view(3, 1, 1)
STD = torch.tensor(IMAGENET_DEFAULT_STD).view(3, 1, 1)
# torchvision's own, as strong as our recipes': half of 4 operations, at magnitude 7 of 10.
THEIR_AUGMENTATION = v2.Compose(
    [v2.RandomResizedCrop(SIZE), v2.RandomHorizontalFlip(), v2.RandAugment(2, magnitude=21, num_magnitude_bins=31)]
)


def recipe_of(folder: Path, views: int, fine_tuning: bool = False, workers: int = 0) -> DataRecipe:
    """What training reads these videos with: crops of pre-training, or the augmentation of fine-tuning."""
    augment = AugmentRecipe(crop="random_resized", rand_augment=True) if fine_tuning else AugmentRecipe()
    sources = [SourceRecipe(path=str(folder), kind="folder")]
    return DataRecipe(sources=sources, views=views, workers=workers, image_size=SIZE, flip=fine_tuning, augment=augment)


class Clips:
    """The same frames for every competitor, by the number of the round; each draws its own crops, in the same way.

    Args:
        folder: Where the videos are.
        views: How many of each clip.
        fine_tuning: Augment as fine-tuning does, each library with its own RandAugment.
    """

    def __init__(self, folder: Path, views: int, fine_tuning: bool = False) -> None:
        self.folder, self.source, self.views, self.fine_tuning = folder, FolderSource(str(folder)), views, fine_tuning
        self.choose = FrameSampler(NUM_FRAMES, STRIDE)
        make_views = make_view_maker(recipe_of(folder, views, fine_tuning))
        self.ours = ClipDataset(Mixture([self.source]), self.choose, make_views)
        self.processor = VideoMAEVideoProcessor(size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE})

    def path(self, number: int) -> str:
        return str(self.source.get(number % self.source.length, 0).content)

    def frames(self, number: int, total: int) -> list[int]:
        return self.choose(total, None, np.random.default_rng(number)).tolist()

    def run_ours(self, number: int) -> torch.Tensor:
        """uint8 `(views, T, C, H, W)`."""
        dataset = self.ours
        dataset.choose = lambda total, rate, rng: np.array(self.frames(number, total))
        return dataset[number // self.source.length, number % self.source.length]["pixel_values"]

    def run_ours_normalised(self, number: int) -> torch.Tensor:
        """float32 `(views, T, C, H, W)`."""
        return torch.addcmul(-MEAN / STD, self.run_ours(number).float(), 1 / (255 * STD))

    def run_decord(self, number: int) -> torch.Tensor:
        """float32 `(views, T, C, H, W)`."""
        import decord

        reader = decord.VideoReader(self.path(number), num_threads=1, ctx=decord.cpu(0))
        frames = reader.get_batch(self.frames(number, len(reader))).asnumpy()
        pictures, rng, views = [Image.fromarray(frame) for frame in frames], np.random.default_rng(number), []
        for _ in range(self.views):
            crop = multi_scale_crop(*frames.shape[1:3], SIZE, rng)
            box = (crop.left, crop.top, crop.left + crop.width, crop.top + crop.height)
            cut = [picture.crop(box).resize((SIZE, SIZE), Image.Resampling.BILINEAR) for picture in pictures]
            clip = torch.from_numpy(np.stack([np.asarray(picture) for picture in cut])).permute(0, 3, 1, 2)
            views.append(clip.contiguous().float().div_(255).sub_(MEAN).div_(STD))
        return torch.stack(views)

    def run_torchcodec(self, number: int) -> torch.Tensor:
        """float32 `(views, T, C, H, W)`."""
        from torchcodec.decoders import VideoDecoder

        decoder, rng, views = VideoDecoder(self.path(number), num_ffmpeg_threads=1), np.random.default_rng(number), []
        frames = decoder.get_frames_at(self.frames(number, len(decoder))).data
        for _ in range(self.views):
            if self.fine_tuning:
                view = THEIR_AUGMENTATION(frames)
            else:
                crop = multi_scale_crop(*frames.shape[2:], SIZE, rng)
                view = resized_crop(frames, crop.top, crop.left, crop.height, crop.width, [SIZE, SIZE])
            views.append(view.float().div_(255).sub_(MEAN).div_(STD))
        return torch.stack(views)

    def run_transformers(self, number: int) -> torch.Tensor:
        """float32 `(views, T, C, H, W)`."""

        def choose(metadata: Any, **_: Any) -> list[int]:
            return self.frames(number, metadata.total_num_frames)

        video, _ = load_video(self.path(number), backend="pyav", sample_indices_fn=choose)
        return self.processor([video] * self.views, do_sample_frames=False, return_tensors="pt").pixel_values
