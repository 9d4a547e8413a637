"""The shutter."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ophyd import Device, DeviceStatus, EpicsSignal, EpicsSignalRO
from ophyd import FormattedComponent as FCpt
from ophyd.status import StatusBase

from beamline.numpy_types import NumpyTyped
from beamline.statuses import end


class ShutterPosition(StrEnum):
    """Where a shutter can be sent."""

    OPEN = "Open"
    CLOSED = "Closed"


class ShutterError(RuntimeError):
    """The shutter could not follow a command."""


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
    """A shutter that one PV opens, one closes, and one knows the position of. They may be the same PV.

    `set("Open")` and `set("Closed")` finish when the status PV says so. While it is staged a plan owns it: `unstage` closes it,
    and so does `pause`. The RunEngine calls the one at the end of every plan, even a halted one, and the other whenever it
    pauses or suspends, so a shutter that is staged before it is opened does not stay open.

    Parameters
    ----------
    prefix : str
        Text before the three names.
    open_pv, close_pv, status_pv : str
        Names of the PVs.
    open_value, close_value : int or str
        What is written to open and to close.
    status_open : int or str
        Value or state of the status PV when the shutter is open.
    timeout_s : float
        Longest time that opening or closing may take, in s.
    """

    open_command = FCpt(EpicsSignal, "{prefix}{open_pv}", kind="omitted")
    close_command = FCpt(EpicsSignal, "{prefix}{close_pv}", kind="omitted")
    status = FCpt(EpicsSignalRO, "{prefix}{status_pv}", string=True, auto_monitor=True, kind="hinted")
    failed_to_open: EpicsSignalRO | None = None
    failed_to_close: EpicsSignalRO | None = None

    def __init__(
        self,
        prefix: str,
        *,
        open_pv: str = "Cmd:Opn-Cmd",
        open_value: int | str = 1,
        close_pv: str = "Cmd:Cls-Cmd",
        close_value: int | str = 1,
        status_pv: str = "Pos-Sts",
        status_open: int | str = "Open",
        timeout_s: float = 10.0,
        **kwargs: Any,
    ):
        self.open_pv, self.close_pv, self.status_pv = open_pv, close_pv, status_pv
        super().__init__(prefix, **kwargs)
        self.open_value, self.close_value, self.status_open = open_value, close_value, status_open
        self.timeout_s = timeout_s
        self._last: _Command | None = None
        self._lock = threading.RLock()

    @property
    def is_open(self) -> bool:
        """Whether the status PV says that it is open."""
        return self._says_open(self.status.get())

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
            if self._says_open(value) == opening and end(command.status):
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
            if failure is not None:
                failure.clear_sub(failed)

        command.status.add_callback(forget)
        if failure is not None:
            failure.subscribe(failed, run=False)
        clock.start()
        button.put(self.open_value if opening else self.close_value, wait=False)
        # Only now, so that the position from before this command cannot finish it.
        self.status.subscribe(arrived, run=False)
        arrived(self.status.get())
        return command.status

    def _says_open(self, value: Any) -> bool:
        states = getattr(self.status, "enum_strs", None) or ()  # of an enumeration: monitors send its numbers, get() its texts
        value, wanted = (
            states[one] if isinstance(one, int) and 0 <= one < len(states) else str(one) for one in (value, self.status_open)
        )
        return bool(value == wanted)

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


class ShutterWithFailures(Shutter):
    """A shutter with two more PVs, which become 1 when it could not open, or close.

    Parameters
    ----------
    open_failure_pv, close_failure_pv : str
        Names of these PVs.
    **kwargs
        See `Shutter`.
    """

    failed_to_open = FCpt(EpicsSignalRO, "{prefix}{open_failure_pv}", auto_monitor=True, kind="omitted")
    failed_to_close = FCpt(EpicsSignalRO, "{prefix}{close_failure_pv}", auto_monitor=True, kind="omitted")

    def __init__(
        self, prefix: str, *, open_failure_pv: str = "Sts:FailOpn-Sts", close_failure_pv: str = "Sts:FailCls-Sts", **kwargs: Any
    ):
        self.open_failure_pv, self.close_failure_pv = open_failure_pv, close_failure_pv
        super().__init__(prefix, **kwargs)
