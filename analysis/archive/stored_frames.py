"""Whether Tiled gives the frames of an ended run as they are in the detector's file."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tiled.client.utils import ClientError

from analysis.archive.frame_entries import FrameEntries
from analysis.documents.frames import FramesRefused, FramesUnreadable, checked_path, path_of

_FRAMES = 5  # of each run: the first, the last, and some at random; the numbers of all
_NUMBERS_AT_ONCE = 1_000_000


def difference(part: Any, resource: Mapping[str, Any], folders: Sequence[Path], begin: int, end: int) -> str | None:
    """Compare what Tiled serves of one key with the file; say in words what differs.

    The first frame, the last, and some between, and the numbers of all are compared.

    Parameters
    ----------
    part : ArrayClient
        The frames in Tiled, or their numbers, as many as were announced.
    resource : mapping
        The stream resource that names the file.
    folders : sequence of Path
        Where the file may lie.
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
    """From where to where entries are compared."""
    if not entry:
        return [(first, min(first + _NUMBERS_AT_ONCE, count)) for first in range(0, count, _NUMBERS_AT_ONCE)]
    ends = {0, count - 1} if count else set()
    chosen = random.Random(seed).sample(range(count), min(_FRAMES - 2, count))
    return [(frame, frame + 1) for frame in sorted(ends | set(chosen))]


class FileOwners:
    """Which detector writes each file of a run: two in one file would overwrite each other's frames.

    Parameters
    ----------
    folders : sequence of Path
        Where files may lie.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._owners: dict[Path, str] = {}

    def check(self, resource: Mapping[str, Any], data_key: Mapping[str, Any]) -> None:
        """Note whose file a stream resource names; `data_key` is its entry in the descriptor.

        Raises
        ------
        FramesRefused
            If the file is another detector's, or may not be read.
        """
        path = checked_path(path_of(resource), self._folders)
        detector = str(data_key.get("object_name", resource["data_key"]))
        owner = self._owners.setdefault(path, detector)
        if owner != detector:
            raise FramesRefused(f"{detector} and {owner} both name the file {path}: give each detector a file of its own")
