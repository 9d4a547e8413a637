"""A box that triggers the detector at certain positions of the stage and captures the positions: a Zebra's position compare."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from caproto import ChannelType, SkipWrite
from caproto.server import pvproperty

from sims.asyn_group import AsynGroup, Record, serve
from sims.position_compare import Gate, PositionCompare, Pulses
from sims.track import Track
from sims.triggers import Triggers

MOST = 10_000
"""Number of triggers that one arming can capture; caproto warns about larger arrays."""
_TICK_S = 0.01
_PUBLISH_S = 0.1
_SECONDS, _UM = {"units": "s"}, {"units": "um", "precision": 6}


@dataclass(frozen=True)
class Listener:
    """A device connected to the output of the box.

    Parameters
    ----------
    trigger : callable
        Coroutine function, called with triggers after they have happened.
    line_ended : callable
        Coroutine function, called when a gate has closed.
    """

    trigger: Callable[[Triggers], Awaitable[None]]
    line_ended: Callable[[], Awaitable[None]]


def _setting(name: str, first: Any, doc: str, **options: Any) -> Record:
    return Record(name, first, doc, "one", options=options)


def _waveform(name: str, doc: str, dtype: ChannelType = ChannelType.DOUBLE, **options: Any) -> pvproperty:
    return pvproperty(name=name, value=[0], dtype=dtype, max_length=MOST, read_only=True, doc=doc, **options)


class TriggerBox(AsynGroup):
    """The records of the box.

    Parameters
    ----------
    prefix : str
    y, x, angle : Track
        The drives on which the encoders are mounted: Enc1 is y, Enc2 is x, Enc3 is the rotation.
    listener : Listener
    reading_error_um : callable
        Returns the errors of y and x for a number n of readings, shape (2, n), um.
    speed : float
        Divides times.

    Notes
    -----
    PC_ARM arms one gate. It opens when the compared encoder passes PC_GATE_START, in either direction; or at once, if
    PC_GATE_SEL is Time (PC_GATE_START and PC_GATE_WID are ignored then). Pulses follow at a fixed rate, until there were
    PC_PULSE_MAX of them or the encoder is PC_GATE_WID away from the start. Then the box publishes the captured positions and
    PC_ARM_OUT falls to 0.
    """

    locals().update(
        serve(
            _setting("PC_ARM", 0, "Write 1 to arm one gate; clears the arrays, not PC_COUNT"),
            _setting("PC_DISARM", 0, "Write 1 to end the gate; the captured positions are published first"),
            Record("PC_ARM_OUT", 0, "1 while armed, until the gate has closed", "status"),
            Record("PC_GATE_OUT", 0, "1 while the gate is open", "status"),
            _setting("PC_ENC", ("Enc1", "Enc2", "Enc3"), "What opens the gate: Enc1 is y, Enc2 x, Enc3 the angle", value="Enc2"),
            _setting("PC_GATE_SEL", ("Position", "Time"), "What opens the gate: the encoder, or arming", value="Position"),
            _setting("PC_GATE_START", 0.0, "Where the gate opens, in either direction, um or deg (the dial position)", **_UM),
            _setting("PC_GATE_WID", 1.0, "Distance from there at which it closes, um or deg", **_UM),
            _setting("PC_PULSE_START", 0.0, "Time from the opening of the gate to the first pulse, s", **_SECONDS),
            _setting("PC_PULSE_STEP", 0.0005, "Time from pulse to pulse, s", **_SECONDS),
            _setting("PC_PULSE_WID", 0.0005, "Length of a pulse, s: the exposure, over which encoders are averaged", **_SECONDS),
            _setting("PC_PULSE_MAX", 0, "Pulses after which the gate closes; 0: no limit"),
            Record("PC_NUM_CAP", 0, "Triggers captured since PC_ARM", "status"),
            Record("PC_NUM_DOWN", 0, "Triggers that are in the arrays; written last", "status"),
            Record("PC_COUNT", 0, "Number of the last trigger; PC_ARM does not reset it", "status"),
            _setting("PC_COUNT_RESET", 0, "Write 1 to set PC_COUNT to 0: the next trigger has number 1"),
        )
    )
    PC_COUNTS = _waveform("PC_COUNTS", "Number of each captured trigger, as PC_COUNT counts", ChannelType.LONG)
    PC_TIME = _waveform("PC_TIME", "When each captured trigger began, s since PC_ARM", units="s", precision=6)
    PC_ENC1 = _waveform("PC_ENC1", "Mean of encoder 1 (y) over each pulse, um (the dial position)", **_UM)
    PC_ENC2 = _waveform("PC_ENC2", "Mean of encoder 2 (x) over each pulse, um (the dial position)", **_UM)
    PC_ENC3 = _waveform("PC_ENC3", "Mean of encoder 3 (angle) over each pulse, degrees (the dial position)", units="deg")

    def __init__(
        self,
        prefix: str,
        *,
        y: Track,
        x: Track,
        angle: Track,
        listener: Listener,
        reading_error_um: Callable[[int], np.ndarray],
        speed: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(prefix, **kwargs)
        self._tracks: Mapping[str, Track] = {"Enc1": y, "Enc2": x, "Enc3": angle}
        self._listener, self._reading_error_um, self._speed = listener, reading_error_um, speed
        self._compare: PositionCompare | None = None
        self._watching: asyncio.Task | None = None
        self._captured: list[np.ndarray] = []
        self._armed = 0.0
        self._settling = asyncio.Lock()

    async def on_put(self, name: str, value: Any) -> Any:
        """Arm, disarm, reset; all other settings take effect at the next arming."""
        if name not in ("PC_ARM", "PC_DISARM", "PC_COUNT_RESET"):
            return value
        if value and name == "PC_ARM":
            await self._disarm()
            await self._arm()
        elif value and name == "PC_DISARM":
            await self._disarm()
        elif value:
            await self.post("PC_COUNT", 0)
        raise SkipWrite

    async def _arm(self) -> None:
        gate = Gate(
            encoder=self.value("PC_ENC") if self.value("PC_GATE_SEL") == "Position" else None,
            start_um=self.value("PC_GATE_START"),
            width_um=self.value("PC_GATE_WID"),
            delay_s=self.value("PC_PULSE_START"),
            step_s=self.value("PC_PULSE_STEP"),
            width_s=self.value("PC_PULSE_WID"),
            most=self.value("PC_PULSE_MAX"),
        )
        self._captured = []
        self._armed = asyncio.get_running_loop().time()
        self._compare = PositionCompare(gate, self._tracks, self._armed, self._speed)
        await self._publish()
        await self.post("PC_ARM_OUT", 1)
        self._watching = asyncio.create_task(self._watch(self._compare))

    async def _disarm(self) -> None:
        """Process all triggers up to now, and close the gate."""
        if self._compare is not None:
            await self._settle(self._compare)
            self._compare.closed = True
        if self._watching is not None:
            await self._watching

    async def _watch(self, compare: PositionCompare) -> None:
        published = time.monotonic()
        while not await self._settle(compare):
            await self.post("PC_GATE_OUT", int(compare.is_open))
            if time.monotonic() - published > _PUBLISH_S:
                await self._publish()
                published = time.monotonic()
            await asyncio.sleep(_TICK_S)
        await self._listener.line_ended()
        await self._publish()
        await self.post("PC_GATE_OUT", 0)
        self._compare = self._watching = None
        await self.post("PC_ARM_OUT", 0)

    async def _settle(self, compare: PositionCompare) -> bool:
        """Make the triggers that are due by now; return whether the gate has closed."""
        async with self._settling:
            room = MOST - sum(part.shape[1] for part in self._captured)
            if not compare.closed:
                await self._trigger(compare.advance(asyncio.get_running_loop().time()), room)
            return compare.closed or room <= 0

    async def _trigger(self, pulses: Pulses, room: int) -> None:
        count = min(len(pulses), room)
        if not count:
            return
        loop_to_unix = time.time() - asyncio.get_running_loop().time()
        first = self.value("PC_COUNT") + 1
        numbers = np.arange(first, first + count)
        y_um, x_um = (pulses.positions[name][:count] for name in ("Enc1", "Enc2"))
        moved_um = np.stack([pulses.moved[name][:count] for name in ("Enc1", "Enc2")])
        starts = pulses.starts[:count]
        angles_deg, turned_deg = pulses.positions["Enc3"][:count], pulses.moved["Enc3"][:count]
        readings = np.stack([y_um, x_um]) + self._reading_error_um(count)
        self._captured.append(np.stack([numbers, (starts - self._armed) * self._speed, *readings, angles_deg]))
        exposure_s = float(pulses.ends[0] - pulses.starts[0]) * self._speed
        await self.post("PC_COUNT", int(numbers[-1]))
        times = starts + loop_to_unix
        await self._listener.trigger(Triggers(numbers, times, y_um, x_um, exposure_s, moved_um, angles_deg, turned_deg))

    async def _publish(self) -> None:
        """Fill the arrays, then publish their length."""
        rows = np.concatenate(self._captured, axis=1) if self._captured else np.zeros((5, 0))
        await self.PC_COUNTS.write(rows[0].astype(np.int32))
        for waveform, row in zip((self.PC_TIME, self.PC_ENC1, self.PC_ENC2, self.PC_ENC3), rows[1:], strict=True):
            await waveform.write(row)
        for name in ("PC_NUM_CAP", "PC_NUM_DOWN"):
            await self.post(name, rows.shape[1])
