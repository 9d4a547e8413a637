"""Ends ophyd statuses from whichever thread comes first."""

from __future__ import annotations

from typing import Any

from ophyd import EpicsMotor
from ophyd.status import StatusBase
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
