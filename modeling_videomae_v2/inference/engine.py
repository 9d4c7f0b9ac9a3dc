# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Videos through a model: threads decode ahead, the model gets full batches, results keep the order of the videos."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ..compiling import compile_model
from ..host_memory import keep_freed_memory
from ..quantizing import quantize_linear_layers
from .clips import Clip
from .loading import Checkpoint


# What a bad video raises. Anything else is a fault of the program, and shown as one.
VIDEO_ERRORS = (ValueError, OSError, EOFError)


@dataclass
class Result:
    """What came of one clip: `outputs` `(views, ...)`, float32, on the CPU."""

    video: int
    clip: Clip
    outputs: torch.Tensor


@dataclass
class Finished:
    """All results of a video have been given; `error` says why there are not more of them."""

    video: int
    error: Exception | None = None


class DecodeAhead:
    """Clips of videos, decoded by threads while the consumer does other work.

    Use it as a context manager, and iterate over it once: it gives `(index of the video, clip)` in order, and `(index,
    Finished)` after the last clip of each.

    Args:
        videos: What `decode` takes.
        decode: Gives the clips of a video.
        workers: Threads, each with a video of its own.
        ahead: Clips to buffer: up to this many of the video that is being consumed, and as many again of all later
            videos together.
    """

    def __init__(
        self, videos: Sequence[Any], decode: Callable[[Any], Iterator[Clip]], workers: int = 1, ahead: int = 4
    ) -> None:
        self._videos, self._decode, self._ahead = videos, decode, ahead
        self._ready: dict[int, deque[Clip | Finished]] = {index: deque() for index in range(len(videos))}
        self._next = self._head = self._waiting = 0  # video to decode next; video being consumed; clips that are ready
        self._stopped = False
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(min(workers, len(videos)))]

    def __enter__(self) -> "DecodeAhead":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout=10)

    def __iter__(self) -> Iterator[tuple[int, Clip | Finished]]:
        while self._head < len(self._videos):
            index = self._head
            with self._changed:
                self._changed.wait_for(lambda: self._ready[self._head])
                item = self._ready[index].popleft()
                if isinstance(item, Finished):
                    del self._ready[index]
                    self._head += 1
                else:
                    self._waiting -= 1
                self._changed.notify_all()
            if isinstance(item, Finished) and item.error and not isinstance(item.error, VIDEO_ERRORS):
                raise item.error
            yield index, item

    def _work(self) -> None:
        while True:
            with self._changed:
                index = self._next
                self._next += 1
            if index >= len(self._videos):
                return
            error: Exception | None = None
            try:
                with contextlib.closing(self._decode(self._videos[index])) as clips:
                    for clip in clips:
                        if not self._put(index, clip):
                            return
            except Exception as failure:  # raised again where the results are consumed
                error = failure
            with self._changed:
                self._ready[index].append(Finished(index, error))
                self._changed.notify_all()

    def _put(self, index: int, clip: Clip) -> bool:
        """Wait until there is room; False if nobody is going to take it."""

        def has_room() -> bool:
            # the video that is being consumed never waits for those behind it
            mine = index == self._head and len(self._ready[index]) < self._ahead
            return self._stopped or mine or self._waiting < self._ahead

        with self._changed:
            self._changed.wait_for(has_room)
            if not self._stopped:
                self._ready[index].append(clip)
                self._waiting += 1
                self._changed.notify_all()
            return not self._stopped


@dataclass
class _Pending:
    """A clip some of whose views the model has not seen."""

    video: int
    clip: Clip
    outputs: list[torch.Tensor] = field(default_factory=list)


class BatchRunner:
    """Runs a model over clips in batches.

    Args:
        checkpoint: Model and processor.
        forward: Gets the model and float pixel values `(n, frames, channels, height, width)`, returns `(n, ...)`.
        batch_size: Views in a batch.
        compile: Compile the model in place, block by block; the last batch is then filled up to the size of others.
        quantize: Give its blocks 8-bit linear layers, in place.

    Attributes:
        busy_seconds: Time spent in the model.
        idle_seconds: Time spent waiting for frames.

    Raises:
        ValueError: The model is on a device, or in a precision, that 8-bit layers are not made for; while it runs: the
            memory is too small, or the model gives values that are not finite.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        forward: Callable[[torch.nn.Module, torch.Tensor], torch.Tensor],
        batch_size: int,
        compile: bool = False,
        quantize: bool = False,
    ) -> None:
        self._name, self._processor = checkpoint.name, checkpoint.processor
        self._forward, self._batch_size = forward, batch_size
        self._model = checkpoint.model
        if quantize:
            quantize_linear_layers(self._model)
        compile_model(self._model, "blocks" if compile else "no")
        if self._model.device.type == "cpu":
            keep_freed_memory()
        self._device, self._dtype, self._fill = checkpoint.model.device, checkpoint.model.dtype, compile
        self.busy_seconds = self.idle_seconds = 0.0

    def run(self, decoded: DecodeAhead) -> Iterator[Result | Finished]:
        """Results in order: those of video 0, that it is finished, those of video 1, and so on."""
        order: deque[_Pending | Finished] = deque()
        views: deque[tuple[_Pending, torch.Tensor]] = deque()
        items = iter(decoded)
        while True:
            before = time.perf_counter()
            video, item = next(items, (-1, None))
            self.idle_seconds += time.perf_counter() - before
            if item is None:
                break
            if isinstance(item, Finished):
                order.append(item)
            else:
                pending = _Pending(video, item)
                order.append(pending)
                views.extend((pending, view) for view in item.views)
            while len(views) >= self._batch_size:
                self._run_some(views)
            yield from self._complete(order)
        while views:
            self._run_some(views)
        yield from self._complete(order)

    def _complete(self, order: deque[_Pending | Finished]) -> Iterator[Result | Finished]:
        while order:
            first = order[0]
            if isinstance(first, Finished):
                yield first
            elif len(first.outputs) < len(first.clip.views):
                return
            else:
                first.clip.views = torch.empty(0, dtype=torch.uint8)  # a slice would keep the pixels in memory
                yield Result(first.video, first.clip, torch.stack(first.outputs))
            order.popleft()

    def _run_some(self, views: deque[tuple[_Pending, torch.Tensor]]) -> None:
        """Take as many views as fit into a batch and are alike, and note what the model says of them."""
        before = time.perf_counter()
        shape, some = views[0][1].shape, []
        while views and len(some) < self._batch_size and views[0][1].shape == shape:
            some.append(views.popleft())
        batch = torch.stack([view for _, view in some])
        if self._fill and len(batch) < self._batch_size:
            batch = torch.cat([batch, batch[-1:].expand(self._batch_size - len(batch), *shape)])
        for (pending, _), output in zip(some, self._outputs(batch)):
            pending.outputs.append(output)
        self.busy_seconds += time.perf_counter() - before

    @torch.inference_mode()
    def _outputs(self, batch: torch.Tensor) -> torch.Tensor:
        pixel_values = self._processor(
            batch,
            do_resize=False,
            do_center_crop=False,
            do_sample_frames=False,
            num_clips=1,
            num_crops=1,
            input_data_format="channels_first",
            device=self._device,
            return_tensors="pt",
        )["pixel_values"]
        try:
            outputs = self._forward(self._model, pixel_values.to(self._dtype)).float().cpu()
        except torch.OutOfMemoryError as error:
            raise ValueError(
                f"The memory of {self._device} is too small for {len(batch)} clips of {tuple(batch.shape[1:])} at "
                f"once. Lower `--batch-size` (now {self._batch_size}), or use `--dtype bfloat16`."
            ) from error
        if not outputs.isfinite().all():
            half = self._dtype != torch.float32
            way_out = "Use `--dtype float32`." if half else "Its weights may be damaged, or its training has failed."
            raise ValueError(
                f"{self._name} gives values that are NaN or infinite, in {str(self._dtype).removeprefix('torch.')}. "
                + way_out
            )
        return outputs


__all__ = ["BatchRunner", "DecodeAhead", "Finished", "Result"]
