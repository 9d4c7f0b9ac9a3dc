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


def processor_name() -> str:
    """Name of the CPU, with what it has for bf16: AMX makes it several times faster than fp32."""
    name, flags = platform.processor() or platform.machine(), ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                name = value.strip()
            elif key.strip() == "flags":
                flags = value
                break
    support = [label for flag, label in (("amx_bf16", "AMX"), ("avx512_bf16", "AVX512-BF16")) if flag in flags.split()]
    return f"{name} ({', '.join(support)})" if support else name


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
