"""The common parts of all reconstruction methods: they take checked batches and return estimates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .estimate import Estimate, Progress
from .inputs import (
    LARGEST_SEED,
    Errors,
    check_option_names,
    check_smallness,
    checked_batch,
    checked_seconds,
    checked_shape,
    checked_whole,
    largest,
    rows_at_once,
)
from .memory import memory_for


class TimeBudgetTooShort(ValueError):
    """A time budget in which nothing can be done.

    Attributes
    ----------
    reason : str
        The step that takes too long.
    needed_s : float
        A sufficient time, seconds.
    """

    def __init__(self, reason: str, needed_s: float) -> None:
        self.reason, self.needed_s = reason, needed_s
        super().__init__(f"time_budget_s is too short: {reason}; give {np.ceil(10 * needed_s) / 10:.1f} s or more, or use tv")


class Reconstructor(ABC):
    """One image from masks and buckets that arrive in batches.

    Parameters
    ----------
    shape : (H, W)
        Pixels of the image and of each mask.
    expected : int, optional
        Expected number of realizations, if known; saves memory traffic. Live estimates of some methods depend on it, final
        ones do not. The attribute may be changed if some realizations turn out to be unusable.
    nonnegative : bool
        Whether the object is known to be nowhere negative. Linear methods do not use it.
    seed : int
        Seed of all random numbers: the same data, options, seed and number of threads give the same bits on a CPU.
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
        check_option_names(self.name, options, self.defaults)
        if not isinstance(device, str):
            raise ValueError(f"device must be a name such as 'cpu' or 'cuda', not {device!r}")
        if not isinstance(nonnegative, bool | np.bool_):
            raise ValueError(f"nonnegative must be true or false, not {nonnegative!r}")
        self.shape = checked_shape(shape)
        self.expected = None if expected is None else checked_whole("expected", expected)
        self.nonnegative = bool(nonnegative)
        self.seed = checked_whole("seed", seed, LARGEST_SEED)
        self.device = device
        plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in options.items()}
        self._given = {**self.defaults, **plain}
        self._chosen: dict[str, Any] = {}
        self._count = 0
        self._largest_mask = self._largest_bucket = 0.0

    @property
    def count(self) -> int:
        """Number of realizations taken so far."""
        return self._count

    @property
    def options(self) -> dict[str, Any]:
        """Options as actually used so far, including those chosen from the data; can be stored as JSON.

        Given to a new reconstructor with the same data they give the same final bits.
        """
        return {"nonnegative": self.nonnegative, **self._given, **self._chosen}

    def update(self, masks: np.ndarray, buckets: np.ndarray, errors: Errors = None) -> None:
        """Take further realizations: masks (B, H, W), buckets (B,), and standard errors (B,) of the buckets if known.

        Errors may also be "poisson" for buckets that are counts. Results do not depend on how the realizations are divided
        into batches.
        """
        count = self._count + np.size(buckets)
        # errors of very different size may overflow in a quotient, which then counts as infinite
        with np.errstate(over="ignore"), memory_for(self.name, max(count, self.expected or 0), self.shape):
            flat, values, sigmas = checked_batch(masks, buckets, errors, self.shape, self._count)
            self._check(flat)
            for start in range(0, len(values), rows := rows_at_once(flat.shape[1])):
                part = slice(start, start + rows)
                self._take(flat[part].astype(np.float32), values[part], None if sigmas is None else sigmas[part])
                self._count += len(values[part])
        self._largest_mask = max(self._largest_mask, largest(flat))
        self._largest_bucket = max(self._largest_bucket, largest(values))

    def result(self, progress: Progress | None = None) -> Estimate:
        """Return the estimate from the realizations so far; it may start from the result of an earlier call."""
        return self._finite(self._live, progress)

    def finish(self, progress: Progress | None = None) -> Estimate:
        """Return the final estimate: it depends only on data, options and seed, never on earlier `result` calls."""
        return self._finite(self._final, progress)

    def limit_time(self, seconds: float) -> None:
        """Ask that `finish` take no longer than this; methods that always finish within seconds ignore it."""
        checked_seconds(seconds)

    def _finite(self, compute: Callable[[Progress | None], Estimate], progress: Progress | None) -> Estimate:
        if self._count == 0:
            raise ValueError("no realization yet: call update(masks, buckets) first")
        check_smallness(self._largest_mask, self._largest_bucket)
        # an overflow shows in the image, and is refused there
        with np.errstate(over="ignore", invalid="ignore"), memory_for(self.name, self._count, self.shape):
            estimate = compute(progress)
        if not np.isfinite(estimate.image).all():
            unusual = {name: value for name, value in self._given.items() if value != self.defaults[name]}
            raise ValueError(
                f"{self.name} finds no image in single precision for buckets up to {self._largest_bucket:.3g}, masks up to "
                f"{self._largest_mask:.3g} and the options {unusual}: give them in units nearer to 1, or options nearer to the "
                "defaults"
            )
        return estimate

    def _check(self, masks: np.ndarray) -> None:
        """Raise ValueError for masks (B, N), of any real type, that the method cannot use."""
        return None

    @abstractmethod
    def _take(self, masks: np.ndarray, buckets: np.ndarray, errors: np.ndarray | None) -> None:
        """Take float32 masks (B, N), float64 buckets (B,) and errors (B,) or None."""

    @abstractmethod
    def _final(self, progress: Progress | None) -> Estimate: ...

    def _live(self, progress: Progress | None) -> Estimate:
        return self._final(progress)
