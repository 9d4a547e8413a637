"""What is said of a file that cannot be taken in."""

from __future__ import annotations

import psutil


class IngestError(ValueError):
    """A file cannot be ingested; the message names the key and the cure."""


def check_memory(size: int) -> None:
    """Raise MemoryError before something is unpacked that can't fit: a small file may unpack to any size."""
    if size > (available := psutil.virtual_memory().available):
        raise MemoryError(f"its arrays take {size / 1e9:.1f} GB, and {available / 1e9:.1f} GB are free")
