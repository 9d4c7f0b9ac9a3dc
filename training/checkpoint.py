# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that can be trusted.

A checkpoint is a folder `checkpoints/step-00001234`. It is written under another name, forced to the disk and renamed
at the end, so that a folder of that name is complete, whatever happened to the process or the machine. It is removed
under another name, too. Inside:

- weights and optimizer in the format of `torch.distributed.checkpoint`, in as many files as there were processes; any
  other number of processes, with DDP or FSDP2, can read them (DeepSpeed writes a format of its own),
- `rank-N.pt`: the states of the random generators of each process, and what else is its own,
- `state.json`: step, place in the data, loss scale, and the plan and recipe of the run.

The learning rate needs no state: it is a function of the step.
"""

import json
import re
import secrets
import shutil
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol

import torch
import torch.distributed.checkpoint as dcp
from accelerate import Accelerator
from accelerate.logging import get_logger
from accelerate.utils import DistributedType, broadcast_object_list, gather_object
from torch import nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

from modeling_videomae_v2.writing import file_for_torch, naming

from .disk import REMOVING, FolderInUse, claim, force_to_disk, remove_whole, replace_folder
from .optimizer import group_options, optimizer_changes
from .random_states import random_states, restore_random_states
from .recipe import Recipe, RecipeError
from .recipe_changes import recipe_changes
from .schedule import Plan, plan_changes


logger = get_logger(__name__)

FORMAT = 1
STATE = "state.json"
# what reading a file raises, one that was cut off or holds something else among others
UNREADABLE = (
    CheckpointException, UnpicklingError, EOFError, OSError, ValueError, LookupError, TypeError, RuntimeError,
)  # fmt: skip
LISTED_WEIGHTS = 4
_COMPLETE = re.compile(r"step-(\d{8,})")
_WRITING = ".writing"


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        step: Optimizer steps since the start.
        samples_seen: Videos taken by all processes together.
        owes_evaluation: An evaluation was due after this step and has not taken place.
        evaluated_step: Step after which the newest evaluation took place; None: there was none, or older code wrote
            the checkpoint.
        evaluated_on: Digest of the videos of that evaluation, where it is known.
    """

    step: int = 0
    samples_seen: int = 0
    owes_evaluation: bool = False
    evaluated_step: int | None = None
    evaluated_on: str | None = None


class Stateful(Protocol):
    """Anything with a state to keep, such as averaged weights."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any: ...


class CheckpointKeeper:
    """Writes, finds, loads and removes the checkpoints of a run.

    Args:
        accelerator: The processes.
        model: The model, as `accelerator.prepare` returned it.
        optimizer: The optimizer, likewise.
        recipe: Where to, and how many to keep.
        plan: The recipe in numbers.
        extras: Further state, by name, the same on all processes. Where a checkpoint was written without, its
            `restart()` is called after the weights were loaded, if it has that method.
        per_process: Further state, by name, of which each process keeps its own; no tensors on devices. Where a run
            goes on with fewer processes, `load_state_dict` is called once more for each that one takes the place of.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        model: nn.Module,
        optimizer: Any,
        recipe: Recipe,
        plan: Plan,
        extras: dict[str, Stateful] | None = None,
        per_process: dict[str, Stateful] | None = None,
    ) -> None:
        self.accelerator, self.model, self.optimizer = accelerator, model, optimizer
        self.recipe, self.plan = recipe, plan
        self.extras, self.per_process = extras or {}, per_process or {}
        self.folder = Path(recipe.output_dir) / "checkpoints"

    def save(self, progress: Progress) -> Path:
        """Write a checkpoint; every process calls it. Returns its folder."""
        accelerator, writing = self.accelerator, self.folder / _WRITING
        final = self.folder / f"step-{progress.step:08d}"
        if accelerator.is_main_process:
            remove_leftovers(self.folder)
            writing.mkdir(parents=True)
        accelerator.wait_for_everyone()
        self._write_weights(writing)
        states = {name: extra.state_dict() for name, extra in self.per_process.items()}
        own = writing / f"rank-{accelerator.process_index}.pt"
        with naming(own), file_for_torch(own) as file:
            torch.save({"random": random_states(), **states}, file)
        force_to_disk(own, recurse=False)  # another machine cannot do it for this one
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            with naming(writing / STATE):
                (writing / STATE).write_text(json.dumps(self._describe(progress), indent=1), encoding="utf-8")
            force_to_disk(writing)
            replace_folder(final, writing)
            force_to_disk(self.folder, recurse=False)
            self._remove_old()
        accelerator.wait_for_everyone()
        logger.info(f"Checkpoint of step {progress.step} written to {final}.")
        return final

    def resume(self) -> Progress:
        """Load the newest complete checkpoint, if there is one; every process calls it.

        Returns:
            How far the run is; step 0 if it only begins.

        Raises:
            RecipeError: It is damaged, or of another model or stage, the optimizer now sorts the parameters into other
                groups, or `checkpoint.resume` is off.
        """
        names = [path.name for path in complete_checkpoints(self.folder)]
        newest: str | None = broadcast_object_list([names[-1] if names else None])[0]
        if newest is None:
            return Progress()
        if not self.recipe.checkpoint.resume:
            raise RecipeError(
                f"{self.folder} already holds {newest}: choose another output_dir, or set checkpoint.resume to true."
            )
        return self._load(self.folder / newest)

    def _load(self, folder: Path) -> Progress:
        with naming_unreadable(folder / STATE):
            state = json.loads((folder / STATE).read_text(encoding="utf-8"))
            if state["format"] != FORMAT:
                raise RecipeError(f"{folder} has format {state['format']}; this code reads format {FORMAT}.")
            taught = "teacher" in state["recipe"]
            if taught != hasattr(self.recipe, "teacher"):  # one model, two objectives
                stage = "distillation" if taught else "training without a teacher"
                raise RecipeError(f"{folder} is a checkpoint of a {stage}: choose another output_dir.")
            progress = Progress(**state["progress"])
            changes = plan_changes(state["plan"], self.plan, progress.step, progress.samples_seen)
            changes += optimizer_changes(state["recipe"]["optimizer"], self.recipe.optimizer)
            changes += recipe_changes(state["recipe"], self.recipe)
        logger.info(f"Going on from {folder}: step {progress.step}, {progress.samples_seen} videos taken.")
        for line in changes:
            logger.warning(line)
        options = group_options(self.optimizer)
        self._read_weights(folder)
        for group, own in zip(self.optimizer.param_groups, options):  # the recipe counts, not the checkpoint
            group.update(own)
        if self.accelerator.scaler is not None and state["scaler"]:
            self.accelerator.scaler.load_state_dict(state["scaler"])
        rank = self.accelerator.process_index
        before = state["plan"]["num_processes"]
        while (own := folder / f"rank-{rank}.pt").is_file() or rank < before:  # not on processes that are new
            with naming_unreadable(own):
                states = torch.load(own, weights_only=True)
                if rank == self.accelerator.process_index:
                    restore_random_states(states["random"])
                for name, extra in self.per_process.items():
                    extra.load_state_dict(states[name])
            rank += self.accelerator.num_processes  # of a process that is no more
        return progress

    def _describe(self, progress: Progress) -> dict[str, Any]:
        scaler = self.accelerator.scaler
        return {
            "format": FORMAT,
            "progress": asdict(progress),
            "scaler": None if scaler is None else scaler.state_dict(),
            "plan": asdict(self.plan),
            "recipe": self.recipe.as_dict(),
            "engine": str(self.accelerator.distributed_type.value),
            "torch": torch.__version__,
        }

    def _state(self) -> dict[str, Any]:
        model, optimizer = get_state_dict(self.model, self.optimizer.optimizer)
        extras = {name: extra.state_dict() for name, extra in self.extras.items()}
        return {"model": model, "optimizer": optimizer, **({"extras": extras} if extras else {})}

    def _write_weights(self, folder: Path) -> None:
        if self.accelerator.distributed_type == DistributedType.DEEPSPEED:
            self.model.save_checkpoint(str(folder), tag="deepspeed")
            return
        try:
            with quiet():
                dcp.save(self._state(), storage_writer=dcp.FileSystemWriter(folder, sync_files=True))
        except CheckpointException as error:
            reason = _reason(error)
            if "enforce fail" in reason:  # what PyTorch may say of a full disk
                reason += f" ({shutil.disk_usage(folder.parent).free / 2**20:,.1f} MiB are free there)"
            raise OSError(f"{folder} cannot be written: {reason}.") from error

    def _read_weights(self, folder: Path) -> None:
        if self.accelerator.distributed_type == DistributedType.DEEPSPEED:
            self.model.load_checkpoint(str(folder), tag="deepspeed")
            return
        state = self._state()
        with naming_unreadable(folder / ".metadata"):
            saved = dcp.FileSystemReader(folder).read_metadata().state_dict_metadata
            self._demand_same_model(folder, saved, state["model"])
        # the recipe did not ask for these then
        missing = self.extras.keys() - {key.split(".")[1] for key in saved if key.startswith("extras.")}
        for name in sorted(missing):
            logger.warning(f"{folder} holds no `{name}`: it starts from here.")
            del state["extras"][name]
        with quiet(), naming_unreadable(folder / "*.distcp"):
            dcp.load(state, storage_reader=dcp.FileSystemReader(folder))
        set_state_dict(
            self.model,
            self.optimizer.optimizer,
            model_state_dict=state["model"],
            optim_state_dict=state["optimizer"],
        )
        for name, extra in self.extras.items():
            if name in state["extras"]:
                extra.load_state_dict(state["extras"][name])
            elif hasattr(extra, "restart"):
                extra.restart()

    def _demand_same_model(self, folder: Path, saved: dict[str, Any], weights: dict[str, torch.Tensor]) -> None:
        """Refuse the checkpoint of another model, of which the weights that fit would be taken in silence."""
        there = {key: tuple(item.size) for key, item in saved.items() if key.startswith("model.")}
        here = {f"model.{name}": tuple(weight.shape) for name, weight in weights.items()}
        differing = sorted(name for name in there.keys() | here.keys() if there.get(name) != here.get(name))
        if differing:
            shapes = [(name.removeprefix("model."), there.get(name), here.get(name)) for name in differing]
            listed = [f"  {name}: {old} there, {new} here" for name, old, new in shapes[:LISTED_WEIGHTS]]
            raise RecipeError(
                f"{folder} is a checkpoint of another model, {len(differing)} of whose weights differ:\n"
                + "\n".join(listed)
                + "\nChoose another output_dir, or set the model, its classes and peft to what they were."
            )

    def _remove_old(self) -> None:
        keep = self.recipe.checkpoint.keep
        for path in complete_checkpoints(self.folder)[:-keep] if keep else []:
            try:
                remove_whole(path)
            except OSError as error:  # someone reads in it, over NFS: no reason to end a training
                logger.warning(f"The old checkpoint {path} cannot be removed whole: {error}")


def claim_folder(accelerator: Accelerator, recipe: Recipe) -> FileIO | None:
    """Find out at the start what would keep a checkpoint from being written; every process calls it.

    Returns:
        What keeps other runs out of the folder until it is closed, if anything does.

    Raises:
        RecipeError: `output_dir` cannot be written to, another run writes to it, or some processes have another folder
            of that name.
    """
    folder, problem = Path(recipe.output_dir) / "checkpoints", None
    trial = folder / f"{_WRITING}-{secrets.token_hex(8)}"  # no machine remembers that it is not there
    with ExitStack() as at_an_error:
        held = None
        if accelerator.is_main_process:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                held = at_an_error.enter_context(claim(folder.parent, "a training") or nullcontext())
                trial.mkdir()
            except FolderInUse as error:
                problem = f"output_dir ({recipe.output_dir}) {error}"
            except OSError as error:
                problem = f"output_dir ({recipe.output_dir}) cannot be written to: {error}"
        name, problem = broadcast_object_list([trial.name, problem])
        if problem is not None:
            raise RecipeError(problem)
        everywhere: list[bool] = gather_object([(folder / name).is_dir()])
        if accelerator.is_main_process:
            trial.rmdir()
        if not all(everywhere):
            raise RecipeError(
                f"output_dir ({recipe.output_dir}) is another folder for {everywhere.count(False)} of "
                f"{len(everywhere)} processes than for the first one: it must lie in a folder that all machines share."
            )
        at_an_error.pop_all()
        return held


def complete_checkpoints(folder: Path) -> list[Path]:
    """The complete checkpoints in a folder, oldest first."""
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if _COMPLETE.fullmatch(path.name) and (path / STATE).is_file()]
    return sorted(found, key=lambda path: int(path.name.partition("-")[2]))


def remove_leftovers(folder: Path) -> None:
    """Remove what a process that was killed left half written or half removed."""
    for path in folder.glob(".*"):
        if path.name.startswith((_WRITING, REMOVING)):
            shutil.rmtree(path, ignore_errors=path.name.startswith(REMOVING))


@contextmanager
def naming_unreadable(file: Path) -> Iterator[None]:
    """Have an error of reading `file`, of a checkpoint, name it and the way out.

    Raises:
        RecipeError: It is damaged, is not there any more, or something else kept it from being read (rights, memory).
    """
    try:
        yield
    except RecipeError:
        raise
    except UNREADABLE as error:
        raise RecipeError(
            f"{file} cannot be read: {_reason(error)}. If it is damaged, remove the folder {file.parent}; the same "
            "command then goes on from the checkpoint before, if there is one."
        ) from error


def _reason(error: BaseException) -> str:
    """What is wrong, in a line."""
    if isinstance(error, UnpicklingError):  # torch's message advises to run what is in it
        return "it holds something else"
    if isinstance(error, KeyError):
        return f"it has no {error}"
    lines = str(error).strip().splitlines() or [type(error).__name__]
    # below the stacks of all processes
    return lines[-1 if isinstance(error, CheckpointException) else 0].rstrip(".")


class quiet(warnings.catch_warnings):
    """Without the remarks of `torch.distributed.checkpoint` on its own future and on running in one process."""

    def __enter__(self) -> Any:
        entered = super().__enter__()
        warnings.filterwarnings("ignore", module=r"torch\.distributed")
        return entered
