# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""What happens in a clip: a still scene that knows no class, and twelve ways in which it comes about and goes on.

The scene is drawn first, by the same rules for every class. The class then says how one of its objects, the actor (or
two), came to be as it is and goes on, and which instant of the clip the scene was is drawn last, such that places,
sizes and gaps stay within the range that scenes have. So a single frame, the first and the last included, says next to
nothing about the class. Each class has a partner that is the same film played backwards. The other objects stand still
or tremble.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .drawing import SHAPES, TEXTURE_SIDE, Array, Look, Track, draw_texture, paint


# Objects are lit and backgrounds dim, so that a small model finds the objects soon and spends its time on the motion.
OBJECT_LUMAS = ((95.0, 140.0), (180.0, 245.0))
BACKGROUND_LUMAS = ((20.0, 40.0), (40.0, 60.0))
# The ranges of a scene, which no motion leaves: places along either axis, radii, gaps between the first two objects.
PLACES = (0.04, 0.96)
RADII = (0.12, 0.34)
GAPS = (0.0, 0.52)
# How far a motion goes within a clip: share of the side, factor of the size, turns, change of the gap.
DISTANCES = (0.36, 0.48)
GROWTHS = (1.6, 1.75)
TURNS = (0.45, 0.7)
GAP_CHANGES = (0.36, 0.46)


@dataclass(frozen=True)
class Thing:
    """An object of the scene; lengths are shares of the frame's side, the angle is in radians."""

    look: Look
    x: float
    y: float
    radius: float
    angle: float


@dataclass(frozen=True)
class Scene:
    """One instant of a clip, and what else does not depend on the class.

    Attributes:
        background: float32 `(S, S, 3)`, values in [0, 255].
        things: Two objects: the actor and its neighbour.
        spare: An object that is not there at this instant; clips in which something appears or vanishes may use it.
        num_frames: Frames T of the clip.
    """

    background: Array
    things: tuple[Thing, ...]
    spare: Thing
    num_frames: int


def _reach(one: float, other: float) -> float:
    """Distance between the centres of two objects that touch, given their radii (not every shape fills its disc)."""
    return 0.85 * (one + other)


def _draw_pair(rng: np.random.Generator, reach: float) -> Array:
    """Two places `(2, 2)` with a gap of `GAPS` between objects that touch at distance `reach`."""
    distance = reach + rng.uniform(*GAPS)
    while True:
        place, direction = rng.uniform(*PLACES, 2), rng.uniform(0, 2 * np.pi)
        other = place + distance * np.array([np.cos(direction), np.sin(direction)])
        if PLACES[0] <= other.min() and other.max() <= PLACES[1]:
            return np.stack([place, other])


def _draw_far(rng: np.random.Generator, places: Array) -> Array:
    """A place `(2,)`: of a few random ones, the farthest from `places` `(N, 2)`."""
    choices = rng.uniform(*PLACES, (3, 2))
    return choices[np.linalg.norm(choices[:, None] - places, axis=-1).min(axis=1).argmax()]


def draw_scene(rng: np.random.Generator, size: int, min_frames: int, max_frames: int) -> Scene:
    """Draw one instant of a clip, which no class enters into.

    Args:
        rng: Where everything is drawn from.
        size: Side of the frame S, in pixels.
        min_frames: Fewest frames of a clip.
        max_frames: Most frames of a clip.
    """
    background = draw_texture(rng, size, rng.uniform(0.4, 1.0), BACKGROUND_LUMAS)
    radii = np.exp(rng.uniform(*np.log(RADII), 3))
    places = _draw_pair(rng, _reach(*radii[:2]))
    places = np.concatenate([places, [_draw_far(rng, places)]])
    things = []
    for (x, y), radius, angle in zip(places, radii, rng.uniform(0, 2 * np.pi, 3)):
        look = Look(str(rng.choice(list(SHAPES))), draw_texture(rng, TEXTURE_SIDE, 0.55, OBJECT_LUMAS))
        things.append(Thing(look, float(x), float(y), float(radius), float(angle)))
    return Scene(background, tuple(things[:2]), things[2], int(rng.integers(min_frames, max_frames + 1)))


def _standing(thing: Thing, num_frames: int) -> Track:
    return Track(*(np.full(num_frames, value) for value in (thing.x, thing.y, thing.radius, thing.angle, 1.0)))


def _through(
    value: float, change: float, limits: tuple[float, float], progress: Array, rng: np.random.Generator
) -> Array:
    """A quantity over the clip `(T,)` that has a value at some instant, changes by `change` and keeps to its limits.

    The instant is drawn from all that the limits allow. `change` must not exceed the width of the limits.
    """
    before, after = (value - limits[0], limits[1] - value) if change > 0 else (limits[1] - value, value - limits[0])
    earliest, latest = max(0.0, 1 - after / abs(change)), min(1.0, before / abs(change))
    return value + change * (progress - rng.uniform(earliest, max(earliest, latest)))


def _shift(direction: tuple[int, int], tracks: list[Track], progress: Array, rng: np.random.Generator) -> None:
    axis, sign = ("x", direction[0]) if direction[0] else ("y", direction[1])
    start = float(getattr(tracks[0], axis)[0])
    setattr(tracks[0], axis, _through(start, sign * rng.uniform(*DISTANCES), PLACES, progress, rng))


def _resize(sign: int, tracks: list[Track], progress: Array, rng: np.random.Generator) -> None:
    low, high = np.log(RADII)
    start, change = float(np.log(tracks[0].radius[0])), float(np.log(rng.uniform(*GROWTHS)))
    tracks[0].radius = np.exp(_through(start, sign * change, (low, high), progress, rng))


def _turn(sign: int, tracks: list[Track], progress: Array, rng: np.random.Generator) -> None:
    """Turn whatever is seen: every angle is as likely as any other, so that this, too, shows in no still."""
    for track in tracks:
        track.angle += sign * 2 * np.pi * rng.uniform(*TURNS) * progress


def _close(sign: int, tracks: list[Track], progress: Array, rng: np.random.Generator) -> None:
    """Close the gap between actor and neighbour (`sign` 1) or open it (-1), about a centre that leaves them room."""
    one, other = tracks[:2]
    away = np.array([other.x[0] - one.x[0], other.y[0] - one.y[0]])
    centre = np.array([other.x[0] + one.x[0], other.y[0] + one.y[0]]) / 2
    distance, reach = float(np.hypot(*away)), _reach(one.radius[0], other.radius[0])
    distances = reach + _through(distance - reach, -sign * rng.uniform(*GAP_CHANGES), GAPS, progress, rng)
    room = np.minimum(np.abs(away) / distance * distances.max() / 2, 0.5 - PLACES[0])
    centre = centre.clip(PLACES[0] + room, PLACES[1] - room)
    for track, side in ((one, -0.5), (other, 0.5)):
        track.x, track.y = (centre[:, None] + side * away[:, None] / distance * distances).copy()


def _fade(sign: int, tracks: list[Track], progress: Array, rng: np.random.Generator) -> None:
    """Show an object from a moment on (`sign` 1) or up to it (-1): the actor, or the spare, which comes last."""
    chosen = tracks[-1] if rng.random() < 0.5 else tracks[0]
    chosen.opacity = (0.5 + sign * (progress - rng.uniform(0.25, 0.75)) / rng.uniform(0.02, 0.15)).clip(0, 1)


@dataclass(frozen=True)
class _Motion:
    """How a class changes the tracks: `change(argument, tracks, progress, rng)`, in place."""

    change: Callable[..., None]
    argument: int | tuple[int, int]


MOTIONS: dict[str, _Motion] = {
    "appears": _Motion(_fade, 1),
    "approaches": _Motion(_resize, 1),
    "moves_down": _Motion(_shift, (0, 1)),
    "moves_left": _Motion(_shift, (-1, 0)),
    "moves_right": _Motion(_shift, (1, 0)),
    "moves_up": _Motion(_shift, (0, -1)),
    "recedes": _Motion(_resize, -1),
    "turns_anticlockwise": _Motion(_turn, -1),
    "turns_clockwise": _Motion(_turn, 1),
    "two_meet": _Motion(_close, 1),
    "two_part": _Motion(_close, -1),
    "vanishes": _Motion(_fade, -1),
}
CLASSES = tuple(MOTIONS)  # in alphabetical order, as a reader of folders numbers them


def animate(scene: Scene, class_name: str, rng: np.random.Generator) -> list[Track]:
    """Let a scene come about and go on as its class says.

    Args:
        scene: One instant of the clip.
        class_name: One of `CLASSES`.
        rng: Where speeds, distances and moments are drawn from.

    Returns:
        A track of `scene.num_frames` frames for each of `scene.things` and, last, for `scene.spare`.
    """
    motion = MOTIONS[class_name]
    time = np.linspace(0, 1, scene.num_frames)
    progress = time + rng.uniform(-0.4, 0.4) * np.sin(2 * np.pi * time) / (2 * np.pi)  # no steady speed
    tracks = [_standing(thing, scene.num_frames) for thing in (*scene.things, scene.spare)]
    tracks[-1].opacity[:] = 0.0
    motion.change(motion.argument, tracks, progress, rng)
    return tracks


def film(scene: Scene, class_name: str, rng: np.random.Generator) -> Array:
    """Animate a scene and draw it; the arguments are those of `animate`.

    Returns:
        uint8 RGB frames `(T, S, S, 3)`.
    """
    looks = [thing.look for thing in (*scene.things, scene.spare)]
    return paint(scene.background, looks[::-1], animate(scene, class_name, rng)[::-1])  # the actor covers the others
