"""What every reconstruction hands out, whatever its technique: arrays to look at, figures, and what each of them is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False)
class Estimate:
    """The state of a reconstruction after so many rows of its run.

    Attributes
    ----------
    arrays : mapping of str to ndarray
        Images, maps and fields by name; the first one is the one to look at.
    figures : mapping of str to float or ndarray
        Figures of trust and quality by name; NaN where one is unknown.
    """

    arrays: Mapping[str, np.ndarray]
    figures: Mapping[str, float | np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Quantity:
    """An array or a figure of an estimate, declared before the first estimate is made.

    Attributes
    ----------
    meaning : str
        What it is, for people.
    units : str or None
        Its unit; None for a pure number.
    dtype : str
        NumPy's name of its type, byte order included.
    shape : tuple of int
        Empty for a single number.
    dims : tuple of str
        Names of its axes.
    lower_is_better : bool or None
        For a figure of quality: which way is better; None for anything else.
    useless_from : float or None
        For a figure of quality: the value from which on the estimate is no better than a flat image; None where there is none.
    useless_means : str or None
        What may be wrong then, in a sentence.
    doubtful_from : float or None
        For a check of an estimate: the value from which on people are warned; None where there is none.
    """

    meaning: str
    units: str | None = None
    dtype: str = "<f8"
    shape: tuple[int, ...] = ()
    dims: tuple[str, ...] = ()
    lower_is_better: bool | None = None
    useless_from: float | None = None
    useless_means: str | None = None
    doubtful_from: float | None = None

    @property
    def is_array(self) -> bool:
        """Whether it has axes."""
        return bool(self.shape)


def image_quantity(meaning: str, shape: tuple[int, int], units: str | None = None) -> Quantity:
    """A float32 image in (y, x)."""
    return Quantity(meaning, units, "<f4", shape, ("y", "x"))
