"""A fly scan: the sample moves in lines through a focused beam, and each frame of the detector stays in its file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from beamline.config import GhostbeamConfig
from ghostbeam.demo.demonstration import Scan, Tables

if TYPE_CHECKING:
    from beamline.factory import Devices

POINTS = 100
"""Frames in a line."""
DEFAULT_NUM = 41 * POINTS
_HALF_UM = 12.0  # the star's radius is 10 um
_RATE_HZ = 200.0


class FlyDemo:
    """A Siemens star of gold that moves through a beam of 4.5 um.

    Parameters
    ----------
    num : int
        Frames; rounded to whole lines of 100, two lines at least.
    """

    rows = "frames"
    methods = ("sums",)
    again = "sums"

    def __init__(self, num: int) -> None:
        self._lines = max(2, round(num / POINTS))

    def configuration(self, seed: int) -> Tables:
        """The sample."""
        return {"simulation": {"coherent_sample": "star"}}

    def scan(self, config: GhostbeamConfig, devices: Devices) -> Scan:
        """Scan the whole star."""
        from plans import fly_scan

        assert devices.pixel_detector is not None  # the default configuration has one
        plan = fly_scan(
            devices.pixel_detector,
            devices.sample_stage,
            y_um=(-_HALF_UM, _HALF_UM, self._lines),
            x_um=(-_HALF_UM, _HALF_UM, POINTS),
            rate_hz=_RATE_HZ,
            trigger_box=devices.trigger_box,
            shutter=devices.shutter,
            md={"sample": config.simulation.coherent_sample, "purpose": "demo"},
        )
        height, width = devices.pixel_detector.frame_shape()
        opening = (
            f"Flying over {2 * _HALF_UM:g} x {2 * _HALF_UM:g} um of the sample in {self._lines} lines of {POINTS} points: "
            f"{_RATE_HZ:g} frames of {height}x{width} pixels a second."
        )
        return Scan(opening, plan, self._lines * POINTS)

    def rows_in(self, name: str, doc: Mapping[str, Any]) -> int:
        """A row is a trigger whose position has come; they come in pages."""
        return len(doc["data"].get("trigger_box_number", ())) if name == "event_page" else 0

    def sample(self, config: GhostbeamConfig, shape: tuple[int, ...]) -> None:
        """None: the maps are blurred by the beam, and show other things than the sample's transmission."""

    def in_session(self, uid: str) -> Mapping[str, str]:
        """One frame, from the detector's own file."""
        number = min(1000, self._lines * POINTS - 1)
        return {f"frame {number}": f'cat["{uid[:8]}"]["frames"]["pixel_detector_image"][{number}]'}
