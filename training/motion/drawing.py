# Copyright 2026 The VideoMAE V2 for Transformers authors.
# SPDX-License-Identifier: Apache-2.0
"""Textures, shapes, and the frames that they make up. Nothing here knows of classes.

Lengths are shares of the frame's side, angles are in radians and grow clockwise on the screen, x runs right, y down.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


Array = np.ndarray
Lumas = tuple[tuple[float, float], tuple[float, float]]
TEXTURE_SIDE = 64  # texels across an object
LUMA_WEIGHTS = np.array([0.299, 0.587, 0.114])


def _stripes(x: Array, y: Array, rng: np.random.Generator) -> Array:
    angle, frequency, phase = rng.uniform(0, np.pi), rng.uniform(1.2, 2.6), rng.uniform(0, 2 * np.pi)
    return np.sin(np.pi * frequency * (x * np.cos(angle) + y * np.sin(angle)) + phase)


def _checks(x: Array, y: Array, rng: np.random.Generator) -> Array:
    angle, frequency = rng.uniform(0, np.pi), rng.uniform(1.0, 2.0)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    phases = rng.uniform(0, 2 * np.pi, 2)
    return np.sin(np.pi * frequency * along + phases[0]) * np.sin(np.pi * frequency * across + phases[1]) * 2


def _ripples(x: Array, y: Array, rng: np.random.Generator) -> Array:
    """Rings about a point off the middle, so that turning shows."""
    away, angle, frequency = rng.uniform(0.5, 0.9), rng.uniform(0, 2 * np.pi), rng.uniform(1.5, 3.0)
    distance = np.hypot(x - away * np.cos(angle), y - away * np.sin(angle))
    return np.sin(np.pi * frequency * distance + rng.uniform(0, 2 * np.pi))


def _clouds(x: Array, y: Array, rng: np.random.Generator) -> Array:
    """A sum of waves in all directions: no two alike, and no repeat within an object."""
    total = np.zeros_like(x)
    for frequency in (0.7, 1.1, 1.6, 2.3, 3.1):
        angle, phase = rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi)
        total += np.sin(np.pi * frequency * (x * np.cos(angle) + y * np.sin(angle)) + phase)
    return total


PATTERNS: dict[str, Callable[[Array, Array, np.random.Generator], Array]] = {
    "stripes": _stripes,
    "checks": _checks,
    "ripples": _ripples,
    "clouds": _clouds,
}


def _draw_colour(rng: np.random.Generator, luma: tuple[float, float]) -> Array:
    """A colour `(3,)` of any hue whose luma (BT.601) lies in a range; values in [0, 255]."""
    colour, wanted = rng.uniform(0, 255, 3), rng.uniform(*luma)
    found = float(colour @ LUMA_WEIGHTS)
    if wanted < found:
        return colour * (wanted / found)
    return 255 - (255 - colour) * (255 - wanted) / (255 - found)


def draw_texture(rng: np.random.Generator, side: int, scale: float, lumas: Lumas) -> Array:
    """A random two-coloured pattern, smooth enough to be foretold from its surroundings.

    Args:
        rng: Where pattern and colours are drawn from.
        side: Texels per side S.
        scale: Half the width of the pattern's plane that is shown; more makes it finer.
        lumas: For each of the two colours, the range of its luma, in [0, 255].

    Returns:
        float32 `(S, S, 3)`, values in [0, 255].
    """
    ticks = np.linspace(-scale, scale, side, dtype=np.float32)
    y, x = np.meshgrid(ticks, ticks, indexing="ij")
    pattern = tuple(PATTERNS.values())[rng.integers(len(PATTERNS))]
    share = (0.5 + 0.5 * np.tanh(2.0 * pattern(x, y, rng)))[..., None]
    texture = (1 - share) * _draw_colour(rng, lumas[0]) + share * _draw_colour(rng, lumas[1])
    return texture.clip(0, 255).astype(np.float32)


def _polygon(u: Array, v: Array, corners: int, apothem: float) -> Array:
    angles = 2 * np.pi * np.arange(corners) / corners
    return np.max([u * np.cos(a) + v * np.sin(a) for a in angles], axis=0) - apothem


def _cross(u: Array, v: Array) -> Array:
    u, v = np.abs(u), np.abs(v)
    return np.minimum(np.maximum(u - 0.95, v - 0.36), np.maximum(v - 0.95, u - 0.36))


# Signed distance to the outline, negative inside; every shape fits the unit disc and fills a good part of it.
SHAPES: dict[str, Callable[[Array, Array], Array]] = {
    "disc": lambda u, v: np.hypot(u, v) - 0.95,
    "ring": lambda u, v: np.abs(np.hypot(u, v) - 0.63) - 0.35,
    "ellipse": lambda u, v: (np.hypot(u, v / 0.68) - 1.0) * 0.68,
    "half": lambda u, v: np.maximum(np.hypot(u, v) - 0.98, -v - 0.3),
    "bar": lambda u, v: np.maximum(np.abs(u) - 0.86, np.abs(v) - 0.5),
    "square": lambda u, v: _polygon(u, v, 4, 0.7),
    "triangle": lambda u, v: _polygon(u, v, 3, 0.5),
    "hexagon": lambda u, v: _polygon(u, v, 6, 0.85),
    "cross": _cross,
}


@dataclass(frozen=True)
class Look:
    """What an object looks like: name of its shape and its texture, float32 `(TEXTURE_SIDE, TEXTURE_SIDE, 3)`."""

    shape: str
    texture: Array


@dataclass
class Track:
    """Where one object is in every frame: float arrays `(T,)`. Lengths are shares of the side; `opacity` in [0, 1]."""

    x: Array
    y: Array
    radius: Array
    angle: Array
    opacity: Array


def _patches(look: Look, track: Track, side: int) -> tuple[Array, Array, Array, Array]:
    """The object drawn into one small square per frame.

    Returns:
        Texels `(T, P, P, 3)`, coverage `(T, P, P, 1)` and the squares' left and top edges `(T,)` in pixels.
    """
    x, y, radius = (np.asarray(a * side, dtype=np.float32) for a in (track.x, track.y, track.radius))
    reach = int(np.ceil(radius.max())) + 1
    left, top = np.floor(x).astype(int) - reach, np.floor(y).astype(int) - reach
    ticks = np.arange(2 * reach + 1, dtype=np.float32) + 0.5
    dx = (ticks[None, :] + (left - x)[:, None])[:, None, :]
    dy = (ticks[None, :] + (top - y)[:, None])[:, :, None]
    cos, sin = (f(track.angle)[:, None, None].astype(np.float32) for f in (np.cos, np.sin))
    radius = radius[:, None, None]
    u, v = (cos * dx + sin * dy) / radius, (cos * dy - sin * dx) / radius
    coverage = (0.5 - SHAPES[look.shape](u, v) * radius).clip(0, 1) * track.opacity[:, None, None]
    column, row = (((w + 1) * (TEXTURE_SIDE / 2)).astype(int).clip(0, TEXTURE_SIDE - 1) for w in (u, v))
    return look.texture[row, column], coverage.astype(np.float32)[..., None], left, top


def paint(background: Array, looks: list[Look], tracks: list[Track]) -> Array:
    """Draw a clip; later objects cover earlier ones.

    Args:
        background: float32 `(S, S, 3)`, values in [0, 255].
        looks: One for each object.
        tracks: One for each object, all with T frames.

    Returns:
        uint8 RGB frames `(T, S, S, 3)`.
    """
    side = background.shape[0]
    frames = np.repeat(background[None], len(tracks[0].x), axis=0)
    for look, track in zip(looks, tracks):
        texels, coverage, left, top = _patches(look, track, side)
        size = texels.shape[1]
        for t in np.flatnonzero(track.opacity > 0):
            rows = slice(max(top[t], 0), max(min(top[t] + size, side), 0))
            columns = slice(max(left[t], 0), max(min(left[t] + size, side), 0))
            cut = slice(rows.start - top[t], rows.stop - top[t]), slice(columns.start - left[t], columns.stop - left[t])
            part = frames[t, rows, columns]
            if part.size:
                part += coverage[t][cut] * (texels[t][cut] - part)
    return np.rint(frames).astype(np.uint8)
