# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""An evaluation from a recipe to files, on any number of processes."""

import logging
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelerate.state import PartialState
from tqdm.auto import tqdm

from modeling_videomae_v2.compiling import compile_model
from modeling_videomae_v2.writing import written_aside

from ..class_names import read_names
from ..data.faults import Fault, TooManyBadVideosError, listing
from ..data.mixture import Mixture, open_source
from ..data.relabel import with_classes
from ..data.workers import started
from ..launch import asked_precision
from ..recipe_parsing import RecipeError
from .classes import ClassMap, match_classes
from .inference import Classifier, load_model
from .loading import ViewDataset, group_size, groups_of, make_loader
from .picture import draw_confusion
from .processes import joined, leaving_on_sigterm, meet, on_main
from .provenance import describe_run
from .recipe import EvaluationRecipe
from .report import Results, print_table, write_csv, write_json
from .store import PartWriter, Prediction, as_text, claimed, close_store, open_store, read_predictions
from .views import ViewMaker, processor_of


logger = logging.getLogger(__name__)

LOG_EVERY = 60.0  # seconds between two lines where there is no bar


@dataclass
class Job:
    """An evaluation that is ready to run."""

    recipe: EvaluationRecipe
    state: PartialState
    dataset: ViewDataset
    classifier: Classifier

    @property
    def folder(self) -> Path:
        """The output folder."""
        return Path(self.recipe.output_dir)

    @property
    def classes(self) -> ClassMap:
        """How classes were matched."""
        return self.dataset.classes

    def about(self) -> dict[str, Any]:
        """What decides the predictions."""
        made = self.classifier
        sources = self.dataset.mixture.sources
        return describe_run(self.recipe, made.model, sources, made.views, self.classes, made.precision)


def evaluate(recipe: EvaluationRecipe) -> dict[str, Any]:
    """Evaluate a classifier; every process calls it.

    Predictions, tables and the confusion matrix are written to `recipe.output_dir`. What is found there of an earlier
    run of the same evaluation is not computed again, except for videos that could not be read.

    Args:
        recipe: The recipe, checked.

    Returns:
        What `metrics.json` holds, on all processes.

    Raises:
        RecipeError: Model, data and recipe do not fit together, `output_dir` holds another evaluation, or another run
            writes to it.
        TooManyBadVideosError: More videos cannot be read than `data.max_bad_share` allows.
        DataError: A video does not fit the settings of the video processor.
        EvaluationError: Predictions of other processes are missing.
        FloatingPointError: The model's outputs are not finite.
        FailedElsewhereError: Another process has failed.
    """
    with joined(recipe) as state, ExitStack() as until_the_end:
        job = prepare(recipe, state)

        def open_folder() -> set[int]:
            until_the_end.enter_context(claimed(job.folder))
            return open_store(job.folder, job.about(), recipe.overwrite)

        done = on_main(state, open_folder)
        with leaving_on_sigterm():
            predict(job, done)
        meet(state)
        return on_main(state, lambda: finish(job))


def prepare(recipe: EvaluationRecipe, state: PartialState) -> Job:
    """Load the model, open the data and match their classes; the same on all processes.

    Raises:
        RecipeError: They cannot be had, or do not fit together.
    """
    model = load_model(recipe)
    names = read_names(recipe.data.classes, "data.classes")
    try:
        sources = [open_source(source, labelled=True, seed=0, shuffle=False) for source in recipe.data.sources]
        mixture = Mixture([with_classes(source, names) for source in sources])
        num_data = mixture.num_classes() or 0
    except (OSError, ValueError, TypeError, ImportError) as error:
        raise RecipeError(f"The data cannot be opened: {error}") from error
    classes = match_classes(recipe, model.config, names or mixture.classes, num_data)
    views = ViewMaker.of(recipe, processor_of(recipe, model.config))
    model = model.to(state.device)
    compile_model(model, recipe.compile)
    classifier = Classifier(
        model, views, classes.columns, recipe.batch_size, state.device, asked_precision(recipe), recipe.keep_views
    )
    return Job(recipe, state, ViewDataset(mixture, views, classes), classifier)


def predict(job: Job, done: set[int]) -> None:
    """Compute and save the predictions of this process's share of the videos.

    Args:
        job: The evaluation.
        done: Videos that need no more work.

    Raises:
        DataError: A video does not fit the settings of the video processor.
        TooManyBadVideosError: This process alone has met more unreadable videos than there may be.
    """
    recipe, state, length = job.recipe, job.state, len(job.dataset)
    size = group_size(recipe.batch_size, job.classifier.views.num_views)
    groups = groups_of(length, size, done)
    own = groups[state.process_index :: state.num_processes]
    pin = state.device.type == "cuda"
    faults: list[Fault] = []
    progress = Progress(job, groups)
    batches = started(make_loader(job.dataset, own, recipe.data, pin))
    with PartWriter(job.folder, recipe.save_every) as writer, progress:
        for samples in batches:
            found = job.classifier(samples)
            writer.add(found)
            for prediction in found:
                if prediction.error is not None:
                    faults.append(Fault(prediction.path, prediction.error))
                    logger.warning("Unreadable video %s: %s", prediction.path, prediction.error)
            check_share(faults, length, recipe.data.max_bad_share)
            progress.add(found)


def check_share(faults: list[Fault], length: int, max_share: float) -> None:
    """End the evaluation where too many of all videos cannot be read.

    Raises:
        TooManyBadVideosError: There are more than `max_share`.
    """
    if len(faults) > max_share * length:
        raise TooManyBadVideosError(
            f"At least {len(faults)} of {length} videos cannot be read, more than data.max_bad_share = {max_share:g}. "
            "Repair or remove them, or raise data.max_bad_share; the same command then goes on with what was "
            f"predicted:\n{listing(faults)}"
        )


class Progress:
    """A bar, or lines in the log, with the videos per second of all processes; use it as a context manager.

    Groups are dealt out in turn, so the place of this process's latest group tells how far all of them are.

    Args:
        job: The evaluation.
        groups: What is left to do, of all processes.
    """

    def __init__(self, job: Job, groups: list[list[int]]) -> None:
        self.job, self.groups, self.place = job, groups, job.state.process_index
        self.total = sum(map(len, groups))
        self.ends = [0]
        for group in groups:
            self.ends.append(self.ends[-1] + len(group))
        self.right = self.answered = 0
        self.started = self.logged = time.monotonic()
        visible = job.state.is_main_process and job.recipe.progress_bar and sys.stderr.isatty()
        self.bar = tqdm(total=self.total, unit="video", desc="Evaluation", disable=not visible)

    def __enter__(self) -> "Progress":
        if self.job.state.is_main_process:
            before = len(self.job.dataset) - self.total
            more, processes = f", {before} are already done" if before else "", self.job.state.num_processes
            logger.info(f"{self.total} videos to evaluate on {processes} process{'es' * (processes > 1)}{more}.")
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def add(self, predictions: list[Prediction]) -> None:
        """Take note of a group."""
        self.place += self.job.state.num_processes
        reached = self.ends[min(self.place - self.job.state.process_index, len(self.groups))]
        for prediction in predictions:
            scores = prediction.single_view if prediction.multi_view is None else prediction.multi_view
            self.answered += 1
            self.right += scores is not None and int(scores.argmax()) == prediction.label
        self.bar.set_postfix_str(f"top-1 {100 * self.right / self.answered:.1f} %", refresh=False)
        self.bar.update(reached - self.bar.n)
        now = time.monotonic()
        if self.bar.disable and self.job.state.is_main_process and now - self.logged >= LOG_EVERY:
            self.logged, speed = now, reached / (now - self.started)
            logger.info("%d of %d videos, %.2f videos/s, top-1 so far %.1f %%", reached, self.total, speed,
                        100 * self.right / self.answered)  # fmt: skip


def finish(job: Job) -> dict[str, Any]:
    """From the parts to the files of the result; the main process calls it when all have written.

    Raises:
        TooManyBadVideosError: More videos cannot be read than there may be.
    """
    recipe, folder, views = job.recipe, job.folder, job.classifier.views
    table = read_predictions(folder, len(job.dataset))
    names = [as_text(name) for name in job.classes.names]
    results = Results(table, names, views.names, recipe.data.unreadable)
    bad = table.filter(table["error"].is_valid()).select(["path", "error"]).to_pylist()
    check_share([Fault(row["path"], row["error"]) for row in bad], len(table), recipe.data.max_bad_share)
    settings = {name: getattr(views.processor, name) for name in ("num_frames", "sampling", "sampling_rate")}
    size = views.processor.crop_size
    test = {"num_clips": recipe.num_clips, "num_crops": recipe.num_crops, **settings, "image_size": size.height}
    summary = {
        **results.summary(), "model": recipe.model, "test": test, "matched": job.classes.how,
        "mixed_precision": job.classifier.precision,
    }  # fmt: skip
    mistakes = results.confusion_rows()
    write_csv(folder / "classes.csv", results.class_rows())
    write_csv(folder / "confusions.csv", mistakes, ("true", "predicted", "videos", "share"))
    (folder / "unreadable.csv").unlink(missing_ok=True)
    if bad:
        write_csv(folder / "unreadable.csv", bad)
    top1 = summary[results.main_test]["top1"]
    title = f"{len(table)} videos, {len(names)} classes: top-1 {100 * (top1 or 0):.2f} %"
    with written_aside(folder / "confusion.png") as aside:
        draw_confusion(aside, results.confusion, names, mistakes, title)
    write_json(folder / "metrics.json", summary)
    close_store(folder, results.predictions())
    tests = {"multi_view": f"{recipe.num_clips} x {recipe.num_crops}", "single_view": "1 x 1 (centre)"}
    notes = [f"Classes matched {job.classes.how}. Files are in {folder}."]
    if bad:
        counted = summary["unreadable_count_as"]
        one = len(bad) == 1
        which = "1 video could not be read and counts" if one else f"{len(bad)} videos could not be read and count"
        notes.insert(0, f"{which} as {counted}; see unreadable.csv.")
    print_table(results, tests, notes)
    return summary
