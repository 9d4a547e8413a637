"""The X-ray fluorescence spectrometer: several detector elements, with an MCA record each, that are started together."""

from __future__ import annotations

import contextlib
import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from ophyd import Component as Cpt
from ophyd import Device, EpicsSignal, EpicsSignalRO, Signal
from ophyd import DynamicDeviceComponent as ManyCpt
from ophyd.mca import EpicsMCARecord

from beamline.buckets.one_shot import OneShotBucket


class McaElement(EpicsMCARecord):
    """The MCA record of one detector element."""

    spectrum = Cpt(EpicsSignalRO, ".VAL", auto_monitor=False, kind="omitted")
    elapsed_real_time = Cpt(EpicsSignalRO, ".ERTM", auto_monitor=False, kind="omitted")
    elapsed_live_time = Cpt(EpicsSignalRO, ".ELTM", auto_monitor=False, kind="omitted")
    used_bins = Cpt(EpicsSignalRO, ".NUSE", kind="omitted")
    preset_real_time = None  # all are preset together
    rois = None  # 32 regions with four PVs each: the reconstruction has its own


class ElementRates(Device):
    """What the electronics of one detector element count."""

    input_rate = Cpt(EpicsSignalRO, "InputCountRate", auto_monitor=False, kind="omitted")
    output_rate = Cpt(EpicsSignalRO, "OutputCountRate", auto_monitor=False, kind="omitted")


class XrfSpectrometer(OneShotBucket):
    """A fluorescence detector whose spectra are the buckets: one image for each chemical element.

    Its data keys are the device's name (counts in all spectra), `..._spectra` (E, bins), and for each of E detector elements
    `..._real_time`, `..._live_time` (s), `..._input_rate` and `..._output_rate` (Hz). Make one with `make_xrf_spectrometer`,
    which knows how many elements it has.

    An exposure that does not finish in time, or of which a spectrum does not have as many bins as it should, ends all the same:
    its spectra are then zeros with NaN for the times, and `lost` is 1, so that a plan may repeat it.

    Parameters
    ----------
    bins : int
        Bins of each spectrum.
    elements : sequence of str
        Chemical elements to image, such as ["Fe", "Cu"]. Everything else that fluoresces should be named too: what is left out
        counts for something else.
    energy_kev : float
        Energy of the beam.
    offset_kev, slope_kev : float
        Energy of bin 0 and of one bin, within 3 %.
    lowest_kev : float
        Lowest energy that is looked at.
    buckets : {"fit", "regions"}
        Whether the counts of an element are fitted, or added up around its strongest line.
    count_margin_s : float
        See `OneShotBucket`.
    """

    num_elements: int

    exposure = Cpt(EpicsSignal, "PresetReal", kind="config")
    preset_mode = Cpt(EpicsSignal, "PresetMode", string=True, kind="config")
    erase_start = Cpt(EpicsSignal, "EraseStart", kind="omitted")
    stop_all = Cpt(EpicsSignal, "StopAll", kind="omitted")
    bucket = Cpt(Signal, value=math.nan, kind="hinted", doc="Counts in all spectra")

    def __init__(
        self,
        prefix: str,
        *,
        bins: int = 4096,
        elements: Sequence[str] = ("Fe", "Cu"),
        energy_kev: float = 11.1,
        offset_kev: float = 0.0,
        slope_kev: float = 0.005,
        lowest_kev: float = 1.0,
        buckets: str = "fit",
        **kwargs: Any,
    ):
        self.bins = bins
        self.elements = tuple(elements)
        self.energy_kev = energy_kev
        self.offset_kev, self.slope_kev, self.lowest_kev = offset_kev, slope_kev, lowest_kev
        self.buckets = buckets
        super().__init__(prefix, **kwargs)
        # No spectrum holds what the diode's ratio is about, whatever the configuration says of that.
        self.open_beam_ratio = None
        self.stage_sigs["preset_mode"] = "Real time"

    @property
    def bucket_keys(self) -> list[str]:
        """No data key holds a bucket: they follow from the spectra."""
        return []

    def spectra_entry(self) -> dict[str, Any]:
        """What the start document says of the spectra."""
        return {
            "counts": f"{self.name}_spectra",
            "real_time": f"{self.name}_real_time",
            "live_time": f"{self.name}_live_time",
            "detector_elements": self.num_elements,
            "bins": self.bins,
            "elements": list(self.elements),
            "energy_kev": self.energy_kev,
            "offset_kev": self.offset_kev,
            "slope_kev": self.slope_kev,
            "lowest_kev": self.lowest_kev,
            "buckets": self.buckets,
        }

    def why_impossible(self, exposure: float) -> str | None:
        """Say why it cannot expose for so many seconds, or what its spectra lack; None if it can."""
        for number, mca in enumerate(self._mcas(), start=1):
            used = int(mca.used_bins.get())
            if used != self.bins:
                return (
                    f"{self.name}: detector element {number} sorts into {used} bins ({mca.used_bins.pvname}), and "
                    f"[xrf_spectrometer] bins is {self.bins}: make them equal"
                )
        return why_not_seen(self.elements, self.energy_kev)

    def read(self) -> dict[str, Any]:
        """Read the last exposure; zeros and NaN if it did not finish."""
        spectra = np.zeros((self.num_elements, self.bins), dtype=np.int32)
        numbers = {word: np.full(self.num_elements, math.nan) for word in _UNITS}
        stamps = []
        for number, (mca, rates) in enumerate(zip(self._mcas(), self._rates(), strict=True)):
            if self.lost.get():
                break
            counts = np.asarray(mca.spectrum.get())
            stamps.append(mca.spectrum.timestamp)
            if counts.shape != (self.bins,):
                self._give_up(ValueError(f"the spectrum of detector element {number + 1} has the shape {counts.shape}"))
                continue
            spectra[number] = counts
            signals = (mca.elapsed_real_time, mca.elapsed_live_time, rates.input_rate, rates.output_rate)
            for values, signal in zip(numbers.values(), signals, strict=True):
                values[number] = signal.get()
        time = max(stamps, default=self.lost.timestamp)
        total = math.nan if self.lost.get() else float(spectra.sum(dtype=np.int64))
        readings = {
            self.name: total,
            f"{self.name}_spectra": spectra,
            **{f"{self.name}_{word}": numbers[word] for word in numbers},
        }
        return {key: {"value": value, "timestamp": time} for key, value in readings.items()}

    def describe(self) -> dict[str, Any]:
        """Describe what `read` returns."""
        source = f"PV:{self.prefix}"
        described = {
            self.name: {"source": source, "dtype": "number", "shape": [], "dtype_numpy": "<f8", "units": "counts"},
            f"{self.name}_spectra": {
                "source": f"{source}mca", "dtype": "array", "shape": [self.num_elements, self.bins], "dtype_numpy": "<i4",
                "units": "counts",
            },
        }  # fmt: skip
        for word, units in _UNITS.items():
            described[f"{self.name}_{word}"] = {
                "source": source, "dtype": "array", "shape": [self.num_elements], "dtype_numpy": "<f8", "units": units,
            }  # fmt: skip
        return described

    @property
    def hints(self) -> dict[str, Any]:
        """The counts of all spectra are worth a curve."""
        return {"fields": [self.name]}

    @property
    def _start_signal(self) -> EpicsSignal:
        start: EpicsSignal = self.erase_start
        return start

    def _end(self) -> None:
        self.stop_all.put(1, wait=False)

    def _mcas(self) -> list[McaElement]:
        return [getattr(self.mcas, f"mca{number}") for number in range(1, self.num_elements + 1)]

    def _rates(self) -> list[ElementRates]:
        return [getattr(self.rates, f"dxp{number}") for number in range(1, self.num_elements + 1)]


_UNITS = {"real_time": "s", "live_time": "s", "input_rate": "Hz", "output_rate": "Hz"}


def make_xrf_spectrometer(prefix: str, num_elements: int, **options: Any) -> XrfSpectrometer:
    """Make a spectrometer with so many detector elements; `options` are those of `XrfSpectrometer`."""
    numbers = range(1, num_elements + 1)
    parts = {
        "num_elements": num_elements,
        "mcas": ManyCpt(OrderedDict((f"mca{n}", (McaElement, f"mca{n}", {})) for n in numbers), kind="omitted"),
        "rates": ManyCpt(OrderedDict((f"dxp{n}", (ElementRates, f"dxp{n}:", {})) for n in numbers), kind="omitted"),
    }
    spectrometer: XrfSpectrometer = type("XrfSpectrometer", (XrfSpectrometer,), parts)(prefix, **options)
    return spectrometer


def why_not_seen(elements: Sequence[str], energy_kev: float) -> str | None:
    """Say which chemical element doesn't exist, or has no line that a beam of this energy excites; None if all have."""
    import xraylib

    known = {xraylib.AtomicNumberToSymbol(number): number for number in range(1, 104)}
    for element in elements:
        symbol, _, series = element.partition("_")
        if symbol not in known or series not in ("", "K", "L", "M"):
            return f"[xrf_spectrometer] elements: {element!r} is not a chemical element; write symbols such as Cu, or Pb_L"
        if not any(0.1 < edge < energy_kev for edge in _edges(known[symbol], series or "KLM")):
            return f"[xrf_spectrometer] elements: a beam of {energy_kev:g} keV excites no line of {element}; leave it out"
    return None


def _edges(number: int, series: str) -> list[float]:
    """Energies (keV) of an atom's edges, of those shells that it has."""
    import xraylib

    shells = {"K": xraylib.K_SHELL, "L": xraylib.L3_SHELL, "M": xraylib.M5_SHELL}
    edges = []
    for name in series:
        with contextlib.suppress(ValueError):
            edges.append(float(xraylib.EdgeEnergy(number, shells[name])))
    return edges
