# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Build the data sets of the paper: Kinetics-710 and UnlabeledHybrid (C.1, C.2). See docs/datasets.md.

python -m training.build_hybrid kinetics710 --train 400=k400/train.csv --val 400=k400/val.csv ... --output data/k710
python -m training.build_hybrid unlabeled --k710 data/k710/train.txt --ssv2 ssv2/train.json ... --output data/unlabeled_hybrid
python -m training.build_hybrid check data/unlabeled_hybrid/webvid.txt --root data/webvid --decode
"""  # noqa: E501

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperGroup

from .console import ending_in_words, messages, print_some, progress_bar, screen
from .disk import given_path
from .hybrid.parts import PARTS
from .hybrid.tables import kinetics_remarks, kinetics_tables, unlabeled_remarks, unlabeled_table
from .hybrid.versions import FILE_NAME, PREFERENCE, TRAINING, VALIDATION, VERSIONS


if TYPE_CHECKING:
    from .hybrid.checking import CheckResult


class ErrorsInWords(TyperGroup):
    """Runs a command, see `ending_in_words`."""

    def invoke(self, ctx: Any) -> Any:
        with ending_in_words():
            return super().invoke(ctx)


app = typer.Typer(
    help="Build Kinetics-710 and UnlabeledHybrid out of the published lists, or look whether listed videos are there.",
    cls=ErrorsInWords, no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip

# no shell replaces `~` in `--root=~/videos`, or in quotes
FILE: dict[str, Any] = {"metavar": "FILE", "parser": os.path.expanduser}
FOLDER: dict[str, Any] = {**FILE, "metavar": "FOLDER"}
Output = Annotated[Path, typer.Option("--output", "-o", parser=given_path, help="folder to write to")]
Force = Annotated[bool, typer.Option("--force", help="replace files with other content")]
Workers = Annotated[int, typer.Option(min=1, help="videos that are looked at a time")]
Check = Annotated[
    str | None, typer.Option(metavar="N|all", help="afterwards look whether so many videos of each list are there")
]
Decode = Annotated[bool, typer.Option("--decode", help="with the check, decode the first and the last frame")]


@app.command()
def kinetics710(
    output: Output,
    train: Annotated[list[str], typer.Option(metavar="VERSION=FILE", help="training list of 400, 600 or 700")],
    val: Annotated[list[str], typer.Option(metavar="VERSION=FILE", help="validation list")] = [],  # noqa: B006
    labels: Annotated[
        list[str], typer.Option(metavar="VERSION=FILE", help="class names of a version, in the order of their numbers")
    ] = [],  # noqa: B006
    label_map: Annotated[
        str | None,
        typer.Option(**FILE, help="names of the 710 classes in the order of the checkpoint; default: sorted"),
    ] = None,
    renames: Annotated[str | None, typer.Option(**FILE, help="JSON with new names of classes by old ones")] = None,
    video_path: Annotated[str, typer.Option(help="path of the video of a CSV line")] = FILE_NAME,
    folder: Annotated[
        list[str], typer.Option(metavar="VERSION=FOLDER", help="folder to put in front of the paths of a version")
    ] = [],  # noqa: B006
    root: Annotated[str, typer.Option(**FOLDER, help="folder of the videos, for manifests and --check")] = "",
    prefer: Annotated[str, typer.Option(help="versions, the one whose class and file are taken first")] = ",".join(
        map(str, PREFERENCE)
    ),
    force: Force = False,
    check: Check = None,
    decode: Decode = False,
    workers: Workers = 8,
) -> None:
    """Unite Kinetics-400, -600 and -700: one class set, each video once, no validation video in training."""
    # what imports PyTorch is imported where it is used: arguments are answered without it
    from .hybrid.kinetics_lists import KineticsList
    from .hybrid.labeled import FILE_OF_SPLIT, KineticsOptions, build_kinetics710

    lists = [
        KineticsList(version=_version(version), path=_file(option, path), split=split)
        for option, split, values in (("--train", TRAINING, train), ("--val", VALIDATION, val))
        for version, path in _pairs(values)
    ]
    options = KineticsOptions(
        lists,
        {_version(version): _file("--labels", path) for version, path in _pairs(labels)},
        label_map and _file("--label-map", label_map),
        renames and _file("--renames", renames),
        video_path,
        {_version(version): path for version, path in _pairs(folder)},
        root,
        _preference(prefer),
    )
    sample = _sample(check)
    with messages.status("") as status:
        report = build_kinetics710(options, str(output), force=force, progress=_shown(status.update))
    screen.print(*kinetics_tables(report))
    _remarks(kinetics_remarks(report))
    if sample is not None:
        names = [output / f"{name}.txt" for name in FILE_OF_SPLIT.values()]
        _check_all([(name, root) for name in names if name.exists()], sample, decode, workers)


@app.command()
def unlabeled(
    output: Output,
    k710: Annotated[str | None, typer.Option(**FILE, help="train.txt of Kinetics-710; all of it")] = None,
    ssv2: Annotated[str | None, typer.Option(**FILE, help="training list of Something-Something V2; all of it")] = None,
    ava: Annotated[
        str | None, typer.Option(**FILE, help="list of movies, lines `path`, `path total` or `path total fps`")
    ] = None,
    webvid: Annotated[str | None, typer.Option(**FILE, help="published CSV or list of WebVid2M, to draw from")] = None,
    self_collected: Annotated[str | None, typer.Option(**FILE, help="list of your own videos, to draw from")] = None,
    ava_train: Annotated[
        str | None,
        typer.Option(**FILE, help="ava_train_v2.2.csv, or names of the training movies; default: all of the list"),
    ] = None,
    ava_cut: Annotated[bool, typer.Option("--ava-cut", help="the files hold minutes 15 to 30 alone")] = False,
    count: Annotated[
        list[str], typer.Option(metavar="PART=N|all", help="videos to draw; default: 250000 of webvid, self_collected")
    ] = [],  # noqa: B006
    root: Annotated[
        list[str], typer.Option(metavar="PART=FOLDER", help="folder of the videos of a part; default: data/PART")
    ] = [],  # noqa: B006
    video_path: Annotated[
        list[str], typer.Option(metavar="PART=TEMPLATE", help="path of a video, of the columns of a CSV or JSON list")
    ] = [],  # noqa: B006
    seed: Annotated[int, typer.Option(min=0, help="seed of the draws")] = 0,
    force: Force = False,
    check: Check = None,
    decode: Decode = False,
    workers: Workers = 8,
) -> None:
    """Put UnlabeledHybrid together, as lists for training/recipes/unlabeled_hybrid.yaml and as one manifest."""
    from .hybrid.movies import WINDOW
    from .hybrid.unlabeled import MovieOptions, UnlabeledOptions, build_unlabeled

    given = {"k710": k710, "ssv2": ssv2, "ava": ava, "webvid": webvid, "self_collected": self_collected}
    sample = _sample(check)
    with progress_bar() as bar:
        task = bar.add_task("", total=None)

        def movies_done(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total, description="Movies of ava")

        options = UnlabeledOptions(
            {name: _file(_option(name), path) for name, path in given.items() if path is not None},
            _of_parts("--root", root),
            {name: _number("--count", value) for name, value in _of_parts("--count", count).items()},
            _of_parts("--video-path", video_path),
            seed,
            MovieOptions(
                ava_train and _file("--ava-train", ava_train), None if ava_cut else WINDOW, workers, movies_done
            ),
        )
        report = build_unlabeled(
            options, str(output), force=force,
            progress=lambda name: bar.update(task, completed=0, total=None, description=f"Reading {name}"),
        )  # fmt: skip
    screen.print(unlabeled_table(report))
    _remarks(unlabeled_remarks(report))
    if sample is not None:
        _check_all([(output / f"{name}.txt", options.root(name)) for name in report["parts"]], sample, decode, workers)


@app.command("check")
def check_command(
    lists: Annotated[list[Path], typer.Argument(parser=given_path, help="lists as training reads them")],
    root: Annotated[str, typer.Option(**FOLDER, help="folder of the videos; default: that of the list")] = "",
    sample: Annotated[int | None, typer.Option(min=1, help="look at so many of each list; default: all")] = None,
    decode: Decode = False,
    workers: Workers = 8,
    seed: Annotated[int, typer.Option(min=0, help="seed of the sample")] = 0,
    pattern: Annotated[str, typer.Option(help="names of pictures where a video is a folder")] = "img_{:05}.jpg",
    good: Annotated[
        Path | None, typer.Option(parser=given_path, help="write the list again here, without the bad videos")
    ] = None,
    bad: Annotated[
        Path | None, typer.Option(parser=given_path, help="write the bad videos here, a line each: path, tab, reason")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="replace the files of --good and --bad")] = False,
) -> None:
    """Look whether the videos of lists are there and, with --decode, can be decoded. Exit code 1: some are not."""
    if good is not None and (len(lists) > 1 or sample is not None):
        raise ValueError("--good writes one list and needs all of its videos checked: pass one list, and no --sample.")
    if bad is not None and bad in (good, *lists):
        raise ValueError(f"--bad names {bad}, which is a list of videos and would be lost. Name another file.")
    for target in (target for target in (good, bad) if target is not None):
        if target.exists() and not target.is_file():
            raise ValueError(f"{target} is a folder or a device. Name a file.")
        if target.exists() and not force:
            raise FileExistsError(f"{target} is there already. Pass --force to replace it, or another name.")
        target.parent.mkdir(parents=True, exist_ok=True)  # not after hours of decoding
        if not os.access(target.parent, os.W_OK):
            raise PermissionError(f"Nothing can be written to {target.parent}. Name a file in another folder.")
    from .hybrid.checking import write_aside, write_good

    results = [_check(path, root, sample, decode, workers, seed, pattern) for path in lists]
    if good is not None:
        write_good(str(lists[0]), results[0], str(good))
        screen.print(f"{escape(str(good))}: {results[0].listed - len(results[0].bad):,} videos", soft_wrap=True)
    if bad is not None:
        write_aside(str(bad), (result.text() for result in results))
    _leave(results)


def _check_all(lists: Sequence[tuple[Path, str]], sample: int, decode: bool, workers: int) -> None:
    """Check lists (`sample` 0: all videos), say what is bad, and leave with exit code 1 if something is."""
    _leave([_check(path, root, sample or None, decode, workers) for path, root in lists])


def _check(
    path: Path, root: str, sample: int | None, decode: bool, workers: int, seed: int = 0,
    pattern: str = "img_{:05}.jpg",
) -> "CheckResult":  # fmt: skip
    from .hybrid.checking import check_list

    with progress_bar() as bar:
        task = bar.add_task(f"Checking {escape(path.name)}", total=None)
        result = check_list(
            str(path), root, sample=sample, decode=decode, workers=workers, seed=seed, pattern=pattern,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    number, checked = f"{result.checked - len(result.bad):,}", f"{result.checked:,}"
    of = "" if result.checked == result.listed else f" (drawn from {result.listed:,})"
    what = "decoded" if decode else "found"
    screen.print(f"{escape(str(path))}: {number} of {checked} videos{of} {what}.", soft_wrap=True)
    print_some(result.text().splitlines(), "all of them: command `check`, option --bad")
    return result


def _leave(results: Sequence["CheckResult"]) -> None:
    if any(result.bad for result in results):
        raise typer.Exit(1)


def _shown(update: Callable[[str], None]) -> Callable[[str], None]:
    return lambda text: update(escape(text))


def _remarks(remarks: list[str]) -> None:
    for remark in remarks:
        screen.print(escape(remark), soft_wrap=True)


def _pairs(values: list[str]) -> list[tuple[str, str]]:
    """`NAME=VALUE` options; values are paths, but for numbers."""
    for value in values:
        if not all(value.partition("=")[::2]):
            raise ValueError(f"Expected NAME=VALUE, such as 400=train.csv, got {value!r}.")
    pairs = (value.partition("=")[::2] for value in values)
    return [(name.strip(), os.path.expanduser(value)) for name, value in pairs]


def _file(option: str, path: str) -> str:
    """`path`, if there is such a file: said at once, and not after the lists before it have been read."""
    if os.path.isdir(path):
        raise ValueError(f"{option}: {path} is a folder. Name the file in it.")
    if not os.path.exists(path):
        raise FileNotFoundError(f"{option}: there is no file {path}. Check the path.")
    return path


def _option(part: str) -> str:
    return f"--{part.replace('_', '-')}"


def _version(text: str) -> int:
    versions = {form: version for version in VERSIONS for form in (str(version), f"k{version}")}
    if text.lower() not in versions:
        raise ValueError(f"{text!r} is no version of Kinetics. Pass 400, 600 or 700, such as 400=train.csv.")
    return versions[text.lower()]


def _preference(text: str) -> tuple[int, ...]:
    versions = tuple(_version(part.strip()) for part in text.split(","))
    if sorted(versions) != sorted(VERSIONS):
        raise ValueError(f"--prefer must name each of {', '.join(map(str, VERSIONS))} once, got {text!r}.")
    return versions


def _of_parts(option: str, values: list[str]) -> dict[str, str]:
    pairs = {name.replace("-", "_"): value for name, value in _pairs(values)}
    for name in pairs:
        if name not in PARTS:
            raise ValueError(f"{option}: {name!r} is no part. Pass one of {', '.join(PARTS)}.")
    return pairs


def _number(option: str, text: str) -> int | None:
    """A count of videos; None for `all`."""
    if text.lower() == "all":
        return None
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise ValueError(f"{option} takes a number above 0 or `all`, got {text!r}.")
    return int(text)


def _sample(check: str | None) -> int | None:
    """Videos to look at, 0 for all; None: no check."""
    return None if check is None else _number("--check", check) or 0


if __name__ == "__main__":
    app()
