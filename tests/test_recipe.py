# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Recipes: files, overrides, and what is refused before anything starts."""

import os
from pathlib import Path

import pytest
import torch
import yaml
from fake_clips import TINY, tiny_recipe
from transformers.utils import is_flash_attn_3_available

from modeling_videomae_v2 import VideoMAEv2Config
from training.evaluation.recipe import EvaluationRecipe
from training.launch import check_launch
from training.other_names import EVALUATION_NAMES, OTHER_NAMES
from training.recipe import Recipe, TrackingRecipe, load_recipe
from training.recipe_parsing import RecipeError, describe, is_key
from training.recipe_stages import DistillationRecipe
from training.schedule import Plan
from training.tasks import FineTuningRecipe, PreTrainingRecipe, PreTrainingTask


RECIPES = Path(__file__).parents[1] / "training" / "recipes"
PUBLISHED = sorted(RECIPES.glob("pretrain_*.yaml"))


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({**TINY, "output_dir": str(tmp_path)}), encoding="utf-8")
    return path


def load(path: Path, *arguments: str, recipe_class: type[Recipe] = PreTrainingRecipe) -> Recipe:
    return load_recipe(["--config", str(path), *arguments], recipe_class)


def test_file_and_overrides(config_file: Path) -> None:
    recipe = load(
        config_file, "--data.workers", "4", "--optimizer.base_lr=1e-3", "--data.sources.0.root", "/videos",
        "--tracking.trackers", "[wandb, tensorboard]", "--optimizer.clip_grad", "null", "--mixed_precision", "bf16",
        "--model.config.decoder_mask_type", "null", "--compile", "no",
    )  # fmt: skip
    assert recipe.data.workers == 4
    assert recipe.compile == "no"  # for YAML 1.1, this is False
    assert recipe.optimizer.base_lr == 1e-3
    assert recipe.data.sources[0].root == "/videos"
    assert recipe.data.sources[0].path == "fake"
    assert recipe.tracking.trackers == ["wandb", "tensorboard"]
    assert recipe.optimizer.clip_grad is None
    assert recipe.mixed_precision == "bf16"
    assert recipe.model_config().decoder_mask_type is None
    assert recipe.model_config().num_frames == recipe.data.num_frames


@pytest.mark.parametrize(("name", "key"), sorted({*OTHER_NAMES.items(), *EVALUATION_NAMES.items()}))
def test_names_of_other_programs_stand_for_keys_that_there_are(name: str, key: str) -> None:
    recipes = (PreTrainingRecipe, FineTuningRecipe, EvaluationRecipe)
    assert any(is_key(key, recipe) for recipe in recipes)
    assert not any(is_key(name, recipe) for recipe in recipes)
    if key.startswith("model.config."):
        assert hasattr(VideoMAEv2Config(), key.removeprefix("model.config."))


def test_the_home_of_a_user_is_where_it_is(tmp_path: Path, config_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))  # of Windows
    above = tmp_path / "above.yaml"
    above.write_text("extends: ~/recipe.yaml\noutput_dir: ~/run\ndata: {sources: [{path: ~/l.txt, root: ~/v}]}\n")
    recipe = load_recipe(
        ["--config=~/above.yaml", "--teacher.path", "~/teacher", "--model.init_from=~/start", "--labels_file=~/names",
         "--label_renames=~/others", "--data_eval", "[{path: ~/eval.txt, path_pattern: ~/x}]", "--num_labels", "2",
         "--tracking.project", "~/x"],
        DistillationRecipe,
    )  # fmt: skip
    source, (held_out,) = recipe.data.sources[0], recipe.data_eval
    found = (
        recipe.output_dir, source.path, source.root, recipe.teacher.path, recipe.model.init_from, recipe.labels_file,
        recipe.label_renames, held_out.path,
    )  # fmt: skip
    names = ("run", "l.txt", "v", "teacher", "start", "names", "others", "eval.txt")
    assert [os.path.normpath(path) for path in found] == [str(tmp_path / name) for name in names]
    assert (held_out.path_pattern, recipe.tracking.project) == ("~/x", "~/x")
    test = load_recipe(
        ["--output_dir", "~/test", "--model", "~/model", "--model_classes", "~/a", "--renames=~/b",
         "--data.classes=~/c", "--data.sources", "[{path: MCG-NJU/videos, kind: datasets}]"],
        EvaluationRecipe,
    )  # fmt: skip
    found = (test.output_dir, test.model, test.model_classes, test.renames, test.data.classes)
    assert [os.path.normpath(path) for path in found] == [str(tmp_path / name) for name in ("test", "model", *"abc")]
    assert test.data.sources[0].path == "MCG-NJU/videos"


def test_a_file_builds_on_another(tmp_path: Path, config_file: Path) -> None:
    (tmp_path / "above.yaml").write_text(
        "extends: recipe.yaml\nmodel:\n  config:\n    mask_ratio: 0.5\ndata:\n  sources: [{path: other}]\n"
    )
    recipe = load(tmp_path / "above.yaml")
    assert recipe.model.config == {**TINY["model"]["config"], "mask_ratio": 0.5}
    assert [source.path for source in recipe.data.sources] == ["other"]
    assert recipe.data.num_frames == TINY["data"]["num_frames"]
    (tmp_path / "empty.yaml").write_text("extends: recipe.yaml\nema:\n")
    (tmp_path / "above.yaml").write_text("extends: empty.yaml\nema: {decay: 0.9}\n")
    assert load(tmp_path / "above.yaml").ema.decay == 0.9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data.worker", "4"], "`data.worker` is no key of a recipe; did you mean `workers`"),
        (["--quite_another", "4"], "there are: "),
        (["--epochs", "3"], "`epochs` is no key of a recipe; did you mean `schedule.epochs`?"),
        (["--num_frames", "8"], "did you mean `data.num_frames`?"),
        (["--sampling_rate", "4"], "did you mean `data.sampling_rate`?"),  # not that of a source
        (["--output-dir", "runs"], "did you mean `output_dir`?"),
        (["--streaming", "true"], "did you mean `data.sources.0.streaming`?"),
        (["--lr", "1e-3"], "did you mean `optimizer.base_lr`?"),
        (["--learning-rate", "1e-3"], "did you mean `optimizer.base_lr`?"),
        (["--drop_path", "0.1"], "did you mean `model.config.drop_path_rate`?"),
        (["--smoothing", "0.1"], "there are: "),  # a key of fine-tuning
        (["--model", "vit_giant_patch14_224"], "mapping of keys to values, got 'vit_giant_patch14_224'; set `model.at"),
        (["--data.sources", "videos"], "list, such as [a, b], got 'videos'. The keys of its first item begin with `da"),
        (["--tf32", "--data.workers", "4"], "`--tf32` has no value"),
        (["--data.workers", "many"], "`data.workers` must be a whole number, got 'many'"),
        (["--data.workers", "true"], "`data.workers` must be a whole number, got True"),
        (["--data.sampling", "no"], "`data.sampling` must be one of 'dense', 'uniform', got False"),
        (["--compile", "true"], "`compile` must be one of 'no', 'blocks', 'model', got True"),
        (["--gradient_checkpointing", "1"], "`gradient_checkpointing` must be true or false, got 1"),
        (["--tracking.trackers", "tensorboard"], "`tracking.trackers` must be a list, such as [a, b], got 'ten"),
        (["--optimizer.base_lr", "true"], "`optimizer.base_lr` must be a number, got True"),
        (["--optimizer.base_lr", "1" * 400], "`optimizer.base_lr` must be a number, got 111"),
        (["--optimizer.betas", "0.9"], "`optimizer.betas` must be a list, such as [a, b], got 0.9"),
        (["--model.config", "5"], "`model.config` must be a mapping, such as {key: value}, got 5"),
        (["--data.kind", "x"], "`data.kind` is no key"),
        (["--data.sources.0.kind", "zip"], "must be one of 'list', 'folder', 'datasets', 'tar', got 'zip'"),
        (["--data.sources.3.path", "x"], "is no place in a list of 1"),
        (["--data.sources.first.path", "x"], "'first' is no place in a list of 1"),
        (["--optimizer.clip_grad", "tight"], "must be a number, got 'tight'. It may also be null"),
        (["--data.workers"], "has no value"),
        (["stray"], "Expected `--key value`"),
        (["--config", "other.yaml"], "`--config` takes one file, got "),
        (["--seed", "2024-13-45"], "The value of `--seed`, '2024-13-45', is not valid YAML; put it in quotes"),
        (["--ema", "{decay: 0.9, decay: 0.99}"], "is not valid YAML"),
        (["--tracking.project", "2024-01-02"], "`tracking.project` must be text, got 2024-01-02. Write it in quotes"),
        (["--schedule.epochs", ".nan"], "schedule.epochs must be above 0, got nan"),
        (["--schedule.epochs", ".inf", "--schedule.max_steps", "null"], "schedule.epochs must be above 0, got inf"),
        (["--seed.deep", "1"], "`seed` must be a whole number, got {'deep': 1}"),
        (["--batch_size.deep", "1"], "`--batch_size.deep` leads into 2, which has no keys"),
        (["--optimizer.eps", "0"], "optimizer.eps must be above 0 and finite, got 0"),
        (["--optimizer.clip_grad", "0"], "optimizer.clip_grad must be above 0, got 0"),
        (["--optimizer.betas", "[0.9, 1.5]"], "optimizer.betas must be two numbers in [0, 1)"),
        (["--total_batch_size", "10"], "batch_size 2 x 2 views x 1 processes = 4"),
        (["--accumulation", "3"], "contradicts total_batch_size (8)"),
        (["--batch_size", "0"], "batch_size must be at least 1, got 0"),
        (["--data.views", "0"], "data.views must be at least 1"),
        (["--data.sources", "[]"], "data.sources is empty"),
        (["--data.sources.0.weight", "0"], "data.sources.0.weight must be above 0"),
        (["--data.sources.0.weight", ".inf"], "data.sources.0.weight must be above 0, got inf"),
        (["--data.sources.0.sampling_rate", "0"], "data.sources.0.sampling_rate must be at least 1, got 0"),
        (["--data.augment.crop_area", "[0, 1]"], "data.augment.crop_area must be two numbers in (0, 1]"),
        (["--data.augment.crop_area", "[0.5, 2]"], "data.augment.crop_area must be two numbers in (0, 1]"),
        (["--data.augment.crop_aspect", "[2, 1]"], "data.augment.crop_aspect must be two numbers above 0, the smaller"),
        (["--data.augment.crop_aspect", "[1, .inf]"], "data.augment.crop_aspect must be two numbers above 0"),
        (["--data.augment.num_ops", "0"], "data.augment.num_ops must be at least 1, got 0"),
        (["--data.augment.magnitude", "11"], "data.augment.magnitude must lie in [0, 10], got 11"),
        (["--data.augment.noise_std", "-1"], "data.augment.noise_std must not be negative, got -1"),
        (["--data.augment.op_prob", "2"], "data.augment.op_prob must lie in [0, 1], got 2"),
        (["--data.max_bad_share", "2"], "data.max_bad_share must lie in [0, 1], got 2"),
        (["--data.cache_gib", ".inf"], "data.cache_gib must be 0 or more, got inf"),
        (["--data.sources.0.path_pattern", "("], "data.sources.0.path_pattern (() is no regular expression: missing )"),
        (["--data.sources.0.pattern", "img_%05d.jpg"], "data.sources.0.pattern (img_%05d.jpg) must hold the place of"),
        (["--data.sources.0.pattern", "img_{number}.jpg"], "data.sources.0.pattern (img_{number}.jpg) must hold"),
        (["--schedule.warmup_steps", "7"], "schedule.warmup_steps (7) is more than schedule.max_steps"),
        (["--model.config.hidden_size", "15"], "`hidden_size` (15) must be a multiple of `num_attention_heads`"),
        (["--model.config.hiden_size", "16"], "did you mean `hidden_size`"),
        (["--model.config.num_frames", "16"], "data.num_frames says it"),
        (["--model.config.num_channels", "1"], "model.config.num_channels (here or in model.init_from) is 1"),
        (["--model.preset", "enormous"], "There is no preset 'enormous'"),
        (["--data.image_size", "12"], "do not tile a grid of 3 x 3"),
        (["--output_dir", ""], "output_dir"),
        (["--output_dir", "s3://me/run"], "output_dir (s3://me/run) is an address; name a folder"),
        (["--seed", "-1"], "seed must lie in [0, 2147483648), got -1"),
        (["--seed", "4294967296"], "seed must lie in [0, 2147483648)"),
        (["--data.seed", "-1"], "data.seed must not be negative, got -1"),
        (["--checkpoint.keep", "-1"], "checkpoint.keep must not be negative, got -1"),
        (["--checkpoint.every", "0"], "checkpoint.every must be at least 1"),
        (["--tracking.log_every", "0"], "tracking.log_every must be at least 1"),
        (["--tracking.picture_every", "-1"], "tracking.picture_every must not be negative"),
        (["--tracking.peak_tflops", "0"], "tracking.peak_tflops must be above 0, got 0"),
        (["--model.attention", "flsh"], "model.attention (flsh) is no attention function; there are: eager, "),
    ],
)  # fmt: skip
def test_refused(config_file: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(RecipeError) as error:
        load(config_file, *arguments)
    assert message in str(error.value)
    assert not torch.distributed.is_initialized()


def test_a_part_that_is_left_empty_has_its_defaults(config_file: Path) -> None:
    assert load(config_file, "--tracking", "null").tracking == TrackingRecipe()
    assert load(config_file, "--tracking", "null", "--tracking.log_every", "3").tracking == TrackingRecipe(log_every=3)


def test_a_centre_crop_may_be_said_twice(config_file: Path) -> None:
    recipe = load(config_file, "--data.multi_scale_crop", "false", "--data.augment.crop", "centre")
    assert recipe.data.augment.crop == "centre"


def test_all_problems_are_told_at_once(config_file: Path) -> None:
    with pytest.raises(RecipeError) as error:
        load(config_file, "--data.views", "0", "--optimizer.layer_decay", "2", "--schedule.max_steps", "0")
    assert all(name in str(error.value) for name in ("data.views", "optimizer.layer_decay", "schedule.max_steps"))
    with pytest.raises(RecipeError, match=r"be run:\n- .*`hiden_size`; did you mean `hidden_size`\?$"):
        load(config_file, "--model.config.hiden_size", "16")


def test_the_number_of_processes_is_checked_before_they_meet(
    config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(RecipeError, match="x 3 processes = 12 clips"):
        load(config_file)


def test_files_that_are_no_recipes(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"nothing.yaml cannot be read"):
        load(tmp_path / "nothing.yaml")
    (tmp_path / "above.yaml").write_text("extends: bad.yaml\n")
    for text, message in (
        ("- a\n- b\n", "must hold a mapping"),
        ("a: [", "not valid YAML"),
        ("ema:\n  decay: 0.9\n  decay: 0.99\n", r"(?s)not valid YAML: the key 'decay' stands twice.*line 3"),
        ("seed: 2024-13-45\n", r"bad.yaml is not valid YAML: '2024-13-45' cannot be read"),
        ("seed: !!int ''\n", r"bad.yaml is not valid YAML: '' cannot be read"),
        ("seed: !!timestamp x\n", r"bad.yaml is not valid YAML: 'x' cannot be read"),
        ("data: &loop {sources: [*loop]}\n", "bad.yaml is not valid YAML"),
        ("extends: above.yaml\n", "above.yaml extends bad.yaml, which builds on it"),
        ("extends: [a.yaml, b.yaml]\n", "must name one file, got "),
    ):
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(RecipeError, match=message):
            load(tmp_path / "bad.yaml")


def test_what_an_alias_repeats_can_be_overridden_alone(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("output_dir: x\nnum_labels: 2\ndata:\n  sources: &videos [{path: a}]\ndata_eval: *videos\n")
    recipe = load(path, "--data_eval.0.path", "b", recipe_class=FineTuningRecipe)
    assert (recipe.data.sources[0].path, recipe.data_eval[0].path) == ("a", "b")


def test_launches_that_cannot_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    with pytest.raises(RecipeError, match="fp16 needs a GPU"):
        check_launch(tiny_recipe(PreTrainingRecipe, tmp_path, mixed_precision="fp16"))
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "fp8")
    with pytest.raises(RecipeError, match="mixed_precision must be no, bf16 or fp16, got 'fp8'"):
        check_launch(tiny_recipe(PreTrainingRecipe, tmp_path))
    monkeypatch.delenv("ACCELERATE_MIXED_PRECISION")
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    with pytest.raises(RecipeError, match="does not exist with DeepSpeed"):
        check_launch(tiny_recipe(PreTrainingRecipe, tmp_path, decoder_precision="fp32"))
    with pytest.raises(RecipeError, match="DeepSpeed needs a GPU here: on CPUs use"):
        check_launch(tiny_recipe(PreTrainingRecipe, tmp_path))
    monkeypatch.delenv("ACCELERATE_USE_DEEPSPEED")
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    with pytest.raises(RecipeError, match="compile: model does not exist with FSDP2"):
        check_launch(tiny_recipe(PreTrainingRecipe, tmp_path, compile="model"))
    monkeypatch.setattr("torch.__version__", "2.8.0+cu128")
    with pytest.raises(RecipeError, match=r"FSDP2 on CPUs needs PyTorch 2\.9 or later, this is 2\.8\.0\+cu128"):
        check_launch(tiny_recipe(PreTrainingRecipe, tmp_path))
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")  # what `accelerate launch --cpu --num_processes 2` does
    with pytest.raises(RecipeError, match="starts one process only"):
        check_launch(tiny_recipe(PreTrainingRecipe, tmp_path))


def test_trackers_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecipeError, match=r"'tensorbord', which accelerate does not know; there are: .*tensorboard"):
        check_launch(tiny_recipe(PreTrainingRecipe, tmp_path, tracking__trackers=["tensorbord"]))
    monkeypatch.setattr("training.launch.get_available_trackers", lambda: ["tensorboard"])
    with pytest.raises(RecipeError, match=r"'comet_ml', which is not installed: `pip install comet-ml`"):
        check_launch(tiny_recipe(PreTrainingRecipe, tmp_path, tracking__trackers=["tensorboard", "comet_ml"]))
    check_launch(tiny_recipe(PreTrainingRecipe, tmp_path, tracking__trackers=["tensorboard", "all"]))


def test_an_attention_function_that_is_not_installed(tmp_path: Path) -> None:
    if is_flash_attn_3_available():
        pytest.skip("It is installed.")
    recipe = tiny_recipe(PreTrainingRecipe, tmp_path, model__attention="flash_attention_3")
    recipe.validate()
    with pytest.raises(RecipeError, match=r"model.attention \(flash_attention_3\) cannot be used here"):
        PreTrainingTask(recipe).build_model()


def test_fine_tuning_recipe(tmp_path: Path) -> None:
    recipe = tiny_recipe(FineTuningRecipe, tmp_path, num_labels=2, labels=["left", "right"])
    recipe.validate()
    assert recipe.model_config().id2label == {0: "left", 1: "right"}
    with pytest.raises(RecipeError, match="labels names 2 classes, num_labels says 3"):
        tiny_recipe(FineTuningRecipe, tmp_path, num_labels=3, labels=["left", "right"]).validate()


@pytest.mark.parametrize("recipe_class", [PreTrainingRecipe, FineTuningRecipe])
def test_every_knob_is_documented(recipe_class: type[Recipe], capsys: pytest.CaptureFixture) -> None:
    assert all(len(line.split(": ", 1)[1]) > 5 for line in describe(recipe_class))
    with pytest.raises(SystemExit):
        load_recipe(["--help"], recipe_class)
    assert "--data.sources.N.sampling_rate" in capsys.readouterr().out


@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: path.stem)
def test_published_recipes(path: Path) -> None:
    """Table 10, on as many videos and GPUs as the paper had."""
    recipe = load(path, "--output_dir", "runs/x")
    hybrid = path.stem.endswith("_hybrid")
    sizes = [658_000, 169_000, 21_000, 250_000, 250_000] if hybrid else [169_000]
    assert len(recipe.data.sources) == len(sizes)
    assert not any(Path(text).is_absolute() for source in recipe.data.sources for text in (source.path, source.root))
    rates = [source.sampling_rate or recipe.data.sampling_rate for source in recipe.data.sources]
    assert rates == ([4, 2, 4, 4, 4] if hybrid else [2])

    config = recipe.model_config()
    assert (config.mask_ratio, config.mask_type) == (0.9, "tube")
    assert recipe.data.views == 4
    assert (recipe.data.flip, recipe.data.multi_scale_crop) == (False, True)
    assert recipe.optimizer.betas == [0.9, 0.95]
    assert (recipe.optimizer.weight_decay, recipe.optimizer.clip_grad) == (0.05, 0.02)
    assert recipe.schedule.epochs == (1200 if hybrid else 800)

    for num_processes in (8, 64):
        plan = Plan.of(recipe, num_processes, sum(sizes))
        assert plan.total_batch_size == 8192
        assert plan.peak_lr == pytest.approx(1.5e-4 * 8192 / 256)
        assert plan.max_steps == int(recipe.schedule.epochs * sum(sizes) / 8192)
        assert plan.warmup_steps == pytest.approx(plan.max_steps / 10, abs=1)


def test_the_rows_of_table_1() -> None:
    rows = {path.stem.removeprefix("pretrain_base_ssv2_"): load(path, "--output_dir", "x").model_config()
            for path in PUBLISHED if "ssv2" in path.stem}  # fmt: skip
    assert len(rows) == 7
    assert rows["none"].decoder_mask_type is None
    found = {(c.decoder_mask_type, c.decoder_mask_ratio, c.decoder_loss_on) for c in rows.values()}
    cells = {("running_cell", ratio, "invisible") for ratio in (0.25, 0.5, 0.75)}
    assert found >= cells | {("running_cell", 0.5, "all"), ("frame", 0.5, "invisible"), ("random", 0.5, "invisible")}


def test_sources_on_the_command_line_alone() -> None:
    arguments = ["--output_dir", "x", "--data.sources.0.path", "a", "--data.sources.1.path", "b"]
    recipe = load_recipe([*arguments, "--data.sources.1.kind", "folder"], PreTrainingRecipe)
    assert [(source.path, source.kind) for source in recipe.data.sources] == [("a", "list"), ("b", "folder")]


def test_ways_to_compile_are_those_of_the_library() -> None:
    """Recipes have a copy, since they are read without PyTorch."""
    from modeling_videomae_v2 import compiling
    from training import recipe

    assert recipe.CompileMode == compiling.CompileMode
