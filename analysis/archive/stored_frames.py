"""Whether Tiled gives the frames of an ended run as they are in the detector's file."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tiled.client.utils import ClientError

from analysis.archive.frame_entries import FrameEntries
from analysis.documents.frames import FramesRefused, FramesUnreadable

_FRAMES = 5  # of each run: the first, the last, and some at random; the numbers of all
_NUMBERS_AT_ONCE = 1_000_000


def difference(
    part: Any, resource: Mapping[str, Any], data_key: Mapping[str, Any], announced: int, allowed: Sequence[Path]
) -> str | None:
    """Compare what Tiled serves of one key with what was announced, and with the file; say in words what differs.

    Parameters
    ----------
    part : ArrayClient
        The frames in Tiled, or their numbers.
    resource : mapping
        The stream resource that names the file.
    data_key : mapping
        The key's entry in the descriptor.
    announced : int
        How many entries the stream datums announced.
    allowed : sequence of Path
        Folders in which, or below which, the file may lie.

    Returns
    -------
    str or None
        None if nothing differs.

    Raises
    ------
    httpx.TransportError
        If the server is gone.
    """
    if part.shape[0] != announced:
        return f"has {part.shape[0]} entries in Tiled, {announced} were announced"
    entry = tuple(part.shape[1:])
    try:
        with FrameEntries(
            resource["uri"], resource["parameters"]["dataset"], allowed, shape=entry, dtype=data_key["dtype_numpy"]
        ) as file:
            for first, last in _compared(announced, entry, seed=resource["uid"]):
                expected = file.read(first, last)
                if not np.array_equal(part[first:last], expected):
                    return f"differs from its file in frames {first} to {last - 1}"
    except FramesUnreadable as error:
        return str(error)
    except ClientError as error:
        return f"cannot be read by Tiled: {error}"
    return None


def _compared(announced: int, entry: tuple[int, ...], seed: str) -> list[tuple[int, int]]:
    """From where to where entries are compared."""
    if not entry:
        return [(first, min(first + _NUMBERS_AT_ONCE, announced)) for first in range(0, announced, _NUMBERS_AT_ONCE)]
    ends = {0, announced - 1} if announced else set()
    chosen = random.Random(seed).sample(range(announced), min(_FRAMES - 2, announced))
    return [(frame, frame + 1) for frame in sorted(ends | set(chosen))]


class FileOwners:
    """Which detector writes each file of a run: two in one file would overwrite each other's frames."""

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}

    def check(self, resource: Mapping[str, Any], data_keys: Mapping[str, Mapping[str, Any]]) -> None:
        """Note whose file a stream resource names; `data_keys` are those of its descriptor.

        Raises
        ------
        FramesRefused
            If it is another detector's.
        """
        key = resource["data_key"]
        detector = data_keys.get(key, {}).get("object_name", key)
        owner = self._owners.setdefault(resource["uri"], detector)
        if owner != detector:
            raise FramesRefused(
                f"{detector} and {owner} both name the file {resource['uri']}: give each detector a file of its own"
            )
