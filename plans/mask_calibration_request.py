"""Checks what a calibration of masks is asked to be, before anything moves and before a run is opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from plans.protocols import BucketDetector, MaskPositioner, PairCamera, Plate
from plans.refusal import PlanRequestError
from plans.request import check_count, check_device, check_masks, choose_indices
from plans.series_request import SeriesRequest, check_series

_MOST_EXPOSURES = 1000


@dataclass(frozen=True)
class MaskCalibrationRequest:
    """A calibration of masks that has been checked.

    Parameters
    ----------
    series : SeriesRequest
        Camera, darks and flats; its `num` is that of all frames of masks.
    mask_stage : MaskPositioner
    order : list of int
        The masks, as they come.
    exposures : int
        Frames of each.
    monitor : BucketDetector, optional
        Counts the incident light before the frames of each mask.
    """

    series: SeriesRequest
    mask_stage: MaskPositioner
    order: list[int]
    exposures: int
    monitor: BucketDetector | None

    @property
    def monitor_s(self) -> float:
        """Time for which the monitor counts: that of the frames of a mask."""
        return self.exposures / self.series.rate_hz


def check_mask_calibration(
    camera: Any,
    mask_stage: Any,
    masks: Any,
    *,
    indices: Any,
    exposures: Any,
    rate_hz: Any,
    exposure_s: Any,
    darks: Any,
    flats: Any,
    out_um: Any,
    monitor: Any,
    shutter: Any,
) -> MaskCalibrationRequest:
    """Check all that a calibration is asked for; see `plans.mask_calibration.mask_calibration`.

    Raises
    ------
    PlanRequestError
        If a parameter cannot be right.
    ValueError
        If a mask is not on the plate or the stage may not go there.
    """
    check_device(mask_stage, MaskPositioner, "mask_stage")
    plate = check_masks(mask_stage, masks)
    if indices is None:
        indices = range(len(plate))
    chosen, _ = choose_indices(plate, None, indices, "given", 0)
    order = mask_stage.check_indices(chosen)
    repeated = sorted({index for index in order if order.count(index) > 1}) if len(set(order)) < len(order) else []
    if repeated:
        raise PlanRequestError(f"indices: mask {repeated[0]} comes more than once: ask for more exposures of each mask instead")
    each = check_count(exposures, "exposures", most=_MOST_EXPOSURES)
    if why := mask_stage.why_not_ready():
        raise PlanRequestError(f"{mask_stage.name} is not ready: {why}")
    if isinstance(camera, PairCamera) and camera.halves is not None:
        raise PlanRequestError(
            f"camera: {camera.name} sees the masks twice through its beam splitters: take those out and set "
            f'[{camera.name}] pairing = "consecutive", or take another camera'
        )
    series = check_series(
        camera,
        parameter="camera",
        num=len(order) * each,
        rate_hz=rate_hz,
        exposure_s=exposure_s,
        darks=darks,
        flats=flats,
        static=True,
        sample_stage=mask_stage,
        out_um=out_um,
        carried="the plate",
        shutter=shutter,
    )
    if not series.flats:
        raise PlanRequestError("flats is 0, but frames of the light without the plate are needed for the transmission")
    if series.out_um is not None and (mask := _mask_in_light(plate, series.out_um)) is not None:
        raise PlanRequestError(
            f"out_um: with {mask_stage.name} at (y, x) = ({series.out_um[0]:g}, {series.out_um[1]:g}) um mask {mask} is in the "
            "light: choose a position at which the whole plate is out"
        )
    request = MaskCalibrationRequest(series, mask_stage, order, each, monitor)
    if monitor is not None:
        check_device(monitor, BucketDetector, "monitor")
        if monitor.monitor_key is None:
            raise PlanRequestError(f"monitor: {monitor.name} has no incident-beam monitor")
        if why := monitor.why_impossible(request.monitor_s):
            raise PlanRequestError(f"monitor: {why}")
    return request


def _mask_in_light(plate: Plate, out_um: tuple[float, float]) -> int | None:
    """Return a mask of which a part is in the light with the stage at `out_um`; None if there is none."""
    size_um = np.array(plate.shape) * plate.pixel_size_um
    masks = np.flatnonzero((np.abs(plate.positions_mm * 1000 - out_um) < size_um).all(axis=1))
    return int(masks[0]) if len(masks) else None
