"""The two-button shutter."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ophyd import Component as Cpt
from ophyd import Device, DeviceStatus, EpicsSignal, EpicsSignalRO
from ophyd.status import StatusBase

from beamline.numpy_types import NumpyTyped
from beamline.statuses import end


class ShutterPosition(StrEnum):
    """Where a shutter can be sent."""

    OPEN = "Open"
    CLOSED = "Closed"


class ShutterError(RuntimeError):
    """The shutter said that it could not do what it was told."""


@dataclass
class _Command:
    """A button that was pressed, and whether the shutter has arrived."""

    target: ShutterPosition
    status: StatusBase
    arrived: bool = False

    @property
    def under_way(self) -> bool:
        return not self.arrived and not self.status.done


class Shutter(NumpyTyped, Device):
    """A shutter with a button to open it, one to close it, and a status.

    Its prefix is the text before `Cmd:Opn-Cmd`. `set("Open")` and `set("Closed")` finish when the status PV says so.
    While it is staged a plan owns it: `unstage` closes it, and so does `pause`. The RunEngine calls the one at the end
    of every plan, even a halted one, and the other whenever it pauses or suspends, so a shutter that is staged before
    it is opened does not stay open.

    Parameters
    ----------
    timeout_s : float
        Longest time that opening or closing may take, in s.
    """

    open_command = Cpt(EpicsSignal, "Cmd:Opn-Cmd", kind="omitted")
    close_command = Cpt(EpicsSignal, "Cmd:Cls-Cmd", kind="omitted")
    status = Cpt(EpicsSignalRO, "Pos-Sts", string=True, auto_monitor=True, kind="hinted")
    failed_to_open = Cpt(EpicsSignalRO, "Sts:FailOpn-Sts", auto_monitor=True, kind="omitted")
    failed_to_close = Cpt(EpicsSignalRO, "Sts:FailCls-Sts", auto_monitor=True, kind="omitted")

    def __init__(self, *args: Any, timeout_s: float = 10.0, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.timeout_s = timeout_s
        self._last: _Command | None = None
        self._lock = threading.RLock()

    @property
    def is_open(self) -> bool:
        """Whether the status PV says Open."""
        return self.status.get() == "Open"

    def set(self, position: str) -> StatusBase:
        """Open or close the shutter.

        Parameters
        ----------
        position : {"Open", "Closed"}

        Returns
        -------
        StatusBase
            Done when the shutter is there; done at once if it already was. It fails with ShutterError when the shutter
            reports a failure, or nothing within the time.
        """
        try:
            target = ShutterPosition(position)
        except ValueError:
            raise ValueError(f"{self.name} can be set to 'Open' or 'Closed', not {position!r}") from None
        with self._lock:
            settled = self._overtake(ShutterError(f"{self.name} was sent to {target.value} before it had arrived"))
            if settled and self.is_open == (target is ShutterPosition.OPEN):
                done = DeviceStatus(self)
                done.set_finished()
                return done
            return self._press(target)

    def close_now(self) -> None:
        """Press the close button without waiting, unless the shutter is known to be closed or closing.

        A command that this overtakes finishes without an error: the RunEngine would throw it at the plan on resume.
        """
        with self._lock:
            last = self._last
            if last is not None and last.target is ShutterPosition.CLOSED and last.under_way:
                return
            if self._overtake(None) and not self.is_open:
                return
            self._press(ShutterPosition.CLOSED).add_callback(self._report_failure)

    def _overtake(self, error: Exception | None) -> bool:
        """End the last command if it is under way; say whether the status PV can be believed.

        It cannot after a command that failed or was cut short: the blade may still arrive later.
        """
        if self._last is None:
            return True
        end(self._last.status, error)
        return self._last.arrived

    def _press(self, target: ShutterPosition) -> StatusBase:
        opening = target is ShutterPosition.OPEN
        button = self.open_command if opening else self.close_command
        failure = self.failed_to_open if opening else self.failed_to_close
        command = self._last = _Command(target, DeviceStatus(self))

        def arrived(value: Any, **_: Any) -> None:
            if (value in ("Open", 0)) == opening and end(command.status):
                command.arrived = True

        def failed(value: Any, old_value: Any, **_: Any) -> None:
            # A flag that a failure before left behind says nothing about this command: only its rise does.
            if value in (1, "True") and old_value in (0, "False") and self.is_open != opening:
                end(
                    command.status,
                    ShutterError(f"{self.name} did not go to {target.value}: it reports a failure. Is it interlocked?"),
                )

        def too_late() -> None:
            end(
                command.status,
                ShutterError(f"{self.name} did not go to {target.value} within {self.timeout_s:g} s and reports no failure"),
            )

        clock = threading.Timer(self.timeout_s, too_late)
        clock.daemon = True

        def forget(_: Any) -> None:
            clock.cancel()
            self.status.clear_sub(arrived)
            failure.clear_sub(failed)

        command.status.add_callback(forget)
        failure.subscribe(failed, run=False)
        clock.start()
        button.put(1, wait=False)
        # Only now, so that the position from before this command cannot finish it.
        self.status.subscribe(arrived, run=False)
        arrived(self.status.get())
        return command.status

    def _report_failure(self, status: StatusBase) -> None:
        if not status.success:
            self.log.error("%s may still be open: %s", self.name, status.exception())

    def pause(self) -> None:
        """Close the shutter when the RunEngine pauses; the plan opens it again."""
        self.close_now()

    def resume(self) -> None:
        """Do nothing: a plan that needs the shutter open says so before each exposure."""

    def unstage(self) -> list[object]:
        """Close the shutter and release it."""
        self.close_now()
        return super().unstage()
