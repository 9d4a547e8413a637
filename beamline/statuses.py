"""Ends ophyd statuses from any thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ophyd import Device, EpicsMotor, Signal
from ophyd.status import DeviceStatus, StatusBase
from ophyd.utils import DisconnectedError
from ophyd.utils.errors import InvalidState


def end(status: StatusBase, error: Exception | None = None) -> bool:
    """Finish a status, with or without an error, unless something else has done so.

    `status.done` cannot tell: it turns true only later, in a thread of the status.

    Returns
    -------
    bool
        Whether it was this call that ended it.
    """
    try:
        if error is None:
            status.set_finished()
        else:
            status.set_exception(error)
    except InvalidState:
        return False
    return True


def fail_if_lost(status: StatusBase, motor: EpicsMotor) -> None:
    """Fail a move as soon as Channel Access says that the motor's IOC has gone, instead of when its time is over."""
    readback = motor.user_readback

    def watch(connected: bool, **_: Any) -> None:
        if not connected:
            end(status, DisconnectedError(f"{motor.name} was lost while it moved: is its IOC running?"))

    readback.subscribe(watch, event_type=readback.SUB_META, run=False)
    status.add_callback(lambda _: readback.clear_sub(watch, event_type=readback.SUB_META))
    watch(readback.connected)


def check_connected(device: Device) -> None:
    """Raise at once if a device's IOC is gone, instead of after the time that each of its PVs may take to answer.

    Raises
    ------
    DisconnectedError
    """
    if not device.connected:
        raise DisconnectedError(f"{device.name} was lost: is its IOC running?")


class CountedStatus(DeviceStatus):
    """A status whose progress is a count, for a progress bar.

    Parameters
    ----------
    device : Device
    count : Signal
        What counts; it must be monitored.
    total : int
        Its value when all is done.
    unit : str
        What is counted.
    """

    def __init__(self, device: Device, count: Signal, *, total: int, unit: str):
        super().__init__(device)
        self._count, self._total, self._unit = count, total, unit

    def watch(self, report: Callable[..., None]) -> None:
        """Tell of each change until the status is done; see bluesky's `ProgressBar.update`."""

        def tell(value: Any, **_: Any) -> None:
            report(
                name=self.device.name,
                current=value,
                initial=0,
                target=self._total,
                unit=self._unit,
                precision=0,
                fraction=1 - value / self._total if self._total else 0.0,
            )

        self._count.subscribe(tell)
        self.add_callback(lambda _: self._count.clear_sub(tell))
