"""`ghostbeam demo`: one scan of the simulated beamline, from the photons to the picture.

`run` does what all demos have in common, `progress` shows it meanwhile, and each technique has a file of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from ghostbeam.demo import fly, ghost, pairs, radiographs
from ghostbeam.demo.demonstration import Demonstration

DEMONSTRATIONS: dict[str, tuple[Callable[[int], Demonstration], int]] = {
    "ghost": (ghost.GhostDemo, ghost.DEFAULT_NUM),
    "fly": (fly.FlyDemo, fly.DEFAULT_NUM),
    "pairs": (pairs.PairsDemo, pairs.DEFAULT_NUM),
    "radiographs": (radiographs.RadiographsDemo, radiographs.DEFAULT_NUM),
}


def demonstration_of(technique: str, num: int | None) -> Demonstration:
    """The demo of a technique, with so many rows, or with as many as it has by default."""
    made, default = DEMONSTRATIONS[technique]
    return made(default if num is None else num)
