# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The benchmarks run, on a tiny model, and compare what they claim to compare."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import clips, masks, tiny_model
from torch.nn.attention import SDPBackend
from torch.profiler import ProfilerActivity

from benchmarks import attention, end_to_end, features, finetune_step, inference, memory, pretrain_step, run
from benchmarks.backends import backend_taken
from benchmarks.competitors import DUAL, ENCODER_ONLY, Competitor, competitors
from benchmarks.measuring import after_sweep, measure, one_by_one
from benchmarks.peak import matmul_peak
from benchmarks.profiling import SHARES, kind_of, profile_step
from benchmarks.research_way import ResearchClassifier, ResearchPreTraining, load_ours
from benchmarks.row_file import RowFile, read_text
from benchmarks.rows import Measurement, make_rows
from benchmarks.settings import Settings, parse
from benchmarks.steps import Inputs, Step, kept_for_backward
from benchmarks.tables import device_name
from benchmarks.timing import queued
from modeling_videomae_v2 import VideoMAEv2ForPreTraining, VideoMAEv2ForVideoClassification
from training.activation_memory import as_on_a_gpu


CPU = torch.device("cpu")
CPU_NAME = device_name(CPU)
QUICK = Settings(device=CPU, presets=("tiny",), repeats=2, warmup=1)


@pytest.fixture(autouse=True)
def _small_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.peak.SIDES", {"cpu": (64,)})
    monkeypatch.setattr("benchmarks.peak.SECONDS", 0.0)


@pytest.mark.parametrize("decoder_mask_type", ["running_cell", None])
def test_research_way_has_our_loss_and_gradients(decoder_mask_type: str | None) -> None:
    ours = tiny_model(VideoMAEv2ForPreTraining, decoder_mask_type=decoder_mask_type)
    theirs = ResearchPreTraining(ours.config)
    load_ours(theirs, ours.state_dict())
    given = masks() if decoder_mask_type else {"bool_masked_pos": masks()["bool_masked_pos"]}
    losses = [ours(clips(), **given).loss, theirs(clips(), **given)]
    torch.testing.assert_close(*losses)
    for loss in losses:
        loss.backward()
    torch.testing.assert_close(theirs.head.weight.grad, ours.decoder.head.weight.grad)
    torch.testing.assert_close(
        theirs.encoder.embed.weight.grad, ours.videomae_v2.embeddings.patch_embeddings.projection.weight.grad
    )


def test_research_way_has_our_logits() -> None:
    ours = tiny_model(VideoMAEv2ForVideoClassification)
    theirs = ResearchClassifier(ours.config)
    load_ours(theirs, ours.state_dict())
    torch.testing.assert_close(theirs(clips()), ours(clips()).logits)


@pytest.mark.parametrize("piece", [pretrain_step, finetune_step, inference])
def test_timed_piece_gives_a_complete_row_for_each_competitor(piece: object, tmp_path: Path) -> None:
    settings = Settings(device=CPU, presets=("tiny",), repeats=2, warmup=1, optimizer="fused", output=tmp_path)
    rows = piece.run(settings)
    assert {row["status"] for row in rows} == {"ok"}
    names = {row["variant"] for row in rows}
    assert {"transformers, sdpa", "transformers, eager", "research way"} < names
    for row in rows:
        assert row["clips_per_s"] > 0
        assert row["speedup"] > 0
        assert row["device"]
        assert row["torch"] == torch.__version__
    (path,) = tmp_path.glob("*.csv")
    with path.open() as file:
        assert len(list(csv.DictReader(file))) == len(rows)


def test_one_that_fails_leaves_the_others() -> None:
    settings = Settings(device=CPU, presets=("tiny",), repeats=1, warmup=0, checkpointing="selective")
    results = RowFile("pretrain_step", CPU, None)
    measure("pretraining", "fp32", settings, 1, results)
    rows = {row["variant"]: row for row in results.rows}
    assert "no checkpointing" in rows["research way"]["status"]
    assert rows["research way"]["clips_per_s"] == ""
    assert rows[DUAL]["status"] == "ok"


def dual(preset: str = "tiny") -> Competitor:
    return next(c for c in competitors("pretraining", preset) if c.name == DUAL)


def sweep(monkeypatch: pytest.MonkeyPatch, seconds: dict[int, float], room: int = 10**6) -> list[Measurement]:
    """Sweep of batch sizes that take so long, where memory is enough for so many clips."""

    def time_steps(steps: object, inputs: Inputs, settings: Settings) -> dict[str, list[float]]:
        if inputs.batch_size > room:
            raise torch.OutOfMemoryError("too many clips")
        return {"": [seconds[inputs.batch_size]]}

    monkeypatch.setattr("benchmarks.measuring.time_steps", time_steps)
    sizes = tuple(size for size in seconds if size >= 4)
    return list(one_by_one(dual(), "pretraining", "tiny", "fp32", "off", sizes, True, QUICK))


def test_sweep_stops_where_a_larger_batch_brings_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found = sweep(monkeypatch, {4: 0.1, 8: 0.1, 16: 0.2, 32: 0.4, 64: 0.8})
    assert [m.batch_size for m in found] == [4, 8, 16, 32]
    results = RowFile("pretrain_step", CPU, None)
    results.put(make_rows(found, "pretraining", "tiny", "fp32", "off", QUICK))
    assert [row["batch_size"] for row in results.rows if row["best_batch"]] == [8]


def test_sweep_stops_before_a_call_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    found = sweep(monkeypatch, {4: 0.5, 8: 0.8, 16: 1.0})
    assert [m.batch_size for m in found] == [4, 8]  # 16 clips would take 1.6 s


def test_sweep_goes_down_where_its_first_size_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    found = sweep(monkeypatch, {1: 0.1, 2: 0.1, 4: 0.1, 8: 0.1}, room=2)
    assert [(m.batch_size, m.status) for m in found] == [(4, "out of memory"), (2, "ok")]
    assert [m.batch_size for m in sweep(monkeypatch, {4: 0.1, 8: 0.1, 16: 0.1}, room=8)] == [4, 8, 16]


def test_a_model_is_built_once_for_all_batch_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    counted = replace(dual(), build=lambda: built.append("") or dual().build())
    settings = replace(QUICK, repeats=1, warmup=0)
    for compiled, expected in (("off", 1), ("model", 2)):
        monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **options: None)
        built.clear()
        found = list(one_by_one(counted, "pretraining", "tiny", "fp32", compiled, (1, 2), False, settings))
        assert [m.status for m in found] == ["ok", "ok"]
        assert len(built) == expected


def test_times_stay_where_memory_ends_after_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> float:
        raise torch.OutOfMemoryError("no room to count")

    monkeypatch.setattr("benchmarks.measuring.kept_for_backward", fail)
    (found,) = one_by_one(dual(), "pretraining", "tiny", "fp32", "off", (1,), False, QUICK)
    assert (found.status, found.kept_mib) == ("ok", None)
    assert found.seconds


def test_compiled_dual_masking_takes_the_size_of_encoder_only_masking_too() -> None:
    wanted = competitors("pretraining", "tiny")[:3]
    ours, theirs, single = wanted
    found = [Measurement(ours, 16, [1.0]), Measurement(ours, 64, [2.0]), Measurement(ours, 128, [4.0])]
    found += [Measurement(single, 16, [1.0]), Measurement(single, 64, [])]
    assert after_sweep(wanted, (16, 64), found) == [(ours, (64,)), (theirs, (16, 64)), (single, (16,)), (ours, (16,))]
    assert after_sweep(wanted, (16, 64), found[:1] + found[3:])[3:] == []  # the same size already
    assert after_sweep(wanted, (16, 64), []) == [(competitor, (16, 64)) for competitor in wanted]


def test_what_matters_most_is_measured_first(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[tuple[str, str]] = []

    def build(self: object, competitor: Competitor, task: str, dtype: str, compiled: str, settings: Settings) -> None:
        built.append((competitor.name, compiled))
        raise RuntimeError("not built")

    monkeypatch.setattr(Step, "__init__", build)
    settings = replace(QUICK, compiled=("off", "blocks"), one_by_one=True)
    measure("pretraining", "fp32", settings, 1, RowFile("pretrain_step", CPU, None))
    main, rest = (DUAL, "transformers, sdpa", ENCODER_ONLY), ("research way", "transformers, eager")
    assert built == [(name, compiled) for group in (main, rest) for compiled in ("off", "blocks") for name in group]


def test_no_model_is_built_after_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []

    def build(self: object, competitor: Competitor, *_: object) -> None:
        built.append(competitor.name)
        monkeypatch.setattr(Settings, "late", True)
        raise RuntimeError("stop here")

    for one_at_a_time in (True, False):
        built.clear()
        monkeypatch.setattr(Settings, "late", False)
        monkeypatch.setattr(Step, "__init__", build)
        settings = replace(QUICK, batch_sizes=(1, 2), compiled=("off", "blocks"), one_by_one=one_at_a_time)
        results = RowFile("pretrain_step", CPU, None)
        measure("pretraining", "fp32", settings, 1, results)
        assert built == [DUAL]
        assert [row["variant"] for row in results.rows] == [DUAL]


@pytest.mark.parametrize("piece", [attention.run, memory.run, end_to_end.run_defaults, features.run_defaults])
def test_pieces_start_nothing_after_the_time_is_up(piece: Callable[[Settings], list[object]]) -> None:
    assert piece(replace(QUICK, minutes=0.0)) == []


def row_of(batch_size: int, rate: float | str, status: str = "ok", **other: object) -> dict[str, object]:
    row = {"section": "pretraining", "variant": DUAL, "dtype": "fp32", "batch_size": batch_size, "preset": "base"}
    return {**row, "clips_per_s": rate, "status": status, "best_batch": "", "baseline": "transformers, sdpa", **other}


def test_rows_of_earlier_runs_stay_until_they_are_measured_again(tmp_path: Path) -> None:
    first = RowFile("piece", CPU, tmp_path)
    first.put([row_of(1, 2.0)])
    first.put([row_of(2, 3.0), row_of(1, 1.5, variant="transformers, sdpa")])
    second = RowFile("piece", CPU, tmp_path)
    second.put([row_of(4, 2.5), row_of(2, 3.6, torch="new")])
    second.put([row_of(1, "", status="out of memory")])
    assert len(second.rows) == 3
    rows = {(row["variant"], row["batch_size"]): row for row in read_text(second.path)}
    assert {key: row["clips_per_s"] for key, row in rows.items()} == {
        (DUAL, "1"): "2.0", (DUAL, "2"): "3.6", (DUAL, "4"): "2.5", ("transformers, sdpa", "1"): "1.5",
    }  # fmt: skip
    assert [key for key, row in rows.items() if row["best_batch"] == "True"][-1] == (DUAL, "2")
    assert rows[DUAL, "4"]["speedup_at_best_batch"] == "2.4"
    assert [path.name for path in tmp_path.iterdir()] == [f"piece-{CPU_NAME}.csv"]


def test_rows_are_written_before_the_next_model_is_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path, seen, real = tmp_path / f"pretrain_step-{CPU_NAME}.csv", [], Step.__init__

    def build(self: Step, competitor: Competitor, *rest: object) -> None:
        seen.append(len(read_text(path)) if path.exists() else 0)
        real(self, competitor, *rest)

    monkeypatch.setattr(Step, "__init__", build)
    pretrain_step.run(replace(QUICK, one_by_one=True, output=tmp_path, only=("ours",), repeats=1))
    assert seen == [0, 1]


def test_dual_masking_computes_and_keeps_less() -> None:
    by_name = {c.name: c for c in competitors("pretraining", "base")}
    assert by_name[DUAL].macs < 0.75 * by_name[ENCODER_ONLY].macs
    kept = [memory.kept_mib("pretraining", "small", name, QUICK) for name in (DUAL, ENCODER_ONLY)]
    assert kept[0] < 0.75 * kept[1]  # the decoder: 944 tokens for 1568; the encoder is the same


@pytest.mark.parametrize(("compiled", "expected"), [("off", 0), ("blocks", 5), ("model", 1)])
def test_what_is_compiled(compiled: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **options: asked.append(options))
    Step(dual(), "pretraining", "fp32", compiled, QUICK)
    assert asked == [{"mode": "default", "dynamic": False}] * expected


def test_memory_of_full_depth_follows_from_shallow_models() -> None:
    step = Step(dual(), "pretraining", memory.DTYPE, "off", QUICK)
    with as_on_a_gpu():
        direct = kept_for_backward(step, *Inputs(step.model.config, 1, CPU, torch.float32)(0))
    assert memory.kept_mib("pretraining", "tiny", DUAL, QUICK) == pytest.approx(direct, rel=1e-6)


def test_inputs_differ_from_round_to_round() -> None:
    inputs = Inputs(step_config(), 2, CPU, torch.float32)
    assert not torch.equal(inputs(0)[0], inputs(1)[0])
    assert inputs(3)[0].shape == inputs(0)[0].shape


def step_config() -> object:
    return tiny_model(VideoMAEv2ForPreTraining).config


def test_shares_of_a_profile_add_up() -> None:
    step = Step(dual(), "pretraining", "fp32", "off", QUICK)
    shares = profile_step(step, Inputs(step.model.config, 1, CPU, torch.float32))
    assert sum(shares[name] for name in SHARES) == pytest.approx(1.0, abs=0.02)
    assert shares["matrix products"] > 0


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n", "matrix products"),
        ("nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_TNT", "matrix products"),
        ("void pytorch_flash::flash_fwd_kernel<...>", "attention"),
        ("cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16", "attention"),
        ("void at::native::multi_tensor_apply_kernel<...FusedAdamMathFunctor...>", "optimizer"),
        ("Memcpy HtoD (Pinned -> Device)", "copies and gathers"),
        ("triton_per_fused_native_layer_norm_0", "elementwise and norms"),
        ("triton_poi_fused__to_copy_index_add_native_layer_norm_3", "elementwise and norms"),
        ("triton_poi_fused__scaled_dot_product_flash_attention_view_1", "elementwise and norms"),
        ("graph_3_cpp_fused__to_copy_native_layer_norm_0", "elementwise and norms"),
        ("triton_tem_fused_mm_4", "matrix products"),
        (
            "void at::native::(anonymous namespace)::CatArrayBatchedCopy<at::native::OpaqueType<4u>>",
            "copies and gathers",
        ),
    ],
)
def test_kinds_of_kernels(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_attention_piece_finds_all_ways_equal() -> None:
    qkv = tuple(torch.randn(2, 2, 8, 4) for _ in range(3))
    outputs = {name: way(qkv) for name, way in attention.ways(QUICK).items()}
    for name in ("eager", "head by head"):
        torch.testing.assert_close(outputs[name], outputs["sdpa"])
    rows = attention.run(QUICK)
    assert {row["status"] for row in rows} == {"ok"}


def test_end_to_end_from_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    arguments = ["--presets", "tiny", "--batch-sizes", "4", "--workers", "0", "--repeats", "1", "--warmup", "1"]
    rows = end_to_end.main([*arguments, "--device", "cpu", "--output", str(tmp_path)])
    assert [row["variant"] for row in rows] == ["synthetic, on the device", "loader, frames in memory (no PyAV)"]
    assert all(row["clips_per_s"] > 0 for row in rows)


def test_features_of_a_folder_beside_the_model_alone(tmp_path: Path) -> None:
    pytest.importorskip("av")
    from video_files import encode

    encode(tmp_path / "a.mp4", num_frames=70)
    arguments = ["--presets", "tiny", "--dtype", "fp32", "--device", "cpu", "--folder", str(tmp_path)]
    alone, folder = features.main([*arguments, "--output", str(tmp_path / "results")])
    assert (alone["clips"], folder["clips"]) == (5, 5)  # windows of 4 frames, 4 apart; the last one is cut short
    assert alone["share"] == 1.0
    assert folder["share"] == pytest.approx(folder["clips_per_s"] / alone["clips_per_s"], rel=0.01, abs=1e-3)
    assert (tmp_path / "results" / f"features-{CPU_NAME}.csv").exists()


def test_a_cpu_without_bf16_is_measured_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    for support, training, inference_ in ((["AMX"], ("bf16-autocast",), ("fp32", "bf16")), ([], ("fp32",), ("fp32",))):
        monkeypatch.setattr("benchmarks.settings.processor", lambda: ("CPU", support))  # noqa: B023
        assert Settings(device=CPU).precisions("bf16-autocast") == training
        assert Settings(device=CPU).inference_precisions() == inference_
    assert Settings(device=CPU, dtypes=("bf16",)).precisions("fp16") == ("bf16",)


def test_run_measures_writes_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    arguments = ["--presets", "tiny", "--pieces", "pretrain_step", "--repeats", "1", "--warmup", "1", "--device", "cpu"]
    assert run.main([*arguments, "--batch-sizes", "1", "2", "--only", "ours", "--output", str(tmp_path)]) == 0
    written = {path.name for path in tmp_path.iterdir()}
    assert {f"pretrain_step-{CPU_NAME}.csv", f"profile_pretraining-{CPU_NAME}.csv"} < written
    assert {f"pretraining-speed-size-{CPU_NAME}.png", f"pretraining-time-{CPU_NAME}.png"} < written
    assert "times the speed" in capsys.readouterr().out


def test_run_reports_a_piece_that_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: object) -> None:
    def fail(settings: Settings) -> None:
        raise RuntimeError("broken")

    monkeypatch.setitem(run.PIECES, "memory", fail)
    assert run.main(["--pieces", "memory", "--device", "cpu", "--output", str(tmp_path)]) == 1
    assert "failed: memory" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--repeats", "0"], "--repeats must be at least 1"),
        (["--batch-sizes", "0"], "--batch-sizes must be at least 1"),
        (["--compile", "blocks", "--compile-mode", "reduce-overhead"], "add --compile model"),
    ],
)
def test_wrong_options_are_refused(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("", ["--device", "cpu", *arguments])
    assert message in capsys.readouterr().err


def test_peak_is_a_rate() -> None:
    assert matmul_peak(CPU, torch.float32) > 0


def test_tables_and_costs_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    competitors("pretraining", "tiny")
    monkeypatch.setattr("benchmarks.competitors.our_macs", lambda *_: pytest.fail("counted again"))
    theirs = next(c for c in competitors("pretraining", "tiny") if c.name == "transformers, sdpa")
    models = [theirs.build() for _ in range(2)]
    first, second = (model.videomae.embeddings.position_embeddings for model in models)
    assert first is second


def test_profiles_take_our_main_variant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    profiled: list[str] = []
    shares = dict.fromkeys(SHARES, 0.1)
    monkeypatch.setattr("benchmarks.profiling.profile_step", lambda step, _: profiled.append(step.compiled) or shares)
    settings = replace(QUICK, repeats=1, compiled=("off", "blocks"), only=("ours",), output=tmp_path, profile="ours")
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **options: None)
    pretrain_step.run(settings)
    assert profiled == ["off", "blocks"]
    rows = read_text(tmp_path / f"profile_pretraining-{CPU_NAME}.csv")
    assert [(row["variant"], row["clock"]) for row in rows] == [(DUAL, "wall")] * 2


def test_a_gpu_is_timed_over_several_calls_that_nothing_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            assert enable_timing

        def record(self) -> None:
            log.append("event")

        def elapsed_time(self, other: "Event") -> float:
            return 10.0

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr("benchmarks.timing.synchronise", lambda _: log.append("wait"))
    numbers: list[int] = []
    call = lambda number: (numbers.append(number), log.append("call"))  # noqa: E731
    monkeypatch.setattr("benchmarks.timing.math.ceil", lambda _: 5)
    means = queued(call, repeats=3, warmup=4, device=CPU, seconds=0.0)
    assert means == [pytest.approx(0.002)] * 3
    assert log == ["call", "wait"] * 4 + ["event", *["call"] * 5, "event", "wait"] * 3
    assert numbers == list(range(19))


def test_cuda_graphs_get_more_warm_up() -> None:
    assert replace(QUICK, warmup=1).least_warmup == 1
    assert replace(QUICK, warmup=1, mode="reduce-overhead").least_warmup >= 4


def test_rows_name_back_end_and_compiled_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch._fused_sdp_choice", lambda *_, **__: int(SDPBackend.EFFICIENT_ATTENTION))
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **options: None)
    results = RowFile("inference", CPU, None)
    settings = replace(QUICK, repeats=1, compiled=("blocks",), only=("ours", "transformers"))
    measure("finetuning", "fp32", settings, 1, results)
    rows = {row["variant"]: row for row in results.rows}
    assert rows["transformers, sdpa"]["sdpa_takes"] == "efficient"
    assert rows["transformers, eager"]["sdpa_takes"] == ""
    assert rows["transformers, sdpa"]["compiled_parts"] == "VideoMAELayer"
    assert rows["ours"]["compiled_parts"] == "VideoMAEv2Embeddings VideoMAEv2Layer"


def test_a_torch_that_does_not_tell_its_back_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("torch._fused_sdp_choice")
    assert backend_taken(*(torch.randn(1, 2, 8, 4) for _ in range(3))) == ""


def test_attention_goes_back_without_adding_up_gradients() -> None:
    qkv = tuple(torch.randn(1, 2, 8, 4, requires_grad=True) for _ in range(3))
    seconds, statuses = attention.time_ways(qkv, torch.randn(1, 8, 2, 4), QUICK)
    assert set(seconds) == {"sdpa", "eager"}
    assert not statuses
    assert all(tensor.grad is None for tensor in qkv)
    assert attention.default_batch(944, torch.device("cuda")) == 43


def test_the_loader_is_timed_after_what_it_held_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    monkeypatch.setattr("benchmarks.end_to_end.synchronise", lambda _: log.append("wait"))
    feed = lambda number: log.append("batch")  # noqa: E731
    _, count = end_to_end.rate_of(lambda *_: None, feed, 4, workers=3, settings=QUICK)
    assert count == 12
    assert log == ["batch"] * 12 + ["wait"] + ["batch"] * 12 + ["wait"]
    assert end_to_end.rate_of(lambda *_: None, feed, 4, workers=3, settings=replace(QUICK, minutes=0.0)) is None


def test_batches_out_of_memory_are_laid_out_as_those_of_files() -> None:
    batches = end_to_end.from_memory("tiny", batch_size=4, views=2, workers=0)
    batch = next(batches)
    assert batch.dtype == torch.uint8
    assert batch.shape == (4, 4, 3, 32, 32)
    assert batch.stride(2) == 1  # the channels
    assert end_to_end.channels_last(torch.randn(batch.shape)).stride() == batch.stride()


def test_default_views_fit_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(end_to_end, "run", lambda settings, args: args.views)
    assert [end_to_end.run_defaults(replace(QUICK, batch_sizes=(size,))) for size in (8, 6, 3)] == [4, 2, 1]


def test_training_comes_first_and_gets_most_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    on_gpu = run.default_pieces(torch.device("cuda"))
    assert on_gpu[:2] == ["pretrain_step", "finetune_step"]
    assert "memory" not in on_gpu
    assert set(run.default_pieces(CPU)) == set(run.PIECES)
    monkeypatch.setattr("benchmarks.settings.time.monotonic", lambda: 120.0)
    settings = replace(QUICK, minutes=9.0, started=0.0)
    own = run.with_own_limit(settings, ["pretrain_step", "inference", "features", "end_to_end"])
    assert own.minutes == pytest.approx(2 + 7 * 10 / 17)
    assert replace(settings, profile="ours").before_profiles().minutes == pytest.approx(2 + 7 * 0.85)
    assert run.with_own_limit(settings, ["features"]).minutes == pytest.approx(9.0)
    assert run.with_own_limit(QUICK, ["features"]).minutes is None


def test_defaults_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    settings = parse("", [])
    assert settings.presets == ("base", "giant")
    assert settings.compiled == ("off", "blocks")
    assert settings.one_by_one


def test_ratios_of_table_2_name_both_kinds_of_memory() -> None:
    what = {"status": "ok", "preset": "base", "dtype": "bf16", "compiled": "off", "batch_size": 8}
    single = {**what, "variant": ENCODER_ONLY, "median_ms": 3.0, "kept_mib": 4.0, "peak_mib": 10.0}
    double = {**what, "variant": DUAL, "median_ms": 2.0, "kept_mib": 3.0, "peak_mib": 8.0}
    (line,) = pretrain_step.ratios_of_table_2([single, double])
    assert "1.50 times the speed, 0.75 of the memory kept" in line
    assert line.endswith("0.80 of the peak of memory")
    (line,) = pretrain_step.ratios_of_table_2([{**single, "kept_mib": ""}, {**double, "kept_mib": ""}])
    assert "kept" not in line


def test_a_gpu_is_profiled_without_what_the_host_does(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    class Profile:
        def __init__(self, activities: list[ProfilerActivity]) -> None:
            seen.extend(activities)

        def __enter__(self) -> "Profile":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def events(self) -> list[object]:
            return []

    class FakeStep:
        settings = replace(QUICK, device=torch.device("cuda"))

        def __call__(self, number: int) -> None:
            pass

    monkeypatch.setattr("benchmarks.profiling.profile", Profile)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    assert profile_step(FakeStep(), lambda number: (number,))["idle"] == 1.0
    assert seen == [ProfilerActivity.CUDA]


def test_one_worker_loads_beside_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(end_to_end, "measure", lambda preset, args, *_: seen.append(args.workers))
    end_to_end.run_defaults(QUICK)
    assert seen == [1]
