"""The steps of a calibration of masks."""

from __future__ import annotations

from typing import Any

import bluesky.preprocessors as bpp
from bluesky.utils import Msg, MsgGenerator

from plans.mask_calibration_request import MaskCalibrationRequest
from plans.preprocessors import closed_shutter_decorator
from plans.series_stubs import FRAMES, declare_frames, take_corrections, take_frames
from plans.stubs import declare, expose, move_to_mask, open_shutter, record, set_exposure

POSITIONS = "positions"


def mask_calibration_run(request: MaskCalibrationRequest, md: dict[str, Any]) -> MsgGenerator[str]:
    """Make one run of darks, flats and all masks. What came before a failure is kept, and the shutter ends closed."""
    stage, each, series = request.mask_stage, request.exposures, request.series
    monitors = [] if request.monitor is None else [request.monitor]

    # Staged before the run is opened: a camera that cannot write makes no run.
    @bpp.stage_decorator([series.camera, stage, *monitors])
    @bpp.run_decorator(md=md)
    @closed_shutter_decorator(series.shutter)
    def measure() -> MsgGenerator[None]:
        yield from set_exposure(monitors, request.monitor_s)
        yield from declare_frames(series)
        yield from declare([stage, *monitors], POSITIONS)
        yield from take_corrections(series)
        for number, index in enumerate(request.order):
            yield Msg("checkpoint")
            yield from move_to_mask(stage, index)
            if monitors:
                if series.shutter is not None:
                    yield from open_shutter(series.shutter)
                yield from expose(monitors)
            yield from record([stage, *monitors], POSITIONS)
            yield from take_frames(series, FRAMES, (number + 1) * each, lit=True, taken=number * each)

    return (yield from measure())
