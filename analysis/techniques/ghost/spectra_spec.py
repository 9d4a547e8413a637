"""The description in a start document of the spectra that contain the buckets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.documents.refusal import RunRefused
from analysis.spectra.buckets import SpectraSetup
from analysis.spectra.lines import ElementUnknown
from analysis.spectra.response import Calibration


@dataclass(frozen=True)
class SpectraSpec:
    """ghost["spectra"]: the location of the spectra, and their known properties.

    Attributes
    ----------
    counts, real_time, live_time : str
        Data keys of the spectra (detector elements, bins), and of the times of each detector element (s).
    setup : SpectraSetup
    """

    counts: str
    real_time: str
    live_time: str
    setup: SpectraSetup

    @classmethod
    def of(cls, entry: Any) -> SpectraSpec:
        """Read it from ghost["spectra"].

        Raises
        ------
        RunRefused
            If something required is missing or of the wrong kind.
        """
        if not isinstance(entry, Mapping):
            raise RunRefused(f'the entry "spectra" must say where the spectra are, not {entry!r:.80}')
        counts, real_time, live_time = (_key(entry, name) for name in ("counts", "real_time", "live_time"))
        elements = entry.get("elements")
        if not (isinstance(elements, (list, tuple)) and elements and all(isinstance(one, str) for one in elements)):
            raise RunRefused(
                f'the entry "spectra": elements must list chemical elements such as ["Fe", "Cu"], not {elements!r:.80}'
            )
        setup = SpectraSetup(
            elements=tuple(dict.fromkeys(elements)),
            beam_kev=_number(entry, "energy_kev", least=0.1),
            start=Calibration(_number(entry, "offset_kev", least=-100.0), _number(entry, "slope_kev", least=1e-6)),
            bins=_count(entry, "bins"),
            detector_elements=_count(entry, "detector_elements"),
            lowest_kev=_number(entry, "lowest_kev", least=0.0),
            regions=entry.get("buckets") == "regions",
        )
        try:
            setup.check()
        except ElementUnknown as error:
            raise RunRefused(f'the entry "spectra": {error}') from error
        return cls(counts, real_time, live_time, setup)


def _key(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str):
        raise RunRefused(f'the entry "spectra": {name} must name a data key, not {value!r:.80}')
    return value


def _number(entry: Mapping[str, Any], name: str, *, least: float) -> float:
    value = entry.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < least:
        raise RunRefused(f'the entry "spectra": {name} must be a number from {least:g}, not {value!r:.80}')
    return float(value)


def _count(entry: Mapping[str, Any], name: str) -> int:
    value = entry.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65_536:
        raise RunRefused(f'the entry "spectra": {name} must be a whole number from 1, not {value!r:.80}')
    return value
