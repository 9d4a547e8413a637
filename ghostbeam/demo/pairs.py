"""A series of frame pairs: cells in a flow, which a camera sees twice in each frame, denoised while the series is taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from beamline.config import GhostbeamConfig
from ghostbeam.demo.demonstration import Scan, Tables

if TYPE_CHECKING:
    from beamline.factory import Devices

DEFAULT_NUM = 240
_SIDE = 256  # pixels of a half
_RATE_HZ = 24.0
_STEPS = 400  # of the network's training: enough for a demo


class PairsDemo:
    """Cells that drift, in 100 photons a pixel.

    Parameters
    ----------
    num : int
        Frames.
    """

    rows = "frames"
    methods = ("gaussian", "pair_network")
    again = "gaussian"

    def __init__(self, num: int) -> None:
        self._num = num
        self._stream = self._images = ""

    def configuration(self, seed: int) -> Tables:
        """The camera and its scene."""
        return {"dual_camera": {"sensor": [_SIDE, 2 * _SIDE]}, "simulation": {"pair_scene": "flow"}}

    def scan(self, config: GhostbeamConfig, devices: Devices) -> Scan:
        """Take the series."""
        from plans import frame_pair_series

        assert devices.dual_camera is not None  # the default configuration has one
        plan = frame_pair_series(
            devices.dual_camera,
            num=self._num,
            rate_hz=_RATE_HZ,
            darks=8,
            shutter=devices.shutter,
            recipes=["gaussian", {"method": "pair_network", "options": {"steps": _STEPS}}],
            md={"sample": "cells in a flow", "purpose": "demo"},
        )
        opening = f"Taking {self._num} frames of {_SIDE}x{2 * _SIDE} pixels at {_RATE_HZ:g} Hz; the scene is in each half."
        return Scan(opening, plan, self._num)

    def rows_in(self, name: str, doc: Mapping[str, Any]) -> int:
        """A row is a frame of the series that is in the camera's file; dark frames are none."""
        if name == "descriptor" and doc["name"] == "frames":
            self._stream = doc["uid"]
        elif name == "stream_resource" and doc["data_key"] == "dual_camera_image":
            self._images = doc["uid"]
        elif name == "stream_datum" and doc["descriptor"] == self._stream and doc["stream_resource"] == self._images:
            return int(doc["indices"]["stop"] - doc["indices"]["start"])
        return 0

    def sample(self, config: GhostbeamConfig, shape: tuple[int, ...]) -> None:
        """None: the scene moves, and each estimate is of another moment."""

    def in_session(self, uid: str) -> Mapping[str, str]:
        """One frame, from the camera's own file."""
        number = min(100, self._num - 1)
        return {f"frame {number}": f'cat["{uid[:8]}"]["frames"]["dual_camera_image"][{number}]'}
