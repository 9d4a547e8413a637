"""The box that triggers the detector where the stage is, and captures where that was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from operator import and_
from typing import Any, ClassVar

import numpy as np
from ophyd import Component as Cpt
from ophyd import Device, EpicsSignal, EpicsSignalRO, Signal
from ophyd.status import StatusBase, SubscriptionStatus

from beamline.frames.values import LineTriggers
from beamline.numpy_types import NumpyTyped
from beamline.statuses import CountedStatus, check_connected, end


class PulseBox(NumpyTyped, Device):
    """A Zebra-like box: within a gate on the position of an axis, or on time, it gives pulses, counts them and captures encoders.

    `prepare` sets up a line, `kickoff` arms it, `complete` waits until its gate has closed. What was captured comes
    as event pages with the keys `..._number` (counted over the whole scan, from 1), one for each quantity that a subclass
    captures (mean over the exposure, as the user's coordinates of the motors) and `..._time` (s since 1970).

    Parameters
    ----------
    timeout_s : float
        Longest time that the box may take to answer, in s.

    Attributes
    ----------
    stream : str
        What is captured, in the plural: the name of its stream in a run.
    gate_encoder : str
        State of PC_ENC: the encoder that opens the gate.
    quantities : mapping of str to str
        Name of each captured quantity, which is the attribute of its signal too, and its unit.
    """

    stream: str
    gate_encoder: str
    quantities: ClassVar[Mapping[str, str]]

    arm: EpicsSignal
    disarm: EpicsSignal
    armed: EpicsSignalRO
    encoder: EpicsSignal
    gate_select: EpicsSignal
    gate_start: EpicsSignal
    gate_width: EpicsSignal
    pulse_start: EpicsSignal
    pulse_step: EpicsSignal
    pulse_width: EpicsSignal
    pulse_max: EpicsSignal
    captured: EpicsSignalRO
    count: EpicsSignalRO
    count_reset: EpicsSignal
    numbers: EpicsSignalRO
    times: EpicsSignalRO

    interrupted = Cpt(Signal, value=0, kind="omitted", doc="1 if a pause has cut the line short")

    most_triggers = 100_000  # in one line: as many as a Zebra captures

    def __init__(self, *args: Any, timeout_s: float = 10.0, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._timeout_s = timeout_s
        self._line: LineTriggers | None = None
        self._taken = 0  # of what the box has captured since it was armed
        self._rows: list[np.ndarray] = []  # taken, and not yet collected
        self._armed_at = 0.0

    def _watch(self) -> None:
        """Follow the arming of the box from now on, and let it gate by this encoder when it is staged."""
        self.stage_sigs["encoder"] = self.gate_encoder
        self.armed.subscribe(self._note_arming)

    @property
    def keys(self) -> dict[str, str]:
        """Data keys of the number, of what is captured, and of the time."""
        return {quantity: f"{self.name}_{quantity}" for quantity in ("number", *self.quantities, "time")}

    def describe_collect(self) -> dict[str, Any]:
        """Describe what is captured at each trigger."""
        kinds = {"number": ("integer", "<i8", "")}
        kinds |= {quantity: ("number", "<f8", units) for quantity, units in {**self.quantities, "time": "s"}.items()}
        return {
            self.keys[quantity]: {
                "source": f"PV:{self.prefix}",
                "dtype": dtype,
                "dtype_numpy": dtype_numpy,
                "shape": [],
                **({"units": units} if units else {}),
            }
            for quantity, (dtype, dtype_numpy, units) in kinds.items()
        }

    def stage(self) -> list[object]:
        """Disarm, and count from 1."""
        self.stop()
        SubscriptionStatus(self.armed, lambda value, **_: not value, timeout=self._timeout_s).wait()
        self.count_reset.set(1).wait(self._timeout_s)
        # What the arrays hold by now is of a scan before.
        self._line, self._taken, self._rows = None, int(self.captured.get()), []
        return super().stage()

    def unstage(self) -> list[object]:
        """Disarm."""
        check_connected(self)
        self.stop()
        return super().unstage()

    def prepare(self, line: LineTriggers) -> StatusBase:
        """Set up the gate and the pulses of a line."""
        self._take()
        self._line = line
        still = line.gate is None
        settings = {
            self.gate_select: "Time" if still else "Position",
            self.gate_start: 0.0 if still else line.gate,
            self.gate_width: line.num * line.period_s if still else line.width,
            self.pulse_start: 0.0,
            self.pulse_step: line.period_s,
            self.pulse_width: line.exposure_s,
            self.pulse_max: line.num,
        }
        return reduce(and_, (signal.set(value) for signal, value in settings.items()))

    def kickoff(self) -> StatusBase:
        """Arm the line that was prepared."""
        status = SubscriptionStatus(self.armed, lambda value, **_: bool(value), timeout=self._timeout_s, run=False)
        self.arm.put(1)
        return status

    def complete(self) -> StatusBase:
        """Wait until the gate has closed; the number of triggers of the whole scan is its progress."""
        status = CountedStatus(self, self.count, total=self._line.total if self._line else 0, unit="triggers")

        def look(value: Any, **_: Any) -> None:
            if not value:
                end(status)

        self.armed.subscribe(look)
        status.add_callback(lambda _: self.armed.clear_sub(look))
        return status

    def collect_pages(self) -> Iterator[dict[str, Any]]:
        """Yield what was captured since the last call."""
        self._take()
        if not self._rows:
            return
        rows, self._rows = np.concatenate(self._rows, axis=1), []
        numbers, *captured, times = rows
        stamps = times.tolist()
        columns = [[int(n) for n in numbers], *(values.tolist() for values in captured), stamps]
        data = dict(zip(self.keys.values(), columns, strict=True))
        yield {"time": stamps, "data": data, "timestamps": dict.fromkeys(data, stamps)}

    def stop(self, *, success: bool = False) -> None:
        """End the gate; what was captured until then stays."""
        if self.disarm.connected:
            self.disarm.put(1)
        super().stop(success=success)

    def pause(self) -> None:
        """End the gate, and say so: a stage that stands still would be triggered on."""
        self.interrupted.put(1)
        self.stop()

    def resume(self) -> None:
        """Do nothing: the plan arms the line again."""

    def _take(self) -> None:
        """Fetch what is new. The box fills its arrays before it says how much is in them."""
        check_connected(self)
        line = self._line
        count = int(self.captured.get())
        if line is None or count <= self._taken:
            return
        encoders = [getattr(self, quantity) for quantity in self.quantities]
        columns = [np.asarray(signal.get())[self._taken : count] for signal in (self.numbers, self.times, *encoders)]
        numbers, seconds, *dials = columns
        captured = [sign * dial + offset for dial, sign, offset in zip(dials, line.signs, line.offsets, strict=True)]
        self._rows.append(np.stack([numbers, *captured, self._armed_at + seconds]))
        self._taken = count

    def _note_arming(self, value: Any, timestamp: float, **_: Any) -> None:
        if value:
            # The box has emptied its arrays before it says that it is armed.
            self._armed_at, self._taken = timestamp, 0


class TriggerBox(PulseBox):
    """The box where a sample stage moves: x opens the gate, y and x are captured, in um."""

    stream = "positions"
    gate_encoder = "Enc2"
    quantities: ClassVar[Mapping[str, str]] = {"y": "um", "x": "um"}

    arm = Cpt(EpicsSignal, "PC_ARM", kind="omitted")
    disarm = Cpt(EpicsSignal, "PC_DISARM", kind="omitted")
    armed = Cpt(EpicsSignalRO, "PC_ARM_OUT", auto_monitor=True, kind="omitted")
    encoder = Cpt(EpicsSignal, "PC_ENC", string=True, kind="config")
    gate_select = Cpt(EpicsSignal, "PC_GATE_SEL", string=True, put_complete=True, kind="omitted")
    gate_start = Cpt(EpicsSignal, "PC_GATE_START", put_complete=True, kind="omitted")
    gate_width = Cpt(EpicsSignal, "PC_GATE_WID", put_complete=True, kind="omitted")
    pulse_start = Cpt(EpicsSignal, "PC_PULSE_START", put_complete=True, kind="omitted")
    pulse_step = Cpt(EpicsSignal, "PC_PULSE_STEP", put_complete=True, kind="omitted")
    pulse_width = Cpt(EpicsSignal, "PC_PULSE_WID", put_complete=True, kind="omitted")
    pulse_max = Cpt(EpicsSignal, "PC_PULSE_MAX", put_complete=True, kind="omitted")
    captured = Cpt(EpicsSignalRO, "PC_NUM_DOWN", kind="omitted")
    count = Cpt(EpicsSignalRO, "PC_COUNT", auto_monitor=True, kind="omitted")
    count_reset = Cpt(EpicsSignal, "PC_COUNT_RESET", put_complete=True, kind="omitted")
    numbers = Cpt(EpicsSignalRO, "PC_COUNTS", kind="omitted")
    times = Cpt(EpicsSignalRO, "PC_TIME", kind="omitted")
    y = Cpt(EpicsSignalRO, "PC_ENC1", kind="omitted")
    x = Cpt(EpicsSignalRO, "PC_ENC2", kind="omitted")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._watch()


class AngleBox(PulseBox):
    """The same box where a sample turns: the angle opens the gate and is captured, in degrees.

    Parameters
    ----------
    box : TriggerBox
        Whose signals it shares: pyepics may lose the connection of a PV that two devices look for at the same time.
    **kwargs
        See `PulseBox`.
    """

    stream = "angles"
    gate_encoder = "Enc3"
    quantities: ClassVar[Mapping[str, str]] = {"angle": "deg"}

    angle = Cpt(EpicsSignalRO, "PC_ENC3", kind="omitted")

    def __init__(self, box: TriggerBox, **kwargs: Any):
        super().__init__(box.prefix, **kwargs)
        self._box = box
        self.arm, self.disarm, self.armed = box.arm, box.disarm, box.armed
        self.encoder, self.gate_select = box.encoder, box.gate_select
        self.gate_start, self.gate_width = box.gate_start, box.gate_width
        self.pulse_start, self.pulse_step = box.pulse_start, box.pulse_step
        self.pulse_width, self.pulse_max = box.pulse_width, box.pulse_max
        self.captured, self.count, self.count_reset = box.captured, box.count, box.count_reset
        self.numbers, self.times = box.numbers, box.times
        self._watch()

    @property
    def connected(self) -> bool:
        """Whether all of the box answers."""
        return bool(super().connected and self._box.connected)
