"""The triggers of a position-compare box, and the positions that it captures: arithmetic on the tracks of two drives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sims.track import Track

_PER_UNIT = {"Enc1": 1000.0, "Enc2": 1000.0, "Enc3": 1.0}
"""Encoder counts per unit of the drive: um for drives in mm, degrees for a rotation."""


@dataclass(frozen=True)
class Gate:
    """The conditions that open and close the gate of one line, and the pulses within it.

    Parameters
    ----------
    encoder : str or None
        The encoder that is compared. None: the gate opens as soon as it is armed, and closes after `most` pulses.
    start_um, width_um : float
        The gate opens when the encoder passes the start, in either direction, and closes `width_um` away from it; in degrees
        for the encoder of a rotation.
    delay_s, step_s, width_s : float
        Time from the opening to the first pulse, between pulses, and the length of a pulse, which is the exposure.
    most : int
        The gate closes after this many pulses; 0 for no limit.
    """

    encoder: str | None
    start_um: float
    width_um: float
    delay_s: float
    step_s: float
    width_s: float
    most: int

    def __post_init__(self) -> None:
        if self.encoder is None and not self.most:
            raise ValueError("a gate on time (PC_GATE_SEL) needs a number of pulses (PC_PULSE_MAX)")
        if self.encoder is not None and not self.width_um > 0:
            raise ValueError(f"the gate needs a width (PC_GATE_WID) above 0 um, not {self.width_um!r}")
        if not 0 < self.width_s <= self.step_s:
            raise ValueError(
                f"a pulse (PC_PULSE_WID, {self.width_s!r} s) must be longer than 0 s and no longer than the time "
                f"between pulses (PC_PULSE_STEP, {self.step_s!r} s)"
            )
        if not self.delay_s >= 0 or self.most < 0:
            raise ValueError("PC_PULSE_START and PC_PULSE_MAX must be 0 or more")


@dataclass(frozen=True)
class Pulses:
    """Triggers and the positions captured at each.

    Parameters
    ----------
    starts, ends : array, shape (n,), float64
        Start and end of each pulse by the event loop's clock, s.
    positions : mapping of str to array, shape (n,), float64
        Mean position of each encoder over the pulse, um or degrees, by Simpson's rule: exact for any constant acceleration.
    moved : mapping of str to array, shape (n,), float64
        Distance that each encoder moved during the pulse, um or degrees.
    """

    starts: np.ndarray
    ends: np.ndarray
    positions: Mapping[str, np.ndarray]
    moved: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.starts)


class PositionCompare:
    """One armed gate.

    Parameters
    ----------
    gate : Gate
    tracks : mapping of str to Track
        The drives on which the encoders are mounted, by the encoder's name.
    armed : float
        Time at which the box was armed.
    speed : float
        Divides all times of the gate.
    """

    def __init__(self, gate: Gate, tracks: Mapping[str, Track], armed: float, speed: float = 1.0):
        self._gate, self._tracks, self._speed = gate, tracks, speed
        self._seen = armed
        self._next: float | None = None  # start of the next pulse; None before the gate opens
        self._pulses = 0
        self.closed = False

    @property
    def is_open(self) -> bool:
        """Whether the gate is open."""
        return self._next is not None and not self.closed

    def advance(self, now: float) -> Pulses:
        """Return the pulses that have ended since the last call.

        Parameters
        ----------
        now : float
            Clock time, s. All pulses that end before it are returned by this call or an earlier one.
        """
        gate = self._gate
        track = None if gate.encoder is None else self._tracks[gate.encoder]
        scale = 1.0 if gate.encoder is None else _PER_UNIT[gate.encoder]
        if self._next is None and now > self._seen:
            opened = self._seen if track is None else track.crossing(gate.start_um / scale, self._seen, now)
            if opened is not None:
                self._next = opened + gate.delay_s / self._speed
        self._seen = now
        starts = []
        length = gate.width_s / self._speed
        while self._next is not None and not self.closed and self._next + length <= now:
            if track is not None and abs(scale * track.position(self._next) - gate.start_um) >= gate.width_um:
                self.closed = True
                break
            starts.append(self._next)
            self._pulses += 1
            self._next += gate.step_s / self._speed
            self.closed = self._pulses == gate.most
        made = np.array(starts)
        positions, moved = {}, {}
        for name, one in self._tracks.items():
            first, middle, last = (
                np.array([_PER_UNIT[name] * one.position(time) for time in made + part * length]) for part in (0.0, 0.5, 1.0)
            )
            positions[name], moved[name] = (first + 4 * middle + last) / 6, last - first
        return Pulses(made, made + length, positions, moved)
