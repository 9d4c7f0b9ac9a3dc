# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What all benchmarks of the models can be told, on the command line and in code."""

import argparse
import ast
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
import torch._inductor
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks.flops import PRESET_NAMES
from benchmarks.machine import processor
from modeling_videomae_v2.host_memory import keep_freed_memory
from training.disk import local_path


DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
DTYPE_NAMES = ("fp32", "bf16-autocast", "fp16-autocast", "bf16", "fp16")
BACKENDS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}
COMPILED = ("off", "blocks", "model")
GRAPH_MODES = ("reduce-overhead", "max-autotune")  # in which Inductor records CUDA graphs
MODES = ("default", *GRAPH_MODES, "max-autotune-no-cudagraphs")
OPTIMIZERS = ("none", "fused", "foreach")
CHECKPOINTING = ("none", "selective", "full")
SWEEP = (16, 64, 112, 256, 512)  # batch sizes to choose from on a GPU
SMALLER = (8, 4, 2, 1)  # those that are tried where memory does not last for the first of them
GPU_PRESETS = ("giant", "base")  # what matters most comes first
GRAPH_WARMUP = 4  # calls until CUDA graphs of forward and backward pass are recorded, and one more
TIMED_SHARE = 0.85  # of the time of a piece, where the rest is for profiles
TINY = "tiny"
CUDA_GRAPH = "CUDA graph"  # in tables


@dataclass(frozen=True)
class Settings:
    """How to measure; the fields are the options of the command line.

    Args:
        device: Where the models run.
        dtypes: Precisions, of `DTYPE_NAMES`; empty: what suits the piece.
        presets: Sizes of the models, or "tiny".
        presets_asked: Whether they were named, or are what suits the device.
        batch_sizes: Clips per call; empty: a GPU tries `SWEEP`, a CPU takes the default of the piece.
        compiled: Which of `COMPILED` to measure, one after the other.
        mode: Mode of `torch.compile`.
        inductor: Options of inductor, "NAME=VALUE"; in the place of a mode.
        freeze: Let inductor fold weights into the compiled graph (inference).
        cuda_graph: Record the passes of a call as one CUDA graph.
        sdpa: Name of the only back end that SDPA may take; None: its own choice.
        optimizer: Part of a training step: AdamW with fused kernels, with foreach kernels, or none.
        checkpointing: "full" keeps only the inputs of blocks and computes them again in the backward pass; "selective"
            keeps the results of products and attention as well.
        repeats: Timed rounds.
        warmup: Rounds before them.
        cpu_time: Count the processor time of this process and not the clock.
        one_by_one: Build, time and free one model after the other, where they do not fit into memory together.
        only: Parts of names of competitors; empty: all.
        profile: Say where the time goes: "ours", in our main variant, "all", in every one; None: nowhere.
        minutes: Start nothing new after so many; None: no limit.
        output: Folder for CSV files and pictures; None: only print.
    """

    device: torch.device
    dtypes: tuple[str, ...] = ()
    presets: tuple[str, ...] = ("base",)
    presets_asked: bool = True
    batch_sizes: tuple[int, ...] = ()
    compiled: tuple[str, ...] = ("off",)
    mode: str = "default"
    inductor: tuple[str, ...] = ()
    freeze: bool = False
    cuda_graph: bool = False
    sdpa: str | None = None
    optimizer: str = "none"
    checkpointing: str = "none"
    repeats: int = 10
    warmup: int = 2
    cpu_time: bool = False
    one_by_one: bool = False
    only: tuple[str, ...] = ()
    profile: str | None = None
    minutes: float | None = None
    output: Path | None = None
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, args: argparse.Namespace) -> "Settings":
        """From parsed options; sets the number of threads, and on a CPU has the memory of freed tensors kept."""
        if args.threads:
            torch.set_num_threads(args.threads)
        cuda = torch.cuda.is_available() if args.device is None else args.device.type == "cuda"
        if not cuda:
            keep_freed_memory()
        compiled = args.compile or (["off", "blocks"] if cuda else ["off"])
        return cls(
            device=args.device or torch.device("cuda" if cuda else "cpu"),
            dtypes=tuple(args.dtype or ()),
            presets=tuple(args.presets or (GPU_PRESETS if cuda else ("base",))),
            presets_asked=args.presets is not None,
            batch_sizes=tuple(args.batch_sizes or ()),
            compiled=tuple(compiled),
            mode=args.compile_mode,
            inductor=tuple(args.inductor or ()),
            freeze=args.freeze,
            cuda_graph=args.cuda_graph,
            sdpa=args.sdpa,
            optimizer=args.optimizer or ("fused" if cuda else "none"),
            checkpointing=args.checkpointing,
            repeats=args.repeats,
            warmup=args.warmup,
            cpu_time=args.cpu_time,
            one_by_one=args.one_by_one or cuda,
            only=tuple(args.only or ()),
            profile=args.profile,
            minutes=args.minutes,
            output=args.output,
        )

    @property
    def clock(self) -> Callable[[], float]:
        return time.process_time if self.cpu_time else time.perf_counter

    @property
    def late(self) -> bool:
        """Whether the time is up."""
        return self.seconds_left < 0

    @property
    def seconds_left(self) -> float:
        """Until the time is up; infinite without a limit."""
        return math.inf if self.minutes is None else 60 * self.minutes - (time.monotonic() - self.started)

    def with_share(self, share: float) -> "Settings":
        """The same, but for a limit after this share of the time that is left."""
        if self.minutes is None:
            return self
        passed = (time.monotonic() - self.started) / 60
        return replace(self, minutes=passed + share * (self.minutes - passed))

    def before_profiles(self) -> "Settings":
        """The same, with some of the time left for profiles where these are wanted."""
        return self.with_share(TIMED_SHARE) if self.profile else self

    def compile_options(self) -> dict[str, Any]:
        """Mode or options, as `torch.compile` takes them."""
        options = {name: _value(text) for name, _, text in (option.partition("=") for option in self.inductor)}
        return {"options": options} if options else {"mode": self.mode}

    @property
    def compile_label(self) -> str:
        """The same for tables."""
        return " ".join(self.inductor or (self.mode,)) + (", frozen" if self.freeze else "")

    def way(self, compiled: str) -> str:
        """What is compiled, of `COMPILED`, and how, for tables."""
        how = [self.compile_label] * (compiled != "off") + [CUDA_GRAPH] * self.cuda_graph
        return f"{compiled} ({', '.join(how)})" if how else compiled

    @property
    def records_graphs(self) -> bool:
        """Whether compiled models become CUDA graphs."""
        return self.mode in GRAPH_MODES

    @property
    def least_warmup(self) -> int:
        """Calls before a GPU is timed, at least."""
        return max(self.warmup, GRAPH_WARMUP) if self.records_graphs else self.warmup

    def backend(self) -> AbstractContextManager:
        """Where SDPA may take one back end alone."""
        return sdpa_kernel(BACKENDS[self.sdpa]) if self.sdpa else nullcontext()

    def precision(self, dtype: str) -> AbstractContextManager:
        """Autocast, if the precision asks for it."""
        kind, _, autocast = dtype.partition("-")
        return torch.autocast(self.device.type, DTYPES[kind]) if autocast else nullcontext()

    def precisions(self, half: str) -> tuple[str, ...]:
        """Precisions to measure: those asked for, else `half`, else fp32 where a CPU can only pretend to have bf16."""
        emulated = self.device.type == "cpu" and not processor()[1]
        return self.dtypes or (("fp32",) if emulated else (half,))

    def inference_precisions(self) -> tuple[str, ...]:
        """As `precisions`; fp32, too, on a CPU."""
        own = self.precisions("bf16")
        return own if self.dtypes or self.device.type != "cpu" else tuple(dict.fromkeys(("fp32", *own)))

    def wants(self, name: str) -> bool:
        """Whether a competitor is to be measured."""
        return not self.only or any(part in name for part in self.only)


def stored_dtype(dtype: str) -> torch.dtype:
    """Type of weights and clips: with autocast they stay fp32."""
    return torch.float32 if "-" in dtype else DTYPES[dtype]


def _value(text: str) -> Any:
    """What is written as Python writes it, or the text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def make_parser(description: str) -> argparse.ArgumentParser:
    """Parser with the options of all pieces."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("--presets", nargs="+", choices=(*PRESET_NAMES, TINY), help="sizes (default: base, on a GPU giant as well)")
    add("--batch-sizes", nargs="+", type=int, help="clips per call (default: a GPU tries several)")
    add("--device", type=torch.device, help="cpu or cuda (default: cuda where there is a GPU)")
    add("--dtype", nargs="+", choices=DTYPE_NAMES, help="precisions (default: what suits the piece)")
    add("--compile", nargs="+", choices=COMPILED, help="compile nothing, every block, or the whole model")
    add("--compile-mode", choices=MODES, default="default", help="reduce-overhead records CUDA graphs")
    add("--inductor", nargs="+", metavar="NAME=VALUE", help="options of inductor, as torch._inductor.config has them")
    add("--freeze", action="store_true", help="compiled inference: fold weights into the graph")
    add("--cuda-graph", action="store_true", help="steps and inference: record both passes as one CUDA graph")
    add("--sdpa", choices=tuple(BACKENDS), help="the only back end that SDPA may take")
    add("--optimizer", choices=OPTIMIZERS, help="AdamW in the step (default: fused on a GPU, none on a CPU)")
    add("--fused", dest="optimizer", action="store_const", const="fused", help="same as --optimizer fused")
    add("--checkpointing", choices=CHECKPOINTING, default="none", help="what blocks compute again when going back")
    add("--only", nargs="+", metavar="PART", help="competitors whose name holds one of these parts")
    add("--repeats", type=int, default=10, help="timed rounds")
    add("--warmup", type=int, default=2, help="rounds before them that do not count")
    add("--threads", type=int, help="CPU threads; 1 suffers least where other jobs are running")
    add("--cpu-time", action="store_true", help="processor time of this process, not the clock (for shared machines)")
    add("--one-by-one", action="store_true", help="one model in memory at a time (always so on a GPU)")
    add("--profile", nargs="?", const="all", choices=("ours", "all"), help="say where the time goes (alone: in all)")
    add("--minutes", type=float, help="start nothing new after so many minutes")
    add("--output", type=local_path, help="folder for CSV files and pictures")
    return parser


def parse(description: str, arguments: Sequence[str] | None = None) -> Settings:
    """Read the command line of a piece that has no options of its own.

    Raises:
        SystemExit: Options are wrong or contradict each other.
    """
    parser = make_parser(description)
    return read(parser, parser.parse_args(arguments))


def read(parser: argparse.ArgumentParser, args: argparse.Namespace) -> Settings:
    """Settings of parsed options, after a check (`SystemExit`)."""
    if args.device is not None and args.device.type == "cuda" and not torch.cuda.is_available():
        parser.error("--device cuda: this machine has no GPU that torch can use")
    on_cuda = args.device.type == "cuda" if args.device is not None else torch.cuda.is_available()
    if args.cpu_time and on_cuda:
        parser.error("--cpu-time needs --device cpu")
    if args.compile_mode in GRAPH_MODES and "blocks" in (args.compile or ("blocks",)):
        parser.error(f"--compile-mode {args.compile_mode} records CUDA graphs of whole models: add --compile model")
    if args.cuda_graph:
        refuse_graphs_in_graphs(parser, args, on_cuda)
    known = torch._inductor.list_options()
    unknown = [option for option in args.inductor or () if option.partition("=")[0] not in known]
    if unknown or (args.inductor and args.compile_mode != "default"):
        parser.error(f"--inductor takes names of torch._inductor.config and no --compile-mode, got {unknown or 'both'}")
    if args.repeats < 1 or args.warmup < 0:
        parser.error(f"--repeats must be at least 1 and --warmup at least 0, got {args.repeats} and {args.warmup}")
    if args.threads is not None and args.threads < 1:
        parser.error(f"--threads must be at least 1, got {args.threads}")
    if any(size < 1 for size in args.batch_sizes or ()):
        parser.error(f"--batch-sizes must be at least 1, got {min(args.batch_sizes)}")
    return Settings.of(args)


def refuse_graphs_in_graphs(parser: argparse.ArgumentParser, args: argparse.Namespace, on_cuda: bool) -> None:
    """What `--cuda-graph` cannot record ends here (`SystemExit`)."""
    if not on_cuda:
        parser.error("--cuda-graph needs a GPU: leave it out, or add --device cuda on a machine that has one")
    graphs = [f"--compile-mode {args.compile_mode}"] if args.compile_mode in GRAPH_MODES else []
    graphs += [option for option in args.inductor or () if option.startswith("triton.cudagraph")]
    if graphs:
        parser.error(f"--cuda-graph records the whole call, {graphs[0]} parts of it: leave one of them out")
