"""What every reconstruction method has in common: checked batches in, estimates out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from .estimate import Estimate, Progress
from .inputs import checked_batch, checked_shape, rows_at_once


class Reconstructor(ABC):
    """One image from masks and buckets that come in batches.

    Parameters
    ----------
    shape : (H, W)
        Pixels of the image and of each mask.
    expected : int, optional
        Number of realizations to come, if known; saves memory traffic, changes no bit.
    nonnegative : bool
        Whether the object is known to be nowhere negative. Linear methods make no use of it.
    seed : int
        Seed of everything random: the same data, options, seed and number of threads give the same bits on a CPU.
    device : str
        "cpu", or a torch device for the methods that use torch.
    """

    name: ClassVar[str]
    fast: ClassVar[bool]
    summary: ClassVar[str]
    defaults: ClassVar[dict[str, Any]] = {}
    """The method's own options with their defaults."""

    def __init__(
        self,
        shape: tuple[int, int],
        *,
        expected: int | None = None,
        nonnegative: bool = True,
        seed: int = 0,
        device: str = "cpu",
        **options: Any,
    ) -> None:
        unknown = sorted(set(options) - set(self.defaults))
        if unknown:
            valid = ", ".join(["nonnegative", *self.defaults])
            raise ValueError(f"{self.name} has no option {', '.join(unknown)}; its options are {valid}")
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise ValueError(f"seed must be a whole number from 0, not {seed!r}")
        if not isinstance(nonnegative, bool | np.bool_):
            raise ValueError(f"nonnegative must be true or false, not {nonnegative!r}")
        self.shape = checked_shape(shape)
        self.expected = expected
        self.nonnegative = bool(nonnegative)
        self.seed = int(seed)
        self.device = device
        self._given = {**self.defaults, **options}
        self._chosen: dict[str, Any] = {}
        self._count = 0

    @property
    def count(self) -> int:
        """Realizations taken so far."""
        return self._count

    @property
    def options(self) -> dict[str, Any]:
        """Options as really used so far, those chosen from the data included; can be stored as JSON.

        Given to a new reconstructor with the same data they give the same final bits.
        """
        return {"nonnegative": self.nonnegative, **self._given, **self._chosen}

    def update(self, masks: np.ndarray, buckets: np.ndarray, errors: np.ndarray | None = None) -> None:
        """Take further realizations: masks (B, H, W), buckets (B,), and standard errors (B,) of the buckets if known.

        Results don't depend on how the realizations are cut into batches.
        """
        flat, values, sigmas = checked_batch(masks, buckets, errors, self.shape, self._count)
        self._check(flat)
        for start in range(0, len(values), rows := rows_at_once(flat.shape[1])):
            part = slice(start, start + rows)
            self._take(flat[part].astype(np.float32), values[part], None if sigmas is None else sigmas[part])
            self._count += len(values[part])

    def result(self, progress: Progress | None = None) -> Estimate:
        """Return the estimate from the realizations so far; may start from what an earlier call found."""
        self._need_data()
        return self._live(progress)

    def finish(self, progress: Progress | None = None) -> Estimate:
        """Return the final estimate: it depends on data, options and seed only, never on earlier `result` calls."""
        self._need_data()
        return self._final(progress)

    def limit_time(self, seconds: float) -> None:
        """Ask that `finish` take no longer than this; methods that always finish within seconds take no notice."""
        return None

    def _need_data(self) -> None:
        if self._count == 0:
            raise ValueError("no realization yet: call update(masks, buckets) first")

    def _check(self, masks: np.ndarray) -> None:
        """Raise ValueError for masks (B, N), of any real type, that the method can't take."""
        return None

    @abstractmethod
    def _take(self, masks: np.ndarray, buckets: np.ndarray, errors: np.ndarray | None) -> None:
        """Take float32 masks (B, N), float64 buckets (B,) and errors (B,) or None."""

    @abstractmethod
    def _final(self, progress: Progress | None) -> Estimate: ...

    def _live(self, progress: Progress | None) -> Estimate:
        return self._final(progress)
