# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What a measurement was taken on."""

import datetime
import platform
import shlex
import sys
from pathlib import Path

import torch
import transformers


BF16_FLAGS = {"amx_bf16": "AMX", "avx512_bf16": "AVX512-BF16", "bf16": "BF16"}  # the last one is Arm's


def processor() -> tuple[str, list[str]]:
    """Name of the CPU, and what it has for bf16, which decides how bf16 compares with fp32 there."""
    name, flags = platform.processor() or platform.machine(), []
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                name = value.strip()
            elif key.strip() in ("flags", "Features"):
                flags = value.split()
                break
    return name, [label for flag, label in BF16_FLAGS.items() if flag in flags]


def processor_name() -> str:
    """The CPU, as results name it."""
    name, support = processor()
    return f"{name} ({', '.join(support) or 'no bf16'})"


def describe(device: torch.device) -> dict[str, str]:
    """Device, threads, versions, date and command: what every table of results has to name."""
    cuda = device.type == "cuda"
    module = getattr(sys.modules["__main__"], "__spec__", None)
    command = f"python -m {module.name}" if module is not None else "python"
    return {
        "device": torch.cuda.get_device_name(device) if cuda else processor_name(),
        "threads": str(torch.get_num_threads()),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "date": datetime.date.today().isoformat(),
        "command": shlex.join([*command.split(), *sys.argv[1:]]),
    }
