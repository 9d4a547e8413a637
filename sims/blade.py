"""A shutter with inverted logic: one PV closes it with 1 and opens it with 0, and another reports whether it is closed."""

from __future__ import annotations

import asyncio
from typing import Any

from caproto import ChannelType
from caproto.server import PVGroup, pvproperty

from sims.light import Light

TRAVEL_S = 0.1
_NO_YES = ("No", "Yes")


class Blade(PVGroup):
    """A blade in the beam, initially open.

    Parameters
    ----------
    prefix : str
    light : Light
    speed : float
        Divides the travel time.
    """

    async def _put(self, instance: Any, value: str) -> None:
        await asyncio.sleep(TRAVEL_S / self._speed)
        self._light.set(blade=value == "No")
        await self.closed.write(value)

    close = pvproperty(
        name="Close", value="No", dtype=ChannelType.ENUM, enum_strings=_NO_YES, put=_put, doc="Write 1 to close, 0 to open"
    )
    closed = pvproperty(
        name="Closed", value="No", dtype=ChannelType.ENUM, enum_strings=_NO_YES, read_only=True, doc="Whether it is closed"
    )

    def __init__(self, prefix: str, *, light: Light, speed: float = 1.0, **kwargs: Any):
        super().__init__(prefix, **kwargs)
        self._light, self._speed = light, speed
