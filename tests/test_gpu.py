"""What only a CUDA device can show: it computes what the CPU computes. `test_gpu_flow.py` looks at all but results."""

from collections.abc import Callable

import pytest
import torch
from tiny import clips, tiny_model
from tiny_benchmark import recorded_step
from transformers import PreTrainedModel

from modeling_videomae_v2 import (
    VideoMAEv2ForPreTraining,
    VideoMAEv2ForVideoClassification,
    running_cell_mask,
    tube_mask,
)
from modeling_videomae_v2.compiling import CompileMode, can_use_training_kernels, compile_model
from modeling_videomae_v2.float8_gpu import Float8Linear, can_multiply_float8
from modeling_videomae_v2.quantizing import quantize_linear_layers
from training.transfer import FrameTransfer


pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def test_masks_of_a_device_generator_repeat() -> None:
    draws = [tube_mask(4, (8, 14, 14), 0.9, torch.Generator("cuda").manual_seed(3)) for _ in range(2)]
    assert draws[0].device.type == "cuda"
    assert torch.equal(*draws)
    assert (draws[0].view(4, 8, 196).sum(-1) == 176).all()


def test_mask_in_host_memory_may_drop_any_number() -> None:
    model = tiny_model(VideoMAEv2ForPreTraining).cuda()
    mask = tube_mask(2, model.config.grid_size, 0.25)
    assert model(clips().cuda(), bool_masked_pos=mask).loss.isfinite()


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_equals_the_cpu(implementation: str) -> None:
    model = tiny_model(VideoMAEv2ForVideoClassification, attn_implementation=implementation)
    with torch.no_grad():
        expected = model(clips()).logits
        torch.testing.assert_close(model.cuda()(clips().cuda()).logits.cpu(), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("compiled", ["no", "blocks"])
def test_float8_is_near_fp32(compiled: CompileMode) -> None:
    """Products of the GPU give what the same rounded numbers give in float32 on the CPU."""
    if not can_multiply_float8(torch.device("cuda", torch.cuda.current_device())):
        pytest.skip("needs float8 products")
    model = tiny_model(VideoMAEv2ForVideoClassification, intermediate_size=48)
    with torch.no_grad():
        exact = model(clips()).logits
        quantize_linear_layers(model.to("cuda", torch.bfloat16))
        compile_model(model, compiled, dynamic=False)
        result = model(clips().to("cuda", torch.bfloat16)).logits.float().cpu()
    assert sum(isinstance(module, Float8Linear) for module in model.modules()) == 4 * model.config.num_hidden_layers
    assert 1e-4 < (result - exact).norm() / exact.norm() < 0.08


@pytest.mark.parametrize("model_class", [VideoMAEv2ForVideoClassification, VideoMAEv2ForPreTraining])
def test_compiled_blocks_equal_the_cpu(model_class: type[PreTrainedModel]) -> None:
    """Also where no product takes the channels of the MLP as they are."""
    model = tiny_model(model_class)
    masks, grid = {}, model.config.grid_size
    if model_class is VideoMAEv2ForPreTraining:
        masks["bool_masked_pos"] = tube_mask(2, grid, model.config.mask_ratio)
        masks["decoder_bool_masked_pos"] = running_cell_mask(2, grid, model.config.decoder_mask_ratio)
    expected = model(clips(), **masks)[0]
    model = model.cuda()
    compile_model(model, "blocks", dynamic=False)
    for context in (torch.no_grad(), torch.enable_grad()):
        with context:
            result = model(clips().cuda(), **{name: mask.cuda() for name, mask in masks.items()})[0]
        torch.testing.assert_close(result.cpu(), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_compiled_training_is_as_near_to_fp32_as_plain_training(dtype: torch.dtype) -> None:
    """Gradients of a step in half precision, with kernels of our own and without."""
    if not can_use_training_kernels():
        pytest.skip("needs the GPU that the kernels are for")
    config = tiny_model(VideoMAEv2ForPreTraining).config
    masks = {
        "bool_masked_pos": tube_mask(2, config.grid_size, config.mask_ratio),
        "decoder_bool_masked_pos": running_cell_mask(2, config.grid_size, config.decoder_mask_ratio),
    }

    def gradients(device: str, compiled: CompileMode) -> torch.Tensor:
        model = tiny_model(VideoMAEv2ForPreTraining).to(device).train()
        compile_model(model, compiled, dynamic=False)
        with torch.autocast(device, dtype, enabled=device == "cuda"):
            model(clips().to(device), **{name: mask.to(device) for name, mask in masks.items()}).loss.backward()
        return torch.cat([parameter.grad.flatten().double().cpu() for parameter in model.parameters()])

    exact = gradients("cpu", "no")
    plain, ours = ((gradients("cuda", way) - exact).norm() / exact.norm() for way in ("no", "blocks"))
    assert 0 < ours < 1.3 * plain < 0.1


def test_frames_travel_while_the_device_computes(waiting_is_an_error: Callable) -> None:
    """Memory of one batch is not given to the next while it is still being read."""
    device, transfer = torch.device("cuda", torch.cuda.current_device()), FrameTransfer([0.4] * 3, [0.2] * 3)
    batches = [torch.full((2, 4, 3, 256, 256), number, dtype=torch.uint8).pin_memory() for number in range(40)]
    busy = torch.rand(4096, 4096, device=device)
    transfer(batches[0], device)
    torch.cuda.synchronize()
    waiting_is_an_error()
    means = []
    for frames in batches:
        clips = transfer(frames, device)
        busy = (busy @ busy).tanh()
        means.append(clips.mean())
    torch.cuda.set_sync_debug_mode("default")
    expected = [(number / 255 - 0.4) / 0.2 for number in range(40)]
    torch.testing.assert_close(torch.stack(means).cpu(), torch.tensor(expected), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("compiled", ["off", "blocks"])
def test_a_recorded_step_gives_the_gradients_of_an_unrecorded_one(compiled: str) -> None:
    """With weights and clips that are not those of the recording, and masks that every step draws anew."""
    step, inputs = recorded_step("pretraining", compiled)
    step.optimizer.param_groups[0]["lr"] = 0.01
    for number in range(2):
        step(*inputs(number))
    step.optimizer = None
    batch = inputs(2)
    losses = []
    for seed in (1, 2, 1):
        torch.manual_seed(seed)
        step(*batch)
        losses.append(step.recording.result.item())
    recorded = {name: parameter.grad.clone() for name, parameter in step.model.named_parameters()}
    step.model.zero_grad(set_to_none=True)
    torch.manual_seed(1)
    loss = step.passes(*batch)
    expected = {name: parameter.grad for name, parameter in step.model.named_parameters()}
    assert losses[2] == pytest.approx(loss.item(), rel=1e-3)
    assert losses[0] == losses[2] != losses[1]
    for name, gradient in expected.items():
        assert (recorded[name] - gradient).norm() <= 0.01 * gradient.norm() + 1e-6, name
