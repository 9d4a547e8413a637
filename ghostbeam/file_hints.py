"""What the command line says of a file with masks and buckets."""

from __future__ import annotations

import re
import shlex

from analysis.offline.ingest_error import IngestError
from analysis.offline.ingest_file import Hints

OF_MASKS = "masks"
"""The value of --pairs for realizations that are pairs of a mask and its complement."""


def as_options(hints: Hints, mend: list[str]) -> str:
    """The same as options of a command line, for whoever repeats it."""
    shape = None if hints.shape is None else f"{hints.shape[0]}x{hints.shape[1]}"
    said = {"masks": hints.masks, "buckets": hints.buckets, "shape": shape, "transform": hints.transform}
    words = [word for name, value in said.items() if value is not None for word in (f"--{name}", value)]
    words += ["--pairs", OF_MASKS] if hints.pairs else []
    return shlex.join([*words, *(word for one in mend for word in ("--mend", one))])


def hints_of(masks: str | None, buckets: str | None, shape: str | None, transform: str | None, pairs: str | None) -> Hints:
    """The hints that options give.

    Raises
    ------
    IngestError
        If the shape is none.
    """
    sides = None
    if shape is not None:
        found = re.fullmatch(r"\s*(\d{1,6})\s*[x,*]\s*(\d{1,6})\s*", shape)
        if found is None or not int(found[1]) or not int(found[2]):
            raise IngestError(f"--shape must be rows x columns of a mask, such as 32x32, not {shape!r}")
        sides = int(found[1]), int(found[2])
    return Hints(masks, buckets, sides, transform, pairs == OF_MASKS)
