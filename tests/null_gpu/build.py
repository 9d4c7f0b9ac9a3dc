"""A GPU that computes nothing, for tests of everything around its kernels.

torch's CUDA build runs on it as on a GPU: allocator, streams, autograd's threads, autocast, the choice of kernels, what
waits for the device, what can be recorded as a CUDA graph, and the code that Inductor and Triton generate. Results are
zero, and times mean nothing.
"""

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import torch


SOURCES = Path(__file__).parent
TORCH_LIBRARIES = ("libc10_cuda.so", "libtorch_cuda.so", "libtorch_python.so", "libtorch_cuda_linalg.so")
FOREIGN = re.compile(r"^(?:__cuda|cuda|cublas|cudnn|cusparse|cusolver|cufft|curand)\w*$")
TEXT = re.compile(r"(?:ErrorString|ErrorName|StatusString|StatusName)$")


class CannotBuildError(RuntimeError):
    """This machine or this torch lacks something; the message says what."""


def build(folder: Path) -> dict[str, str]:
    """Compile the libraries into `folder`.

    Returns:
        Environment variables with which a new process sees the device.

    Raises:
        CannotBuildError: See there.
    """
    if torch.version.cuda is None:
        raise CannotBuildError("torch is built without CUDA")
    missing = [tool for tool in ("cc", "nm") if shutil.which(tool) is None]
    if missing:
        raise CannotBuildError(f"{' and '.join(missing)} not found")
    major = torch.version.cuda.split(".")[0]
    headers = _headers(major)
    (folder / "rest_of_runtime.c").write_text(_stubs(_imported_names()))
    (folder / "rest_of_driver.c").write_text(_stubs(_driver_names(headers)))
    runtime, nvrtc = folder / "libnullgpu.so", folder / f"libnvrtc.so.{major}"
    _compile(runtime, headers, SOURCES / "runtime.c", SOURCES / "streams.c", folder / "rest_of_runtime.c")
    _compile(nvrtc, headers, SOURCES / "nvrtc.c", versioned=True)
    _compile(folder / "libcuda.so.1", headers, SOURCES / "driver.c", folder / "rest_of_driver.c")
    (folder / "libcuda.so").symlink_to("libcuda.so.1")
    return {
        "LD_PRELOAD": f"{runtime}:{nvrtc}",
        "LD_LIBRARY_PATH": str(folder),
        "TRITON_LIBCUDA_PATH": str(folder),
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
        "TRITON_CACHE_DIR": str(folder / "triton"),
        "TORCHINDUCTOR_COMPILE_THREADS": "1",
        "TORCH_CUDNN_SDPA_DEPRIORITIZED": "1",  # there is no cuDNN
    }


def _headers(major: str) -> list[Path]:
    """Folders with the headers of CUDA, which come with torch; those that it leaves out come with Triton."""
    packages = Path(sysconfig.get_path("purelib"))
    folders = [packages / f"nvidia/cu{major}/include", packages / "triton/backends/nvidia/include"]
    for name in ("cuda.h", "cuda_runtime_api.h", "crt/host_defines.h"):
        if not any((folder / name).exists() for folder in folders):
            raise CannotBuildError(f"no {name} in {' or '.join(map(str, folders))}")
    return folders


def _imported_names() -> set[str]:
    """What torch takes from the libraries of CUDA."""
    folder = Path(torch.__file__).parent / "lib"
    paths = [str(folder / name) for name in TORCH_LIBRARIES if (folder / name).exists()]
    listing = subprocess.run(["nm", "-D", "--undefined-only", *paths], capture_output=True, text=True, check=True)
    names = {line.split()[-1].split("@")[0] for line in listing.stdout.splitlines() if " U " in line}
    return {name for name in names if FOREIGN.match(name)}


def _driver_names(headers: list[Path]) -> set[str]:
    text = next(path for folder in headers if (path := folder / "cuda.h").exists()).read_text()
    declared = re.findall(r"CUDAAPI\s+(cu[A-Z]\w+)\s*\(", text)
    return {*declared, *re.findall(r"#\s*define\s+cu[A-Z]\w+\s+(cu[A-Z]\w+)", text)}


def _stubs(names: set[str]) -> str:
    """Functions that do nothing and succeed, in place of which others may stand."""
    weak = "__attribute__((weak))"
    lines = [
        f'{weak} const char *{name}() {{ return "error of the null GPU"; }}'
        if TEXT.search(name)
        else f"{weak} long {name}() {{ return 0; }}"
        for name in sorted(names)
    ]
    return "\n".join([*lines, ""])


def _compile(library: Path, headers: list[Path], *sources: Path, versioned: bool = False) -> None:
    command = ["cc", "-O1", "-w", "-fPIC", "-shared", f"-Wl,-soname,{library.name}", "-o", str(library)]
    command += [f"-I{folder}" for folder in headers]
    if versioned:  # who links against a library of NVIDIA asks for the version that bears its name
        versions = library.with_suffix(".versions")
        versions.write_text(f"{library.name} {{ global: *; }};\n")
        command.append(f"-Wl,--version-script,{versions}")
    done = subprocess.run([*command, *map(str, sources), "-lpthread"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotBuildError(f"{library.name} does not compile:\n{done.stderr}")
