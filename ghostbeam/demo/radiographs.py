"""A tomographic scan: foam that turns before the X-ray camera, with slices that grow meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from beamline.config import GhostbeamConfig
from ghostbeam.demo.demonstration import Scan, Tables

if TYPE_CHECKING:
    from beamline.factory import Devices

DEFAULT_NUM = 120
_SENSOR = (32, 160)
_RATE_HZ = 10.0
_ROUNDS = 4  # each over the whole turn: coarse slices come early
_OUT_UM = (0.0, 5000.0)


class RadiographsDemo:
    """A cylinder of foam.

    Parameters
    ----------
    num : int
        Angles; rounded to whole rounds.
    """

    rows = "radiographs"
    methods = ("fbp", "sirt")
    again = "sirt"

    def __init__(self, num: int) -> None:
        self._num = _ROUNDS * round(num / _ROUNDS)

    def configuration(self, seed: int) -> Tables:
        """The camera and what it sees."""
        return {"xray_camera": {"sensor": list(_SENSOR)}, "simulation": {"radiograph_scene": "foam"}}

    def scan(self, config: GhostbeamConfig, devices: Devices) -> Scan:
        """Turn the foam forth and back by half a turn."""
        from plans import tomo_scan

        assert devices.xray_camera is not None and devices.rotation_stage is not None  # the default configuration has them
        plan = tomo_scan(
            devices.xray_camera,
            devices.rotation_stage,
            num=self._num,
            rate_hz=_RATE_HZ,
            order="interlaced",
            rounds=_ROUNDS,
            darks=10,
            flats=20,
            out_um=_OUT_UM,
            sample_stage=devices.sample_stage,
            angle_box=devices.angle_box,
            shutter=devices.shutter,
            recipes=list(self.methods),
            md={"sample": config.simulation.radiograph_scene, "purpose": "demo"},
        )
        taken = f"{_RATE_HZ:g} radiographs of {_SENSOR[0]}x{_SENSOR[1]} pixels a second"
        opening = f"Turning the sample by 180 degrees, {_ROUNDS} times, past {self._num} angles: {taken}."
        return Scan(opening, plan, self._num)

    def rows_in(self, name: str, doc: Mapping[str, Any]) -> int:
        """A row is a trigger whose angle has come; they come in pages."""
        return len(doc["data"].get("angle_box_number", ())) if name == "event_page" else 0

    def sample(self, config: GhostbeamConfig, shape: tuple[int, ...]) -> np.ndarray:
        """The foam's attenuation at the height of the slice."""
        from sims.radiograph_scenes import foam

        return foam(_SENSOR, config.simulation.seed).slice(shape[-1], height=0.5)

    def in_session(self, uid: str) -> Mapping[str, str]:
        """One radiograph, from the camera's own file."""
        number = min(50, self._num - 1)
        return {f"radiograph {number}": f'cat["{uid[:8]}"]["frames"]["xray_camera_image"][{number}]'}
