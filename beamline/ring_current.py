"""The ring current."""

from __future__ import annotations

from ophyd import EpicsSignalRO

from beamline.numpy_types import NumpyTyped


class RingCurrent(NumpyTyped, EpicsSignalRO):
    """The current in the storage ring, in mA: whether there is beam at all."""
