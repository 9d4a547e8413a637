"""A ghost image: masks one after the other, and the counts behind the sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.techniques.ghost.mask_sets import MaskStore
from beamline.config import GhostbeamConfig
from ghostbeam.demo.demonstration import Scan, Tables

if TYPE_CHECKING:
    from beamline.factory import Devices

DEFAULT_NUM = 1024


class GhostDemo:
    """A simulated pair of chromosomes behind random masks of 64x64 pixels.

    Parameters
    ----------
    num : int
        Realizations.
    """

    rows = "realizations"
    methods = ("differential", "tv", "n2g")
    again = "tv"

    def __init__(self, num: int) -> None:
        self._num = num

    def configuration(self, seed: int) -> Tables:
        """The plate, and a beamline that is faster than in life."""
        return {
            "mask_plate": {"preset": "gold-random", "num": self._num, "seed": seed},
            "simulation": {"sample": "chromosomes", "speed": 15.0, "photons": 1e4},
        }

    def scan(self, config: GhostbeamConfig, devices: Devices) -> Scan:
        """Mount the plate, and scan all of it."""
        from beamline.plates import make_plate
        from plans import ghost_scan

        masks = make_plate(config)
        devices.mask_stage.mount(masks)
        MaskStore(config.state_dir).save(masks)
        plan = ghost_scan(
            [devices.diode],
            devices.mask_stage,
            masks,
            num=self._num,
            exposure=0.1,
            order="given",
            indices=list(range(self._num)),
            shutter=devices.shutter,
            md={"sample": config.simulation.sample, "purpose": "demo"},
        )
        height, width = masks.shape
        compression = height * width / self._num
        opening = f"Scanning {self._num} masks for {height}x{width} pixels (compression {compression:.1f})."
        return Scan(opening, plan, self._num)

    def rows_in(self, name: str, doc: Mapping[str, Any]) -> int:
        """A realization is an event with a mask; a dark reading is none."""
        return int(name == "event" and "mask_stage_index" in doc["data"])

    def sample(self, config: GhostbeamConfig, shape: tuple[int, ...]) -> np.ndarray:
        """The chromosomes."""
        from sims.samples import make_sample

        return make_sample(config.simulation.sample, (shape[0], shape[1]), config.simulation.seed)

    def in_session(self, uid: str) -> Mapping[str, str]:
        """Nothing more than of any run."""
        return {}
