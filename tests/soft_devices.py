"""The real device classes on soft signals instead of PVs, with a scripted IOC behind them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
from ophyd import Component as Cpt
from ophyd import Device, Signal
from ophyd.sim import SynAxis
from ophyd.status import MoveStatus

from beamline.buckets.scaler import BucketDiode
from beamline.mask_designs import hadamard, make_plate
from beamline.mask_stage import MaskStage
from beamline.shutter import Shutter


class SoftPV(Signal):
    """A signal that takes what an EPICS signal takes, and tells a script about puts."""

    def __init__(
        self, pvname: str = "", *, put_complete: bool = False, auto_monitor: Any = None, string: bool = False, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.pvname = pvname
        self.script: Callable[[Any, Callable[[], None]], None] | None = None

    def put(self, value: Any, *, wait: bool = True, callback: Callable[..., None] | None = None, **kwargs: Any) -> None:
        """Run the script, which calls `done` when a real record would complete the put."""
        super().put(value, **kwargs)
        done = callback or (lambda: None)
        if self.script is not None:
            self.script(value, done)
        else:
            done()


class SoftMotor(SynAxis):
    """A motor that can be made to stand still."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.limits = (-100.0, 100.0)
        self.offset_mm = 0.0
        self.stalled = False
        self.stops = 0

    @property
    def user_readback(self) -> Signal:
        return self.readback

    @property
    def user_setpoint(self) -> Signal:
        return self.setpoint

    def why_blocked(self) -> str | None:
        return None

    def trouble(self) -> list[str]:
        return []

    def deadbands(self) -> dict[str, float]:
        return {"MDEL": 0.0}

    def begin(self, value: float, *, timeout: float | None = None) -> Any:
        if self.stalled:
            return MoveStatus(self, value, timeout=0.02)
        return self.set(value + self.offset_mm)

    def stop(self, *, success: bool = False) -> None:
        self.stops += 1


class SoftMaskStage(MaskStage):
    """A mask stage of which each move ends at once."""

    y = Cpt(SoftMotor, kind="normal")
    x = Cpt(SoftMotor, kind="normal")


class SoftShutter(Shutter):
    """A shutter whose IOC is in this object."""

    open_command = Cpt(SoftPV, "OPEN", kind="omitted", value=0)
    close_command = Cpt(SoftPV, "CLOSE", kind="omitted", value=0)
    status = Cpt(SoftPV, "STATUS", kind="normal", value="Not Open")
    failed_to_open = Cpt(SoftPV, "FAIL_OPEN", kind="omitted", value=0)
    failed_to_close = Cpt(SoftPV, "FAIL_CLOSE", kind="omitted", value=0)

    def __init__(self, *args: Any, travel_s: float = 0.0, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.travel_s = travel_s
        self.stuck = False
        self.silent = False
        self.presses: list[str] = []
        self._goal = "Not Open"
        self.open_command.script = lambda value, done: self._pressed("Open", done)
        self.close_command.script = lambda value, done: self._pressed("Not Open", done)

    def _pressed(self, goal: str, done: Callable[[], None]) -> None:
        self.presses.append(goal)
        self._goal = goal
        if self.travel_s:
            threading.Timer(self.travel_s, self._arrive, args=(goal, done)).start()
        else:
            self._arrive(goal, done)

    def _arrive(self, goal: str, done: Callable[[], None]) -> None:
        if goal != self._goal or self.silent:
            return
        if self.stuck:
            flag = self.failed_to_open if goal == "Open" else self.failed_to_close
            flag.put(0)
            flag.put(1)
        else:
            self.status.put(goal)
        done()


class SoftDiode(BucketDiode):
    """A diode whose scaler is in this object."""

    count = Cpt(SoftPV, "CNT", kind="omitted", value=0)
    count_mode = Cpt(SoftPV, "CONT", kind="config", value="OneShot")
    delay = Cpt(SoftPV, "DLY", kind="config", value=0.0)
    freq = Cpt(SoftPV, "FREQ", kind="config", value=1e7)
    bucket = Cpt(SoftPV, "S3", kind="hinted", value=0)
    monitor = Cpt(SoftPV, "S2", kind="normal", value=0)
    elapsed = Cpt(SoftPV, "T", kind="normal", value=0.0)
    exposure = Cpt(SoftPV, "TP", kind="config", value=1.0)

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.counts: Callable[[], int] = lambda: 1000
        self.monitor_counts = 2000
        self.lose = 0
        self.triggers = 0
        self._pending: list[Callable[[], None]] = []
        self.count.script = self._counted

    def _counted(self, value: int, done: Callable[[], None]) -> None:
        if value == 0:
            pending, self._pending = self._pending, []
            for finish in pending:
                finish()
            done()
            return
        self.triggers += 1
        if self.lose:
            self.lose -= 1
            self._pending.append(done)
            return
        self.bucket.put(self.counts())
        self.monitor.put(self.monitor_counts)
        self.elapsed.put(self.exposure.get())
        done()


class SoftBeamline:
    """Everything that a ghost scan needs."""

    def __init__(self, size: int = 4, **shutter: Any):
        self.plate = make_plate("small", hadamard(size), 10.0)
        self.mask_stage = SoftMaskStage("", name="mask_stage", move_timeout_s=0.05)
        self.mask_stage.mount(self.plate)
        self.shutter = SoftShutter("", name="shutter", timeout_s=0.3, **shutter)
        self.diode = SoftDiode("", name="diode", count_margin_s=0.05, saturation_rate=1e6)
        self.diode.counts = lambda: (
            int(1e4 * self.plate.patterns[self.mask_stage.index.get()].mean()) if self.shutter.is_open else 3
        )

    @property
    def devices(self) -> list[Device]:
        return [self.mask_stage, self.shutter, self.diode]


def buckets(documents: list[tuple[str, dict[str, Any]]], key: str = "diode", stream: str = "primary") -> np.ndarray:
    """The values of one key in one stream, in order."""
    streams = {doc["uid"]: doc["name"] for name, doc in documents if name == "descriptor"}
    return np.array([doc["data"][key] for name, doc in documents if name == "event" and streams[doc["descriptor"]] == stream])
