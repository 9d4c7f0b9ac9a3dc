# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The one training loop. What is trained is the business of a task (`training.tasks`)."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.logging import get_logger
from accelerate.utils import gather_object, set_seed
from torch import nn

from modeling_videomae_v2.compiling import compile_model

from .checkpoint import CheckpointKeeper, Progress, claim_folder
from .data import ClipLoader
from .data.faults import Fault, listing
from .ema import WeightAverage
from .export import save_model
from .launch import make_accelerator, whole_weights
from .optimizer import clip_gradients, guard_step, make_optimizer, poison_unless_finite, set_learning_rate
from .recipe import Recipe
from .schedule import Plan
from .stopping import Agreement, StopSignal, sigterm_as_before
from .tasks import Batch, Task
from .tracking import Monitor
from .validation import Validation


logger = get_logger(__name__)

LoaderFactory = Callable[..., ClipLoader]


@dataclass
class Run:
    """Everything that the loop touches."""

    recipe: Recipe
    task: Task
    plan: Plan
    accelerator: Accelerator
    model: nn.Module
    optimizer: Any
    loader: ClipLoader
    batches: Iterator[Batch]
    progress: Progress
    keeper: CheckpointKeeper
    monitor: Monitor
    average: WeightAverage | None = None
    validation: Validation | None = None
    evaluate_every: int | None = None
    claim: FileIO | None = None  # keeps other runs out of the folder until it is closed

    def exported_weights(self) -> AbstractContextManager[None]:
        """Within it, the model has the weights that are evaluated and saved: the averaged ones, if there are any."""
        if self.average is None or not self.recipe.ema.export:
            return nullcontext()
        return self.average.swapped()

    def evaluation_due(self) -> bool:
        """Whether the model is to be measured after the step that was just done."""
        if self.validation is None:
            return False
        step, every = self.progress.step, self.evaluate_every
        return step == self.plan.max_steps or (every is not None and step % every == 0)

    def evaluation_missing(self) -> bool:
        """Whether the training is at its end and the model was not measured there on the videos of now."""
        validation, progress = self.validation, self.progress
        if validation is None or progress.step != self.plan.max_steps:
            return False
        return (progress.evaluated_step, progress.evaluated_on) != (progress.step, validation.videos)


def fit(run: Run) -> bool:
    """Train until `plan.max_steps`; every process calls it.

    Returns:
        True at the end of the training; False if the process was asked to stop (SIGTERM, as a scheduler sends it), in
        which case a checkpoint lies ready.

    Raises:
        FloatingPointError: A loss or gradient was not finite; it reached neither the weights nor a checkpoint.
    """
    recipe, plan, progress = run.recipe, run.plan, run.progress
    asked = StopSignal()
    agreed = Agreement(run.accelerator, asked, recipe.tracking.log_every)
    run.model.train()
    if progress.owes_evaluation or run.evaluation_missing():  # the run before was asked to stop, or had no such videos
        if not evaluate(run, asked):  # so is this one
            return False
        if progress.step == plan.max_steps:  # no other checkpoint will know of it
            run.keeper.save(progress)
    while progress.step < plan.max_steps:
        values, inputs = train_step(run)
        run.monitor.add(values)

        stop, last = False, progress.step == plan.max_steps
        saves, progress.owes_evaluation = last or progress.step % recipe.checkpoint.every == 0, run.evaluation_due()
        if agreed() or saves or progress.owes_evaluation or progress.step % recipe.tracking.log_every == 0:
            stop = run.monitor.report(asked.stop)  # before a state is kept or measured, its losses are looked at
        if recipe.tracking.picture_every and (progress.step % recipe.tracking.picture_every == 0 or last):
            draw_picture(run, inputs)
        if progress.owes_evaluation and not stop:
            stop = not evaluate(run, asked)
        if saves or stop:
            run.keeper.save(progress)
            run.monitor.skip_time()
        if stop and (progress.owes_evaluation or not last):
            return False
    return True


def train_step(run: Run) -> tuple[dict[str, torch.Tensor], Batch]:
    """One optimizer step, of one or several passes; nothing in it waits for the device.

    Returns:
        Means `()` over the passes of what the task's loss returned, with the norm of the gradient; and the inputs of
        the last pass.
    """
    accelerator, plan, progress, task = run.accelerator, run.plan, run.progress, run.task
    set_learning_rate(run.optimizer, plan.learning_rate(progress.step))
    passes: list[Batch] = []
    for _ in range(plan.accumulation):
        first_video = progress.samples_seen + accelerator.process_index * plan.batch_size
        inputs = task.prepare(next(run.batches), first_video * plan.views, accelerator.device)
        with accelerator.accumulate(run.model):  # gradients meet only in the last pass
            with accelerator.autocast():
                parts = task.loss(run.model, inputs)
            accelerator.backward(poison_unless_finite(parts["loss"]))  # divides by the number of passes
            if accelerator.sync_gradients:
                norm = clip_gradients(accelerator, run.model, run.recipe.optimizer.clip_grad)
                guard_step(accelerator, run.optimizer, norm)
            run.optimizer.step()
            run.optimizer.zero_grad()
        passes.append({name: part.detach() for name, part in parts.items()})
        progress.samples_seen += plan.videos_per_pass
    progress.step += 1
    if run.average is not None:
        run.average.update()
    means = {name: torch.stack([values[name] for values in passes]).mean() for name in passes[0]}
    return {**means, "grad_norm": norm}, inputs


def draw_picture(run: Run, inputs: Batch) -> None:
    """Have the task draw a picture; all processes, since a sharded model computes with all of them."""
    run.model.eval()
    with run.accelerator.autocast():
        picture = run.task.picture(run.model, inputs)
    run.model.train()
    run.monitor.picture(picture)


def evaluate(run: Run, asked: StopSignal) -> bool:
    """Measure the model on the validation set, and keep it if it is the best so far; every process calls it.

    Returns:
        False if a process was asked to stop before it was done; the evaluation is then still owed.
    """
    validation = run.validation
    if validation is not None:  # else the recipe does not name one any more
        with run.exported_weights():
            agreed = Agreement(run.accelerator, asked, run.recipe.tracking.log_every)
            values = validation.measure(run.model, agreed)
            if values is not None and validation.is_best(values, run.progress.evaluated_on):
                save_model(run.accelerator, run.model, run.task, name="best")
        run.model.train()
        if values is None:
            return False
        run.monitor.evaluation(values)
        run.progress.evaluated_step, run.progress.evaluated_on = run.progress.step, validation.videos
    run.progress.owes_evaluation = False
    return True


def batches_of(loader: ClipLoader) -> Iterator[Batch]:
    """The batches of a loader, which has to have no end.

    Raises:
        RuntimeError: It has one.
    """
    yield from loader
    raise RuntimeError(
        "The data ended before the training: a stream gives each video once. Lower schedule.max_steps, or give the "
        "source a length by reading it without data.sources.N.streaming."
    )


def start(recipe: Recipe, task: Task, build_loader: LoaderFactory) -> Run:
    """Join the processes, build model, optimizer and data, and load the newest checkpoint, if there is one."""
    accelerator = make_accelerator(recipe)
    claim = claim_folder(accelerator, recipe)
    try:
        return _set_up(accelerator, claim, recipe, task, build_loader)
    except BaseException:
        if claim is not None:
            claim.close()
        raise


def _set_up(
    accelerator: Accelerator, claim: FileIO | None, recipe: Recipe, task: Task, build_loader: LoaderFactory
) -> Run:
    """The same, in processes that have met and in a folder that is theirs."""
    set_seed(recipe.seed)  # the same weights on all processes
    with whole_weights(accelerator):
        model = task.build_model()
    optimizer = make_optimizer(model, task.config.num_hidden_layers, recipe.optimizer)
    loader = build_loader(
        recipe.data,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        labelled=task.labelled,
        num_processes=accelerator.num_processes,
        process_index=accelerator.process_index,
        pin_memory=accelerator.device.type == "cuda",
        classes=task.classes,
        num_labels=task.config.num_labels,
    )
    task.check_data(loader)
    plan = Plan.of(recipe, accelerator.num_processes, loader.samples_per_epoch)
    # fixed tables, the same on all processes: DDP would send them around before every pass
    model._ddp_params_and_buffers_to_ignore = [name for name, _ in model.named_buffers()]
    compile_model(model, recipe.compile)
    model, optimizer = accelerator.prepare(model, optimizer)
    leave_outputs(accelerator, model)
    task.start(accelerator)
    set_seed(recipe.seed, device_specific=True)  # dropout differs between processes
    decay = recipe.ema.decay
    average = None if decay is None else WeightAverage(accelerator.unwrap_model(model), decay)
    validation = task.make_validation(accelerator, build_loader)
    every = None if validation is None else validation.recipe.steps(plan.steps_per_epoch)
    extras = {name: extra for name, extra in (("ema", average), ("validation", validation)) if extra is not None}
    keeper = CheckpointKeeper(
        accelerator, model, optimizer, recipe, plan, extras=extras, per_process={"faults": loader.faults}
    )
    progress = keeper.resume()
    loader.set_position(progress.samples_seen)
    monitor = Monitor(accelerator, task, recipe, plan, progress)
    return Run(
        recipe=recipe,
        task=task,
        plan=plan,
        accelerator=accelerator,
        model=model,
        optimizer=optimizer,
        loader=loader,
        batches=batches_of(loader),
        progress=progress,
        keeper=keeper,
        monitor=monitor,
        average=average,
        validation=validation,
        evaluate_every=every,
        claim=claim,
    )


def leave_outputs(accelerator: Accelerator, model: nn.Module) -> None:
    """Leave the outputs of a prepared model in the precision that they have.

    In mixed precision accelerate would give all of them in fp32: of ViT-B, 5 MB more to keep for each clip, and 7 MB to
    read and write, where the loss is in fp32 as it is. The loop has an autocast of its own.
    """
    vars(accelerator.unwrap_model(model)).pop("forward", None)


def train(recipe: Recipe, task: Task, build_loader: LoaderFactory) -> None:
    """A whole run, from a checked recipe to a folder that `from_pretrained` loads (`output_dir/model`).

    Args:
        recipe: The recipe.
        task: Its task.
        build_loader: `training.data.build_loader`, or anything that can be called like it.
    """
    run = start(recipe, task, build_loader)
    with run.claim or nullcontext(), sigterm_as_before():
        with closing(run.monitor):
            finished = fit(run)
            if finished:
                with run.exported_weights():
                    save_model(run.accelerator, run.model, task)
                report_faults(run)
        # not after an error: NCCL would wait here for the other processes, and nobody would ever see the error
        run.accelerator.state.destroy_process_group()
    if not finished:
        logger.info(f"Stopped on request after step {run.progress.step}; the same command goes on from there.")
        sys.exit(128 + signal.SIGTERM)


def report_faults(run: Run) -> None:
    """Name the videos that could not be read, on any process, in the log and in `output_dir/unreadable.txt`."""
    faults = run.loader.faults
    reasons: list[tuple[str, str]] = gather_object(list(faults.reasons.items()))
    counts: list[int] = gather_object([faults.bad])
    if not reasons or not run.accelerator.is_main_process:
        return
    found = [Fault(name, reason) for name, reason in sorted(set(reasons))]
    path = Path(run.recipe.output_dir) / "unreadable.txt"
    lines = "".join(f"{fault.name}: {fault.reason}\n" for fault in found)
    # names of files are bytes, which need not be text
    path.write_text(lines, encoding="utf-8", errors="surrogateescape")
    logger.warning(
        f"{len(found)} videos could not be read; {sum(counts)} samples got another one instead. They stand in {path}:\n"
        f"{listing(found)}"
    )
