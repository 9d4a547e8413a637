"""What a start document says of the experiment that a reconstruction of object and probe needs: geometry, motion, orientation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
        Where the object lies.
    centred : bool
        Whether the direct beam is in the middle of frames; else at [0, 0]. Near-field frames count as centred.
    live_fraction : float
        Part of a trigger's time during which a frame is exposed and the sample moves; 0 for a sample that stands still.
    orientation : str or None
        How detector and stage lie to each other, where the start document says so.
    bad_pixels : str or None
        Data set in the file of the frames that marks bad pixels.
    wavelength_um : float or None
        None where positions are in pixels of the object.
    """

    geometry: Geometry
    canvas: Canvas
    centred: bool
    live_fraction: float
    orientation: str | None
    bad_pixels: str | None
    wavelength_um: float | None

    @classmethod
    def of(cls, start: Mapping[str, Any], layout: Layout) -> Experiment:
        """Read it from a start document.

        Raises
        ------
        ValueError
            If something needed is missing; the message says what.
        """
        entry = start[ENTRY]
        geometry = _geometry(entry, layout)
        bounds = [sorted(axis[:2]) for axis in (layout.grid.y_um, layout.grid.x_um)]
        side = max(geometry.shape) * geometry.pixel_um
        steps = [size if size is not None else side / 4 for size in layout.pixel_size_um]
        canvas = Canvas.of(
            (bounds[0][0], bounds[1][0]), (bounds[0][1], bounds[1][1]), (steps[0], steps[1]), geometry.pixel_um, geometry.shape
        )
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
        )


def _geometry(entry: Mapping[str, Any], layout: Layout) -> Geometry:
    kind = entry.get("geometry")
    keys = ("energy_kev", "distance_mm", "detector_pixel_um")
    told = {key: entry.get(key) for key in keys}
    known = {key: float(value) for key, value in told.items() if isinstance(value, int | float) and 0 < value < float("inf")}
    if kind == "far_field" and not any(told.values()):
        return Geometry((max(layout.shape),) * 2, 1.0)  # ingested positions in pixels of the object count as um
    missing = [f'{ENTRY}["{key}"]' for key in keys if key not in known]
    if kind not in ("far_field", "near_field"):
        missing.insert(0, f'{ENTRY}["geometry"]')
    if missing:
        raise ValueError(
            f"epie needs {', '.join(missing)} in the start document: where energy, distance and detector pixel are not known, "
            "object and probe cannot be computed (the maps of `sums` can)"
        )
    energy, distance, pixel = known["energy_kev"], known["distance_mm"] * 1e3, known["detector_pixel_um"]
    if kind == "far_field":
        return Geometry.far_field(layout.shape, energy, distance, pixel)
    focus = entry.get("focus_to_sample_mm")
    return Geometry.near_field(layout.shape, energy, distance, pixel, None if focus is None else float(focus) * 1e3)
