"""Data that do not fit into memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psutil

_ADDRESSABLE = 2**47
"""Bytes that a process can address; numpy raises other errors for larger arrays."""

_LEFT = 0.05
"""Fraction of the machine's memory that masks leave to other processes."""

_TORCHS_WORDS = ("can't allocate memory", "out of memory")
"""torch has no exception class of its own for running out of the CPU's memory."""


def leave_some(taken: int) -> None:
    """Raise MemoryError if little memory is left on the machine and the masks, which take this many bytes, are the cause.

    Operating systems grant more memory than there is and, when it is used, kill a process, perhaps another one.
    """
    memory = psutil.virtual_memory()
    little = _LEFT * memory.total
    if memory.available < little < taken:
        raise MemoryError(f"{memory.available / 1e9:.3g} GB left of {memory.total / 1e9:.3g}")


@contextmanager
def memory_for(method: str, realizations: int, shape: tuple[int, int]) -> Iterator[None]:
    """Turn an allocation failure of numpy or torch into a MemoryError that names the size and the remedy.

    Parameters
    ----------
    method : str
    realizations : int
        Number of masks to be held in memory.
    shape : (H, W)
    """
    size = 4 * realizations * shape[0] * shape[1]
    cause: BaseException | None = None
    if size < _ADDRESSABLE:
        try:
            yield
            return
        except MemoryError as error:
            cause = error
        except RuntimeError as error:
            if not any(words in str(error) for words in _TORCHS_WORDS):
                raise
            cause = error
    raise MemoryError(
        f"{method} finds no memory for {realizations} masks of {shape[0]}x{shape[1]} pixels ({size / 1e9:.3g} GB in single "
        "precision) and what it makes of them: take fewer realizations, bin the pixels, choose smaller options, or use "
        "differential, which keeps no masks"
    ) from cause
