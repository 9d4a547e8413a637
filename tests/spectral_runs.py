"""Made-up ghost-imaging runs with a fluorescence detector: a square of iron and a bar of copper behind the masks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from made_runs import MadeRun, mask_set

from sims.emission import Emission
from sims.fluorescence import BINS, Spectrometer, detector_elements

BEAM_KEV = 11.1
ELEMENTS = ["Fe", "Cu"]
MASKS = mask_set()


def maps(shape: tuple[int, int] = (8, 8)) -> dict[str, np.ndarray]:
    """Where iron and copper are."""
    iron, copper = np.zeros(shape), np.zeros(shape)
    iron[shape[0] // 4 : shape[0] // 2, shape[1] // 4 : shape[1] // 2] = 0.02
    copper[:, 3 * shape[1] // 4] = 0.01
    return {"Fe": iron, "Cu": copper}


def spectrometer(detectors: int = 2, seed: int = 0, shape: tuple[int, int] = (8, 8)) -> Spectrometer:
    made = maps(shape)
    return Spectrometer(
        Emission(made, np.full(shape, 5e-4), np.ones(shape, dtype=np.float32)), BEAM_KEV, detector_elements(detectors, seed)
    )


@dataclass
class SpectralRun(MadeRun):
    """`spectra` replaces what the detector gave: {seq_num: {"spectra" | "real_time" | "live_time": value}}."""

    detectors: int = 2
    elements: list[str] = field(default_factory=lambda: list(ELEMENTS))
    photons: float = 2e5
    spectra: dict[int, dict[str, Any]] = field(default_factory=dict)
    dead: frozenset[int] = frozenset()
    slope_kev: float = 0.005

    def __post_init__(self) -> None:
        super().__post_init__()
        detector = spectrometer(self.detectors, self.seed, self.masks.patterns.shape[1:])
        for number, row in enumerate(self.rows, start=1):
            mask = self.masks.patterns[row["mask_stage_index"]]
            flux = (row["diode_monitor"] or 1e6) / 1e6
            made = detector.expose(mask, self.photons * flux, 0.1, index=number, seed=self.seed, dead=self.dead)
            row["xrf_spectra"] = np.stack([one.counts for one in made])
            row["xrf_real_time"] = np.array([one.real_s for one in made])
            row["xrf_live_time"] = np.array([one.live_s for one in made])
            row |= {f"xrf_{name}": value for name, value in self.spectra.get(number, {}).items()}
        self.ghost = {
            "spectra": {
                "counts": "xrf_spectra",
                "real_time": "xrf_real_time",
                "live_time": "xrf_live_time",
                "detector_elements": self.detectors,
                "bins": BINS,
                "elements": self.elements,
                "energy_kev": BEAM_KEV,
                "offset_kev": 0.0,
                "slope_kev": self.slope_kev,
                "lowest_kev": 1.0,
                "buckets": "fit",
            },
            **self.ghost,
        }

    def _descriptor(self, stream: str, keys: list[str]) -> dict[str, Any]:
        descriptor = super()._descriptor(stream, keys)
        shapes = {"xrf_spectra": [self.detectors, BINS], "xrf_real_time": [self.detectors], "xrf_live_time": [self.detectors]}
        for key, shape in shapes.items():
            if key in descriptor["data_keys"]:
                kind = "<i4" if key == "xrf_spectra" else "<f8"
                descriptor["data_keys"][key] |= {"dtype": "array", "shape": shape, "dtype_numpy": kind}
        return descriptor


def spectral_run(**options: Any) -> SpectralRun:
    return SpectralRun(MASKS, **options)
