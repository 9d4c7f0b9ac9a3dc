# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Pictures out of a decoder as an encoder takes them: smaller, upright, 8 bits, in the colours that they had."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from modeling_videomae_v2.video_colours_videomae_v2 import Orientation, convert


PIXELS = "yuv420p"
LIMITED_RANGE = 1  # FFmpeg's number of 16 to 235
UNSPECIFIED, RGB = 2, 0  # FFmpeg's numbers of colour matrices that YUV cannot have
MATRICES = frozenset({1, 4, 5, 6, 7})  # those that every version of PyAV knows


class SmallerPictures:
    """Converts the pictures of a video, all to the size that the first one gets.

    Args:
        av: PyAV.
        first: The first picture.
        orientation: How to show them upright.
        size: The shorter side, in pixels, where that of `first` is longer. Sides become even.
        time_base: Of the pictures.

    Attributes:
        size: Width and height, upright.
        matrix: FFmpeg's number of the colour matrix, None where the video names none. The range is 16 to 235.
    """

    def __init__(self, av: Any, first: Any, orientation: Orientation, size: int, time_base: Fraction) -> None:
        self._av, self._time_base = av, time_base
        self._reformatter = av.video.reformatter.VideoReformatter()
        scale = min(1.0, size / min(first.width, first.height))
        self._coded = tuple(max(round(side * scale / 2), 1) * 2 for side in (first.width, first.height))
        self.matrix = None if first.colorspace in (UNSPECIFIED, RGB) else int(first.colorspace)
        self.size = self._coded[::-1] if orientation.swap else self._coded
        self._upright = None
        if orientation != Orientation():
            turns = {
                "transpose=cclock_flip": orientation.swap, "vflip": orientation.flip_rows,
                "hflip": orientation.flip_columns,
            }  # fmt: skip
            self._upright = self._filter([name for name, wanted in turns.items() if wanted], *self._coded, PIXELS)
        self._progressive: dict[tuple[int, int, str], Callable[[Any], Any]] = {}

    def __call__(self, picture: Any) -> Any:
        """The picture as it is to be encoded."""
        if picture.interlaced_frame:  # else each field would be scaled by itself, and the comb of both kept
            key = (picture.width, picture.height, picture.format.name)
            if key not in self._progressive:
                self._progressive[key] = self._filter(["setfield=prog"], *key)
            picture = self._progressive[key](picture)
        colours = {"src_color_range": picture.color_range, "dst_color_range": LIMITED_RANGE}
        if self.matrix in MATRICES:
            colours |= {"src_colorspace": self.matrix, "dst_colorspace": self.matrix}
        small = convert(self._reformatter, picture, *self._coded, PIXELS, interpolation="BICUBIC", **colours)
        return small if self._upright is None else self._upright(small)

    def _filter(self, filters: list[str], width: int, height: int, pixels: str) -> Callable[[Any], Any]:
        """What takes pictures of this size and format through FFmpeg's filters."""
        graph = self._av.filter.Graph()
        nodes = [graph.add_buffer(width=width, height=height, format=pixels, time_base=self._time_base)]
        for name in [*filters, "buffersink"]:
            name, _, value = name.partition("=")
            nodes.append(graph.add(name, value or None))
            nodes[-2].link_to(nodes[-1])
        graph.configure()

        def through(picture: Any) -> Any:
            graph.push(picture)  # not the nodes', which do not keep the graph alive
            return graph.pull()

        return through
