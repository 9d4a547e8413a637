"""Whether Tiled returns the frames of an ended run as they are in the detector's file."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tiled.client.utils import ClientError

from analysis.archive.frame_entries import FrameEntries
from analysis.documents.frames import FramesRefused, FramesUnreadable, checked_path, path_of

_FRAMES = 5  # of each run: the first, the last, and some at random; of the numbers, all
_NUMBERS_AT_ONCE = 1_000_000


def difference(part: Any, resource: Mapping[str, Any], folders: Sequence[Path], begin: int, end: int) -> str | None:
    """Compare what Tiled serves for one key with the file; describe the difference.

    The first frame, the last, some in between, and all numbers are compared.

    Parameters
    ----------
    part : ArrayClient
        The frames in Tiled, or their numbers, as many as were announced.
    resource : mapping
        The stream resource that names the file.
    folders : sequence of Path
        Folders in which the file may be.
    begin, end : int
        The entries in Tiled that this file holds.

    Returns
    -------
    str or None
        None if nothing differs.

    Raises
    ------
    httpx.TransportError
        If the server is gone.
    """
    entry = tuple(part.shape[1:])
    try:
        with FrameEntries(resource["uri"], resource["parameters"]["dataset"], folders, shape=entry, dtype=part.dtype) as file:
            for first, last in _compared(end - begin, entry, seed=resource["uid"]):
                expected = file.read(first, last)
                if not np.array_equal(part[begin + first : begin + last], expected):
                    return f"differs from its file in frames {first} to {last - 1}"
    except FramesUnreadable as error:
        return str(error)
    except ClientError as error:
        return f"cannot be read by Tiled: {error}"
    return None


def _compared(count: int, entry: tuple[int, ...], seed: str) -> list[tuple[int, int]]:
    """The ranges of entries that are compared."""
    if not entry:
        return [(first, min(first + _NUMBERS_AT_ONCE, count)) for first in range(0, count, _NUMBERS_AT_ONCE)]
    ends = {0, count - 1} if count else set()
    chosen = random.Random(seed).sample(range(count), min(_FRAMES - 2, count))
    return [(frame, frame + 1) for frame in sorted(ends | set(chosen))]


class FileOwners:
    """Which detector writes each file of a run: two detectors writing one file would overwrite each other's frames.

    Parameters
    ----------
    folders : sequence of Path
        Folders in which files may be.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._owners: dict[Path, str] = {}

    def check(self, resource: Mapping[str, Any], data_key: Mapping[str, Any]) -> None:
        """Note the owner of the file that a stream resource names; `data_key` is its entry in the descriptor.

        Raises
        ------
        FramesRefused
            If the file belongs to another detector, or reading it is not allowed.
        """
        path = checked_path(path_of(resource), self._folders)
        detector = str(data_key.get("object_name", resource["data_key"]))
        owner = self._owners.setdefault(path, detector)
        if owner != detector:
            raise FramesRefused(f"{detector} and {owner} both name the file {path}: give each detector a file of its own")
