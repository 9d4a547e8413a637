"""The steps of a calibration of masks."""

from __future__ import annotations

from typing import Any

import bluesky.preprocessors as bpp
from bluesky.utils import Msg, MsgGenerator

from plans.mask_calibration_request import MaskCalibrationRequest
from plans.preprocessors import closed_shutter_decorator
from plans.series_stubs import FRAMES, declare_frames, take_corrections, take_frames
from plans.stubs import declare, move_to_mask, record

POSITIONS = "positions"


def mask_calibration_run(request: MaskCalibrationRequest, md: dict[str, Any]) -> MsgGenerator[str]:
    """Make one run of darks, flats and all masks. What came before a failure is kept, and the shutter ends closed."""
    stage, each = request.mask_stage, request.exposures

    # Staged before the run is opened: a camera that cannot write makes no run.
    @bpp.stage_decorator([request.series.camera, stage])
    @bpp.run_decorator(md=md)
    @closed_shutter_decorator(request.series.shutter)
    def measure() -> MsgGenerator[None]:
        yield from declare_frames(request.series)
        yield from declare([stage], POSITIONS)
        yield from take_corrections(request.series)
        for number, index in enumerate(request.order):
            yield Msg("checkpoint")
            yield from move_to_mask(stage, index)
            yield from record([stage], POSITIONS)
            yield from take_frames(request.series, FRAMES, (number + 1) * each, lit=True, taken=number * each)

    return (yield from measure())
