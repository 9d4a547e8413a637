"""Builds the start documents."""

from __future__ import annotations

from typing import Any

from beamline.frames.values import ZonePlate
from plans.fly_request import FlyScanRequest
from plans.pair_request import PairRequest
from plans.protocols import SpectrumDetector
from plans.ptycho_request import PtychoScanRequest
from plans.request import GhostScanRequest

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
            "offset_tolerance_um": stage.offset_tolerance_um,
            "saturation_counts": bucket.saturation_counts(request.exposure),
            "order": request.order,
            "indices": list(request.indices),
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


def pairs_metadata(
    plan_name: str, request: PairRequest, plan_args: dict[str, Any], md: dict[str, Any], kind: str | None = None
) -> dict[str, Any]:
    """Build what a plan that takes frame pairs adds to its start document.

    Parameters
    ----------
    plan_name : str
    request : PairRequest
    plan_args : dict
        The arguments as they were given, with names for devices.
    md : dict
        The user's metadata, which win.
    kind : str, optional
        What a run holds that is no plain series: "dark_flat" or "static".

    Returns
    -------
    dict
        With `pairs` telling a reconstruction where it finds frames, which of them are pairs, and how they were taken.
    """
    camera = request.camera
    num = request.num or request.darks + request.flats
    metadata = {
        "plan_name": plan_name,
        "plan_args": plan_args,
        "technique": "pairs",
        "detectors": [camera.name],
        "num_points": num,
        "num_intervals": num - 1,
        "hints": {"dimensions": [(["time"], "frames" if request.num else "darks" if request.darks else "flats")]},
        "pairs": {
            "frames": {"stream": "frames", "image": camera.image_key, "number": camera.number_key},
            "pairing": camera.pairing,
            "halves": None if camera.halves is None else [list(window) for window in camera.halves],
            "shape": list(request.shape),
            "darks": "darks" if request.darks else None,
            "flats": "flats" if request.flats else None,
            "static": request.static,
            "rate_hz": request.rate_hz,
            "exposure_s": request.exposure_s,
            "pixel_um": camera.pixel_um,
            "saturation_counts": camera.saturation_counts,
        }
        | ({} if kind is None else {"kind": kind}),
    }
    if request.recipes:
        metadata["recipes"] = request.recipes
    return metadata | md
