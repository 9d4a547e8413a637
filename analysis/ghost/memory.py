"""Data that don't fit into memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psutil

_ADDRESSABLE = 2**47
"""Bytes that a process can address; numpy has other errors for arrays beyond it."""

_LEFT = 0.05
"""Part of the machine's memory that masks leave to whoever else needs it."""

_TORCHS_WORDS = ("can't allocate memory", "out of memory")
"""torch has no own exception class for running out of the CPU's memory."""


def leave_some(taken: int) -> None:
    """Raise MemoryError if little memory is left on the machine and the masks, with so many bytes, are why.

    Systems grant more memory than there is, and when it is used end a process, perhaps another one.
    """
    memory = psutil.virtual_memory()
    little = _LEFT * memory.total
    if memory.available < little < taken:
        raise MemoryError(f"{memory.available / 1e9:.3g} GB left of {memory.total / 1e9:.3g}")


@contextmanager
def memory_for(method: str, realizations: int, shape: tuple[int, int]) -> Iterator[None]:
    """Turn the failure to get memory, numpy's or torch's, into a MemoryError that names the size and the cure.

    Parameters
    ----------
    method : str
    realizations : int
        Masks that are to be held.
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
