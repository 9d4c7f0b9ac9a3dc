# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""The training movies of AVA, cut into pieces of 300 frames (paper, C.1).

AVA annotates minutes 15 to 30 of each movie. 235 training movies x 15 minutes at 30 frames per second / 300 are 21,150
pieces, the 21k of Table 8; so the pieces lie end to end, and frames that do not fill one are left out.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from modeling_videomae_v2.video_decoding_videomae_v2 import VideoReader

from ..data.sources import VIDEO_SUFFIXES, picture_names
from .lists import fault, find_layout, read_header, read_lines, read_list


PIECE = 300
WINDOW = (15 * 60.0, 30 * 60.0)
LAYOUTS = {1: ("path",), 2: ("path", "total"), 3: ("path", "total", "fps")}


@dataclass(frozen=True)
class Movie:
    """A movie of the list.

    Attributes:
        path: As the list has it.
        line: Its line.
        total: Frames; None where they have to be counted.
        fps: Frames per second; None where they are not known.
    """

    path: str
    line: int
    total: int | None = None
    fps: float | None = None


def read_movies(path: str) -> list[Movie]:
    """Movies of a list with lines `path`, `path total` or `path total fps`, each once, sorted by path.

    Raises:
        FileNotFoundError: There is no such list.
        ValueError: A line has other columns, no frames, or gives a movie another length than before.
    """
    header = read_header(path, ("path", "total", "fps"))
    if header is not None:
        raise fault(path, header.line, f"write the names of the columns as a remark: `# {' '.join(header.names)}`.")
    layout = find_layout(path, LAYOUTS, float)
    movies: dict[str, Movie] = {}
    for line, video, values in read_list(path, layout, float):
        given = dict(zip(layout.columns[1:], values))
        total, fps = given.get("total"), given.get("fps")
        if total is not None and not (total >= 1 and total.is_integer()):
            raise fault(path, line, f"{total:g} is no number of frames. Correct it, or leave the column out.")
        if fps is not None and not 1 <= fps <= 1000:
            raise fault(path, line, f"{fps:g} frames per second cannot be. Correct it, or leave the column out.")
        movie = Movie(video, line, None if total is None else int(total), fps)
        other = movies.setdefault(video, movie)
        if (other.total, other.fps) != (movie.total, movie.fps):
            raise fault(path, line, f"line {other.line} gives {video!r} another length. Remove one of the two.")
    return [movies[video] for video in sorted(movies)]


def read_training_names(path: str) -> set[str]:
    """Names, without folder and suffix, of the movies in a published `ava_train_v2.2.csv` or a list of names.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It names none.
    """
    names = {movie_name(line.split(",")[0].strip().strip('"')) for _, line in read_lines(path) if line.strip()}
    if not names:
        raise ValueError(f"{path} names no movies. Pass ava_train_v2.2.csv, or a list of names.")
    return names


def movie_name(path: str) -> str:
    """Name of a movie without folder and suffix."""
    name = path.replace("\\", "/").rpartition("/")[2]
    stem, _, suffix = name.rpartition(".")
    return stem if stem and suffix.lower() in VIDEO_SUFFIXES else name


def probe(movies: Sequence[Movie], root: str, workers: int, needs_fps: bool = True) -> Iterator[Movie]:
    """The movies with their lengths, counted where the list does not give them. Nothing is decoded.

    Args:
        movies: What the list has.
        root: Folder that relative paths start from.
        workers: Files that are read at a time.
        needs_fps: Whether frames per second have to be known too.

    Raises:
        FileNotFoundError, VideoDecodingError: A movie is not there, or is no video.
        ValueError: Frames per second are wanted of a folder of pictures.
    """

    def count(movie: Movie) -> Movie:
        if movie.total is not None and (movie.fps is not None or not needs_fps):
            return movie
        place = os.path.join(root, movie.path)
        if os.path.isdir(place):
            if needs_fps and movie.fps is None:
                raise ValueError(
                    f"{place} is a folder of pictures, whose frames per second nobody knows. Give them in the list "
                    "(`path total fps`), or pass --ava-cut if it holds minutes 15 to 30 alone."
                )
            return Movie(movie.path, movie.line, len(picture_names(place)), movie.fps)
        with VideoReader(place, num_threads=1) as reader:
            return Movie(movie.path, movie.line, movie.total or reader.num_frames, movie.fps or reader.fps)

    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(count, movies)


def cut(movie: Movie, window: tuple[float, float] | None, length: int = PIECE) -> tuple[range, int]:
    """First frames of the pieces of one movie, and how many frames at the end fill none.

    Args:
        movie: With its length.
        window: Seconds from and to which it is cut; None: all of it.
        length: Frames of a piece.
    """
    start, end = 0, movie.total or 0
    if window is not None:
        fps = movie.fps or 0.0
        start, end = round(window[0] * fps), min(end, round(window[1] * fps))
    count = max(end - start, 0) // length
    return range(start, start + count * length, length), max(end - start, 0) - count * length


def cut_all(
    path: str, root: str, *, window: tuple[float, float] | None, training: str | None = None, workers: int = 1,
    length: int = PIECE, progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[tuple[str, int, int]], dict[str, Any]]:  # fmt: skip
    """Pieces of all movies of a list.

    Args:
        path: List of the movies.
        root: Folder that relative paths start from.
        window: Seconds from and to which movies are cut; None: the files hold nothing else.
        training: File with the names of the training movies; None: all of the list are.
        workers: Files that are read at a time.
        length: Frames of a piece.
        progress: Gets the numbers of movies that are done and of all.

    Returns:
        `(path, first frame, length)` of each piece, and counts for the report.

    Raises:
        ValueError: A line is wrong, a movie has no piece, or the list has none of the training movies.
    """
    listed = read_movies(path)
    names = {movie_name(movie.path) for movie in listed} if training is None else read_training_names(training)
    movies = [movie for movie in listed if movie_name(movie.path) in names]
    if not movies:
        raise ValueError(f"{path} has none of the movies that {training} names. Check the two files.")
    pieces, left = [], 0
    for number, movie in enumerate(probe(movies, root, workers, needs_fps=window is not None), start=1):
        starts, rest = cut(movie, window, length)
        if not starts:
            raise _too_short(path, movie, window, length)
        pieces += [(movie.path, start, length) for start in starts]
        left += rest
        progress(number, len(movies))
    return pieces, {
        "movies_in_list": len(listed), "movies": len(movies), "frames_left_out_at_ends": left,
        "training_movies_without_file": sorted(names - {movie_name(movie.path) for movie in movies}),
    }  # fmt: skip


def _too_short(path: str, movie: Movie, window: tuple[float, float] | None, length: int) -> ValueError:
    if window is None:
        return fault(path, movie.line, f"{movie.path!r} has {movie.total} frames, not one piece of {length}. Drop it.")
    seconds = (movie.total or 0) / (movie.fps or 1)
    return fault(
        path, movie.line, f"{movie.path!r} lasts {seconds:.0f} s; from second {window[0]:g} on it has not one piece of "
        f"{length} frames. If the files hold minutes 15 to 30 alone, pass --ava-cut; otherwise drop the line.",
    )  # fmt: skip
