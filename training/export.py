# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The result of a run: one folder that `from_pretrained` loads, however the model was spread over processes."""

import shutil
from pathlib import Path

from accelerate import Accelerator
from accelerate.logging import get_logger
from torch import nn

from modeling_videomae_v2.writing import naming

from .disk import force_to_disk, replace_folder
from .tasks import Task


logger = get_logger(__name__)


def save_model(accelerator: Accelerator, model: nn.Module, task: Task, name: str = "model") -> Path:
    """Save weights, configuration and video processor to `output_dir/model`; every process calls it.

    The folder is written under another name and renamed at the end.

    Args:
        accelerator: The processes.
        model: The model, as `accelerator.prepare` returned it.
        task: Knows the class of the model and its video processor.
        name: Another name for the folder.
    """
    weights = accelerator.get_state_dict(model)  # gathers the shards
    folder = Path(task.recipe.output_dir) / name
    if accelerator.is_main_process:
        writing = folder.with_name(f".{name}-writing")
        shutil.rmtree(writing, ignore_errors=True)
        weights = {name: tensor.detach().float().contiguous().cpu() for name, tensor in weights.items()}
        with naming(writing):
            task.save_model(weights, writing)
        force_to_disk(writing)
        replace_folder(folder, writing)
        force_to_disk(folder.parent, recurse=False)
        logger.info(f"Model saved to {folder}.")
    accelerator.wait_for_everyone()
    return folder
