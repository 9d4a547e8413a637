"""A two-button photon shutter: one PV opens it, one closes it, one reports its state."""

from __future__ import annotations

import asyncio
from typing import Any

from caproto import ChannelType, SkipWrite
from caproto.server import PVGroup, pvproperty

from sims.faults import Faults
from sims.light import Light

TRAVEL_S = 0.2
_NO_YES = ("False", "True")


def _enum(name: str, strings: tuple[str, ...], doc: str, **kwargs: Any) -> pvproperty:
    """Make an enum PV whose default value is its first string."""
    kwargs.setdefault("value", strings[0])
    return pvproperty(name=name, dtype=ChannelType.ENUM, enum_strings=strings, doc=doc, **kwargs)


class Shutter(PVGroup):
    """A shutter that takes time to move, and may stick.

    Parameters
    ----------
    prefix : str
    light : Light
        Notified when the shutter opens and closes.
    faults : Faults
    speed : float
        Divides the travel time.

    Notes
    -----
    A command returns to 0 when the blade has arrived or has failed to; then a put with completion completes. A new command
    takes over from one that is under way.
    """

    async def _put_open(self, instance: Any, value: str) -> None:
        await self._command(instance, value, to_open=True)

    async def _put_close(self, instance: Any, value: str) -> None:
        await self._command(instance, value, to_open=False)

    open_command = _enum("Cmd:Opn-Cmd", ("None", "Open"), "Write 1 to open", put=_put_open)
    close_command = _enum("Cmd:Cls-Cmd", ("None", "Close"), "Write 1 to close", put=_put_close)
    status = _enum("Pos-Sts", ("Open", "Not Open"), "Where the blade is", value="Not Open", read_only=True)
    failed_to_open = _enum("Sts:FailOpn-Sts", _NO_YES, "The last command to open had no effect", read_only=True)
    failed_to_close = _enum("Sts:FailCls-Sts", _NO_YES, "The last command to close had no effect", read_only=True)

    def __init__(self, prefix: str, *, light: Light, faults: Faults, speed: float = 1.0, **kwargs: Any):
        super().__init__(prefix, **kwargs)
        self._light, self._faults, self._speed = light, faults, speed
        self._travel: asyncio.Task | None = None
        self._pressed: Any = None

    async def _command(self, button: Any, value: str, to_open: bool) -> None:
        if value == "None":
            raise SkipWrite
        if self._travel:
            self._travel.cancel()
        await button.write(value, verify_value=False)
        travel = self._travel = asyncio.create_task(self._move(to_open))
        self._pressed = button
        await asyncio.wait([travel])
        if self._travel is travel:
            self._travel = None
        if self._travel is None or self._pressed is not button:
            await button.write("None", verify_value=False)
        raise SkipWrite

    async def _move(self, to_open: bool) -> None:
        # So that a second failure in succession is visible as a change too.
        await self.failed_to_open.write("False")
        await self.failed_to_close.write("False")
        await asyncio.sleep(TRAVEL_S / self._speed)
        wanted = "Open" if to_open else "Not Open"
        if not self._faults.sticks:
            self._light.set(shutter=to_open)
            await self.status.write(wanted)
        elif self.status.value != wanted:
            await (self.failed_to_open if to_open else self.failed_to_close).write("True")
