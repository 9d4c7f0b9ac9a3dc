"""When compiled models take kernels of our own; `test_gpu_kernels.py` and `test_gpu.py` look at what these compute."""

import sys
from types import SimpleNamespace

import pytest
import torch
from tiny import tiny_model

from modeling_videomae_v2 import VideoMAEv2ForPreTraining, compiling
from modeling_videomae_v2.blocks_videomae_v2 import VideoMAEv2Attention, VideoMAEv2MLP
from modeling_videomae_v2.compiling import CompileMode, can_use_training_kernels, compile_model


@pytest.fixture
def hopper(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with the GPU, and Triton."""
    monkeypatch.delenv("VIDEOMAE_V2_KERNELS", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda number: (9, 0))
    monkeypatch.setitem(sys.modules, "triton", SimpleNamespace(__version__="3.6.0"))


@pytest.mark.usefixtures("hopper")
def test_hopper_with_triton_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert can_use_training_kernels()
    monkeypatch.setitem(sys.modules, "triton", SimpleNamespace(__version__="3.10.0+git1"))
    assert can_use_training_kernels()


@pytest.mark.usefixtures("hopper")
@pytest.mark.parametrize(
    "missing", ["cuda", "older", "newer", "second", "triton", "new triton", "nvidia", "switched off"]
)
def test_nothing_else_does(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    match missing:
        case "cuda":
            monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        case "older" | "newer" | "second":
            kinds = {"older": [(8, 9), (8, 9)], "newer": [(10, 0), (10, 0)], "second": [(9, 0), (8, 0)]}[missing]
            monkeypatch.setattr(torch.cuda, "get_device_capability", lambda number: kinds[number])
        case "triton":
            monkeypatch.setitem(sys.modules, "triton", None)
        case "new triton":
            monkeypatch.setitem(sys.modules, "triton", SimpleNamespace(__version__="3.5.1"))
        case "nvidia":
            monkeypatch.setattr(torch.version, "hip", "7.0")
        case "switched off":
            monkeypatch.setenv("VIDEOMAE_V2_KERNELS", "0")
    assert not can_use_training_kernels()


@pytest.mark.parametrize(
    ("parts", "there", "expected"),
    [("blocks", True, True), ("model", True, True), ("no", True, False), ("blocks", False, False)],
)
def test_what_is_compiled_takes_them(
    parts: CompileMode, there: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And keeps the names of its weights, and computes elsewhere what it computed before."""
    pytest.importorskip("triton")
    monkeypatch.setattr(compiling, "can_use_training_kernels", lambda: there)
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **options: None)
    model = tiny_model(VideoMAEv2ForPreTraining).train()
    names, clips = list(model.state_dict()), torch.randn(1, 4, 3, 16, 16)
    torch.manual_seed(0)
    before = model(clips).loss
    compile_model(model, parts)
    torch.manual_seed(0)
    assert torch.equal(model(clips).loss, before)
    assert list(model.state_dict()) == names
    plain = [type(module) for module in model.modules() if isinstance(module, VideoMAEv2Attention | VideoMAEv2MLP)]
    assert len(plain) == 8
    assert all(kind not in (VideoMAEv2Attention, VideoMAEv2MLP) for kind in plain) == expected
