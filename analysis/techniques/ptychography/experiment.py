"""The description of the experiment in a start document: geometry, motion and orientation, as the reconstruction needs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psutil

from analysis.ptychography.canvas import Canvas
from analysis.ptychography.geometry import KEV_UM, Geometry
from analysis.ptychography.orientation import ORIENTATIONS
from analysis.techniques.ptychography.layout import ENTRY, Layout


@dataclass(frozen=True)
class Experiment:
    """The experiment.

    Attributes
    ----------
    geometry : Geometry
    canvas : Canvas
        The pixels of the object.
    centred : bool
        Whether the direct beam is in the middle of frames; else at [0, 0]. Near-field frames count as centred.
    live_fraction : float
        Fraction of a trigger's time during which a frame is exposed and the sample moves; 0 for a sample at rest.
    orientation : str or None
        Orientation of the detector relative to the stage, if the start document gives it.
    bad_pixels : str or None
        Data set in the file of the frames that marks bad pixels.
    wavelength_um : float or None
        None if positions are in pixels of the object, or the energy is unknown.
    defocus_mm : float or None
        Distance of the sample behind the focus, for the optics that the start document names.
    in_pixels : bool
        Whether positions are in pixels of the object, whose size is unknown.
    """

    geometry: Geometry
    canvas: Canvas
    centred: bool
    live_fraction: float
    orientation: str | None
    bad_pixels: str | None
    wavelength_um: float | None
    defocus_mm: float | None
    in_pixels: bool

    @classmethod
    def of(cls, start: Mapping[str, Any], layout: Layout, padding: int | None = None) -> Experiment:
        """Read it from a start document.

        Parameters
        ----------
        start : mapping
        layout : Layout
        padding : int, optional
            Far field: side in pixels to which frames are padded; the additional pixels count as not measured.

        Raises
        ------
        ValueError
            If something required is missing; the message says what.
        """
        entry = start[ENTRY]
        geometry = _geometry(entry, layout, padding)
        bounds = [sorted(axis[:2]) for axis in (layout.grid.y_um, layout.grid.x_um)]
        side = max(geometry.shape) * geometry.pixel_um
        steps = [size if size is not None else side / 4 for size in layout.pixel_size_um]
        canvas = Canvas.of(
            (bounds[0][0], bounds[1][0]), (bounds[0][1], bounds[1][1]), (steps[0], steps[1]), geometry.pixel_um, geometry.shape
        )
        _check_memory(canvas)
        orientation = entry.get("orientation")
        if orientation is not None and orientation not in ORIENTATIONS:
            raise ValueError(f'{ENTRY}["orientation"] must be one of {", ".join(ORIENTATIONS)}, not {orientation!r}')
        rate, exposure = entry.get("rate_hz"), entry.get("exposure_s")
        moving = start.get("plan_name") == "fly_scan" and isinstance(rate, int | float) and isinstance(exposure, int | float)
        return cls(
            geometry=geometry,
            canvas=canvas,
            centred=entry.get("zero_frequency") != "corner",
            live_fraction=min(1.0, float(rate) * float(exposure)) if moving else 0.0,
            orientation=orientation,
            bad_pixels=entry.get("bad_pixels"),
            wavelength_um=KEV_UM / float(entry["energy_kev"]) if entry.get("energy_kev") else None,
            defocus_mm=_defocus(entry),
            in_pixels=_in_pixels(entry),
        )


_BYTES_A_PIXEL = 40
"""Bytes per pixel of the object during reconstruction: the object, the mean of the last sweeps, the update, and the stored
arrays.
"""


def _check_memory(canvas: Canvas) -> None:
    rows, columns = canvas.shape
    needed, there = rows * columns * _BYTES_A_PIXEL, psutil.virtual_memory().total
    if needed > there:
        raise ValueError(
            f"the object would have {rows}x{columns} pixels of {1e3 * canvas.pixel_um:.3g} nm, for which epie needs "
            f"{needed / 1e9:.0f} GB of memory, and there are {there / 1e9:.0f} GB: are the positions in the right unit? "
            "Else scan or ingest a part of it"
        )


def _defocus(entry: Mapping[str, Any]) -> float | None:
    probe = entry.get("probe")
    told = probe.get("defocus_mm") if isinstance(probe, Mapping) else None
    return float(told) if isinstance(told, int | float) and not isinstance(told, bool) and abs(told) < 1e5 else None


def _in_pixels(entry: Mapping[str, Any]) -> bool:
    """Whether an ingested scan contains no lengths."""
    return entry.get("geometry") == "far_field" and not any(entry.get(key) for key in _LENGTHS)


_LENGTHS = ("energy_kev", "distance_mm", "detector_pixel_um")


def _geometry(entry: Mapping[str, Any], layout: Layout, padding: int | None) -> Geometry:
    kind = entry.get("geometry")
    shape = layout.shape
    if padding is not None:
        if kind != "far_field" or padding < max(shape):
            raise ValueError(
                f"the option padding of epie is for scans in the far field, from their {max(shape)} pixels on, not {padding}: "
                "leave it out"
            )
        shape = (padding, padding)
    told = {key: entry.get(key) for key in _LENGTHS}
    known = {key: float(value) for key, value in told.items() if isinstance(value, int | float) and 0 < value < float("inf")}
    if _in_pixels(entry):  # ingested positions in pixels of the object count as um
        return Geometry((max(shape),) * 2, max(layout.shape) / max(shape))
    missing = [f'{ENTRY}["{key}"]' for key in _LENGTHS if key not in known]
    if kind not in ("far_field", "near_field"):
        missing.insert(0, f'{ENTRY}["geometry"]')
    if missing:
        raise ValueError(
            f"epie needs {', '.join(missing)} in the start document: where energy, distance and detector pixel are not known, "
            "object and probe cannot be computed (the maps of `sums` can)"
        )
    energy, distance, pixel = known["energy_kev"], known["distance_mm"] * 1e3, known["detector_pixel_um"]
    if kind == "far_field":
        return Geometry.far_field(shape, energy, distance, pixel)
    focus = entry.get("focus_to_sample_mm")
    return Geometry.near_field(layout.shape, energy, distance, pixel, None if focus is None else float(focus) * 1e3)
