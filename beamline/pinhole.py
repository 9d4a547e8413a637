"""The pinhole that makes a pencil beam."""

from __future__ import annotations

from typing import Any

from ophyd import EpicsSignal
from ophyd.status import StatusBase

from beamline.numpy_types import NumpyTyped


class Pinhole(NumpyTyped, EpicsSignal):
    """Brought into the beam with 1, and out of it with 0.

    `unstage` brings it out as well. The RunEngine calls that at the end of every plan, even a halted one.

    Parameters
    ----------
    size_um : float
        Diameter of the beam behind it.
    move_timeout_s : float
        Longest time that it may take to move.
    """

    def __init__(self, pv: str, *, size_um: float, move_timeout_s: float, **kwargs: Any):
        self.size_um, self.move_timeout_s = size_um, move_timeout_s
        super().__init__(pv, auto_monitor=True, **kwargs)

    def set(self, value: int, **kwargs: Any) -> StatusBase:
        """Move it; done when the PV says that it is there."""
        return super().set(value, timeout=self.move_timeout_s, **kwargs)

    def stage(self) -> list[object]:
        """Return this device; nothing moves."""
        return [self]

    def unstage(self) -> list[object]:
        """Bring it out of the beam without waiting, if it is in; return this device."""
        if self.get():
            self.put(0, wait=False)
        return [self]
