"""Faults of detectors, of their files and of the trigger box, each switched by its PV."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from caproto import SkipWrite
from caproto.server import PVGroup, pvproperty


class FileFaults(PVGroup):
    """Switches for faults that concern the frames of any detector on their way into the file.

    Attributes
    ----------
    on_full_disk, on_writer_killed : callable
        Called when these faults are switched on; must be set before anything is served.
    """

    async def _check_count(self, instance: Any, value: int) -> None:
        if value < 0:
            raise ValueError(f"{instance.pvname} counts; write 0 or more, not {value}")

    async def _put_disk(self, instance: Any, value: int) -> None:
        await self.on_full_disk(bool(value))

    async def _put_killed(self, instance: Any, value: int) -> None:
        if value:
            self.on_writer_killed()
        raise SkipWrite

    dropped_frame = pvproperty(
        name="DroppedFrame",
        value=0,
        put=_check_count,
        doc="Number of next frames that are taken but not written: DroppedArrays counts them. Counts down",
    )
    file_closes_early = pvproperty(
        name="FileClosesEarly",
        value=0,
        put=_check_count,
        doc="Number of frames after which the file is closed; later ones are dropped. 0: it is not. Counts down",
    )
    full_disk = pvproperty(
        name="FullDisk", value=0, put=_put_disk, doc="1: no space left on the disk of frames. 0: there is space again"
    )
    writer_killed = pvproperty(
        name="WriterKilled",
        value=0,
        put=_put_killed,
        doc="Write 1 to kill the process that writes frames; its file stays unclosed",
    )

    def __init__(self, prefix: str, **kwargs: Any):
        super().__init__(prefix, **kwargs)
        self.on_full_disk: Callable[[bool], Awaitable[None]]
        self.on_writer_killed: Callable[[], None]

    @property
    def spoiled(self) -> dict[str, float]:
        """Return the faults of the frames themselves, for the source that draws them."""
        return {}

    async def dropped(self, count: int) -> np.ndarray:
        """Return which of `count` frames are passed on, shape (count,), bool, and use the fault up."""
        return await self._use_up(self.dropped_frame, count)

    async def before_early_end(self, count: int) -> int | None:
        """Return how many of `count` frames still go into the file, or None if it stays open; use the fault up."""
        left = self.file_closes_early.value
        if not left:
            return None
        await self.file_closes_early.write(max(0, left - count))
        return left if left <= count else None

    async def _use_up(self, fault: Any, count: int) -> np.ndarray:
        bad = min(fault.value, count)
        if bad:
            await fault.write(fault.value - bad)
        return np.arange(count) >= bad


class FrameFaults(FileFaults):
    """Switches for faults of the pixel detector and its trigger box.

    Parameters
    ----------
    prefix : str
    seed : int
        Seed of the encoders' errors.
    """

    async def _check_jitter(self, instance: Any, value: float) -> None:
        if not 0 <= value < np.inf:
            raise ValueError(f"{instance.pvname} is a standard deviation; write 0 um or more, not {value}")

    missed_trigger = pvproperty(
        name="MissedTrigger",
        value=0,
        put=FileFaults._check_count,
        doc="Number of next triggers at which the detector takes no frame; the box counts them. Counts down",
    )
    position_jitter = pvproperty(
        name="PositionJitter",
        value=0.0,
        units="um",
        precision=4,
        put=_check_jitter,
        doc="Standard deviation of the error of each captured encoder reading, um; frames are taken at the true positions",
    )

    def __init__(self, prefix: str, *, seed: int, **kwargs: Any):
        super().__init__(prefix, **kwargs)
        self._rng = np.random.default_rng((seed, 3))

    async def missed(self, count: int) -> np.ndarray:
        """Return which of `count` triggers the detector takes, shape (count,), bool, and use the fault up."""
        return await self._use_up(self.missed_trigger, count)

    def reading_error_um(self, count: int) -> np.ndarray:
        """Return the errors of both encoders at `count` triggers, shape (2, count), float64."""
        return self._rng.normal(0.0, 1.0, (2, count)) * self.position_jitter.value


async def _check_part(faults: PVGroup, instance: Any, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{instance.pvname} is a part; write 0 to 1, not {value}")


class PanelFaults(FileFaults):
    """Switches for faults of the X-ray camera and its beam."""

    lag = pvproperty(
        name="Lag",
        value=0.0,
        precision=3,
        put=_check_part,
        doc="Fraction of each frame's light that is read with the next frame. 0: none",
    )
    drift = pvproperty(
        name="Drift",
        value=0.0,
        precision=3,
        put=_check_part,
        doc="Relative amplitude of a beam that fluctuates with a period of 10 frames. 0: it is steady",
    )

    @property
    def spoiled(self) -> dict[str, float]:
        """Return the faults of the frames themselves, for the source that draws them."""
        return {"lag": self.lag.value, "drift": self.drift.value}


class PairFaults(FileFaults):
    """Switches for faults of the dual camera."""

    async def _check_blur(self, instance: Any, value: float) -> None:
        if not 0 <= value <= 50:
            raise ValueError(f"{instance.pvname} is a width; write 0 to 50 pixels, not {value}")

    out_of_focus = pvproperty(
        name="OutOfFocus",
        value=0.0,
        units="px",
        precision=2,
        put=_check_blur,
        doc="Standard deviation in pixels of the blur of the second half. 0: both halves are in focus",
    )
    lag = pvproperty(
        name="Lag",
        value=0.0,
        precision=3,
        put=_check_part,
        doc="Fraction of each frame's charge that stays on the sensor and is read with the next frame. 0: none",
    )

    @property
    def spoiled(self) -> dict[str, float]:
        """Return the faults of the frames themselves, for the source that draws them."""
        return {"blur_px": self.out_of_focus.value, "lag": self.lag.value}
