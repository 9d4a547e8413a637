"""Builds the start documents."""

from __future__ import annotations

from typing import Any

from beamline.frames.values import ZonePlate
from plans.fly_request import FlyScanRequest
from plans.mask_calibration_request import MaskCalibrationRequest
from plans.protocols import PairCamera, RadiographCamera, SpectrumDetector
from plans.ptycho_request import PtychoScanRequest
from plans.raster_request import RasterRequest
from plans.request import GhostScanRequest
from plans.series_request import SeriesRequest
from plans.tomo_request import TomoRequest

TECHNIQUE = "ghost_imaging"


def ghost_scan_metadata(request: GhostScanRequest, plan_args: dict[str, Any], md: dict[str, Any]) -> dict[str, Any]:
    """Build what `ghost_scan` adds to its start document.

    Parameters
    ----------
    request : GhostScanRequest
    plan_args : dict
        The arguments as they were given, with names for devices.
    md : dict
        The user's metadata, which win.

    Returns
    -------
    dict
        With `ghost` telling a reconstruction where in the events it finds what.
    """
    stage = request.mask_stage
    plate = stage.plate
    spectra = next((detector for detector in request.buckets if isinstance(detector, SpectrumDetector)), None)
    # What tells of the light, and of the dark, is what counts: the spectrometer alone tells neither.
    bucket = next((detector for detector in request.buckets if detector is not spectra), request.buckets[0])
    metadata: dict[str, Any] = {
        "plan_name": "ghost_scan",
        "plan_args": plan_args,
        "technique": TECHNIQUE,
        "detectors": [detector.name for detector in request.detectors],
        "motors": [stage.name],
        "num_points": len(request.indices),
        "num_intervals": len(request.indices) - 1,
        "hints": {"dimensions": [(["time"], "primary")]},
        "mask_set": plate.identity,
        "ghost": {
            "buckets": [key for detector in request.buckets for key in detector.bucket_keys],
            "monitor": bucket.monitor_key,
            "time": bucket.time_key,
            "mask_index": stage.index.name,
            "offset": [stage.offset_y_um.name, stage.offset_x_um.name],
            "shape": list(plate.shape),
            "pixel_size_um": plate.pixel_size_um,
            "exposure": request.exposure,
            "may_be_negative": bucket.may_be_negative,
            "dark_stream": "dark" if request.dark_num else None,
            "open_beam_ratio": bucket.open_beam_ratio,
            "photons_per_monitor_count": getattr(bucket, "photons_per_monitor_count", None),
            "offset_tolerance_um": stage.offset_tolerance_um,
            "saturation_counts": bucket.saturation_counts(request.exposure),
            "order": request.order,
            "indices": list(request.indices),
            "pairs": request.complement,
        },
    }
    if spectra is not None:
        metadata["ghost"]["spectra"] = spectra.spectra_entry()
    if request.recipes:
        metadata["recipes"] = request.recipes
    return metadata | md


def exposures_metadata(
    plan_name: str, stream: str, detectors: list[str], num: int, plan_args: dict[str, Any], md: dict[str, Any]
) -> dict[str, Any]:
    """Build what a plan that moves nothing adds to its start document; its `num` exposures are in the stream `stream`."""
    metadata = {
        "plan_name": plan_name,
        "plan_args": plan_args,
        "technique": TECHNIQUE,
        "detectors": detectors,
        "num_points": num,
        "num_intervals": num - 1,
        "hints": {"dimensions": [(["time"], stream)]},
    }
    return metadata | md


def fly_scan_metadata(request: FlyScanRequest, plan_args: dict[str, Any], md: dict[str, Any]) -> dict[str, Any]:
    """Build what `fly_scan` adds to its start document.

    Parameters
    ----------
    request : FlyScanRequest
    plan_args : dict
        The arguments as they were given, with names for devices.
    md : dict
        The user's metadata, which win.

    Returns
    -------
    dict
        With `ptychography` telling a reconstruction where it finds frames and positions, and what light they are of.
    """
    scan = request.scan
    grid = {"y_um": list(scan.y_um), "x_um": list(scan.x_um), "snake": scan.snake}
    timing = {"rate_hz": scan.rate_hz, "exposure_s": scan.exposure_s}
    return _frames_metadata("fly_scan", request, scan.num_points, grid, timing, plan_args) | md


def ptycho_scan_metadata(request: PtychoScanRequest, plan_args: dict[str, Any], md: dict[str, Any]) -> dict[str, Any]:
    """Build what `ptycho_scan` adds to its start document: what `fly_scan` does, without a rate."""
    grid = {"y_um": list(request.y_um), "x_um": list(request.x_um), "snake": False}
    timing = {"rate_hz": None, "exposure_s": request.exposure_s}
    return _frames_metadata("ptycho_scan", request, len(request.places_um), grid, timing, plan_args) | md


def _frames_metadata(
    plan_name: str,
    request: FlyScanRequest | PtychoScanRequest,
    num: int,
    grid: dict[str, Any],
    timing: dict[str, Any],
    plan_args: dict[str, Any],
) -> dict[str, Any]:
    detector, box, stage = request.detector, request.trigger_box, request.stage
    keys, optics = box.keys, detector.optics
    metadata = {
        "plan_name": plan_name,
        "plan_args": plan_args,
        "technique": "ptychography",
        "detectors": [detector.name],
        "motors": [stage.y.name, stage.x.name],
        "num_points": num,
        "num_intervals": num - 1,
        "hints": {"dimensions": [(["time"], "positions")]},
        "ptychography": {
            "frames": {"stream": "frames", "image": detector.image_key, "number": detector.number_key},
            "positions": {
                "stream": "positions",
                "number": keys["number"],
                "y": keys["y"],
                "x": keys["x"],
                "monitor": None,
                "time": keys["time"],
            },
            "shape": list(request.shape),
            "grid": grid,
            **timing,
            "energy_kev": optics.energy_kev,
            "distance_mm": optics.distance_mm,
            "detector_pixel_um": optics.pixel_um,
            "geometry": optics.geometry,
            "saturation_counts": detector.saturation_counts,
            **_probe(optics.zone_plate),
        },
    }
    if request.recipes:
        metadata["recipes"] = request.recipes
    return metadata


def _probe(zone_plate: ZonePlate | None) -> dict[str, Any]:
    """What a reconstruction may begin the probe with."""
    if zone_plate is None:
        return {}
    return {
        "probe": {
            "zone_plate_diameter_um": zone_plate.diameter_um,
            "outermost_zone_nm": zone_plate.outermost_zone_nm,
            "central_stop_um": zone_plate.central_stop_um,
            "defocus_mm": zone_plate.defocus_mm,
        }
    }


def series_metadata(
    plan_name: str, request: SeriesRequest, plan_args: dict[str, Any], md: dict[str, Any], kind: str | None = None
) -> dict[str, Any]:
    """Build what a plan that takes a series of frames adds to its start document.

    Parameters
    ----------
    plan_name : str
    request : SeriesRequest
    plan_args : dict
        The arguments as they were given, with names for devices.
    md : dict
        The user's metadata, which win.
    kind : str, optional
        What a run holds that is no plain series: "dark_flat" or "static".

    Returns
    -------
    dict
        With `pairs` or `radiographs`, whichever the camera takes, telling a reconstruction where it finds frames, and how they
        were taken.
    """
    camera, entry = request.camera, _frames_entry(request)
    if isinstance(camera, PairCamera):
        halves = None if camera.halves is None else [list(window) for window in camera.halves]
        technique = "pairs"
        entry |= {"pairing": camera.pairing, "halves": halves, "static": request.static}
    else:
        technique = "radiographs"
        static = "frames" if request.static and request.num else _named(request, "static")
        entry |= {"static": static, "angles": None, "kernel": _kernel(request)}
    if kind is not None:
        entry["kind"] = kind
    num = request.num or request.darks + request.flats
    stream = "frames" if request.num else next(iter(request.streams))
    return _camera_metadata(plan_name, technique, request, num, stream, plan_args) | {technique: entry} | md


def tomo_scan_metadata(request: TomoRequest, plan_args: dict[str, Any], md: dict[str, Any]) -> dict[str, Any]:
    """Build what `tomo_scan` adds to its start document: what a series of radiographs has, and where the angles are."""
    series, box = request.series, request.trigger_box
    entry = _frames_entry(series) | {
        "static": None,
        "angles": {"stream": box.stream, "number": box.keys["number"], "angle": box.keys["angle"]},
        "kernel": _kernel(series),
        "rotation": {
            "mode": request.mode,
            "order": request.order,
            "rounds": len(request.rounds),
            "first_deg": request.first_deg,
            "span_deg": request.span_deg,
        },
    }
    metadata = _camera_metadata("tomo_scan", "radiographs", series, series.num, box.stream, plan_args)
    return metadata | {"motors": [request.stage.angle.name], "radiographs": entry} | md


def mask_calibration_metadata(request: MaskCalibrationRequest, plan_args: dict[str, Any], md: dict[str, Any]) -> dict[str, Any]:
    """Build what `mask_calibration` adds to its start document; `plans.mask_calibration` says what is in its entry."""
    stage = request.mask_stage
    plate = stage.plate
    entry = _frames_entry(request.series) | {
        "mask_set": plate.identity,
        "mask_shape": list(plate.shape),
        "mask_pixel_um": plate.pixel_size_um,
        "order": list(request.order),
        "exposures": request.exposures,
        "positions": {
            "stream": "positions",
            "mask_index": stage.index.name,
            "offset": [stage.offset_y_um.name, stage.offset_x_um.name],
            "monitor": None if request.monitor is None else request.monitor.monitor_key,
        },
    }
    num = request.series.num
    metadata = _camera_metadata("mask_calibration", "mask_calibration", request.series, num, "frames", plan_args)
    return metadata | {"motors": [stage.name], "mask_set": plate.identity, "masks": entry} | md


def raster_scan_metadata(request: RasterRequest, plan_args: dict[str, Any], md: dict[str, Any]) -> dict[str, Any]:
    """Build what `raster_scan` adds to its start document, with `raster` telling where the events hold what."""
    stage = request.stage
    spectra = next((detector for detector in request.buckets if isinstance(detector, SpectrumDetector)), None)
    counting = next((detector for detector in request.buckets if detector is not spectra), None)
    metadata: dict[str, Any] = {
        "plan_name": "raster_scan",
        "plan_args": plan_args,
        "technique": "raster",
        "detectors": [detector.name for detector in request.detectors],
        "motors": [stage.y.name, stage.x.name],
        "num_points": request.num,
        "num_intervals": request.num - 1,
        "hints": {"dimensions": [(["time"], "primary")]},
        "raster": {
            "stream": "primary",
            "buckets": [key for detector in request.buckets for key in detector.bucket_keys],
            "monitor": None if counting is None else counting.monitor_key,
            "spectra": None if spectra is None else spectra.spectra_entry(),
            "y": stage.place.y_um.name,
            "x": stage.place.x_um.name,
            "grid": {"y_um": list(request.y_um), "x_um": list(request.x_um), "snake": request.snake},
            "mode": request.mode,
            "exposure": request.exposure,
            "beam_um": None if request.pinhole is None else request.pinhole.size_um,
        },
    }
    if request.recipes:
        metadata["recipes"] = request.recipes
    return metadata | md


def _camera_metadata(
    plan_name: str, technique: str, request: SeriesRequest, num: int, stream: str, plan_args: dict[str, Any]
) -> dict[str, Any]:
    metadata = {
        "plan_name": plan_name,
        "plan_args": plan_args,
        "technique": technique,
        "detectors": [request.camera.name],
        "num_points": num,
        "num_intervals": num - 1,
        "hints": {"dimensions": [(["time"], stream)]},
    }
    if request.recipes:
        metadata["recipes"] = request.recipes
    return metadata


def _frames_entry(request: SeriesRequest) -> dict[str, Any]:
    """The part of every technique's entry that describes the camera's frames."""
    camera = request.camera
    return {
        "frames": {"stream": "frames", "image": camera.image_key, "number": camera.number_key},
        "shape": list(request.shape),
        "darks": _named(request, "darks"),
        "flats": _named(request, "flats"),
        "rate_hz": request.rate_hz,
        "exposure_s": request.exposure_s,
        "pixel_um": camera.pixel_um,
        "saturation_counts": camera.saturation_counts,
    }


def _named(request: SeriesRequest, stream: str) -> str | None:
    """The name of a stream, if the run has it."""
    return stream if stream in request.streams else None


def _kernel(request: SeriesRequest) -> str | None:
    """Identity of the kernel of a scintillator, if it is known."""
    return request.camera.kernel if isinstance(request.camera, RadiographCamera) else None
