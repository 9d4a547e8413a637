"""Records the masks of a plate as they are in the beam.

The start document has ``technique: "mask_calibration"`` and the entry::

    "masks": {
      "mask_set": identity,                 # of the plate that was mounted: the design
      "mask_shape": [h, w], "mask_pixel_um": 10.0,
      "order": [index, ...],                # frame n (from 1) of the stream shows mask order[(n - 1) // exposures]
      "exposures": n,
      "frames": {"stream": "frames", "image": key, "number": key},     # as of every series of frames
      "shape": [H, W],                      # of a frame
      "darks": "darks" or None, "flats": "flats" or None,              # streams of the same run; flats without the plate
      "positions": {"stream": "positions", "mask_index": key, "offset": [key y, key x], "monitor": key or None},
                                            # an event a mask, in that order; offset in um, counts of the incident-beam monitor
      "rate_hz": 10.0, "exposure_s": 0.1, "pixel_um": 10.0, "saturation_counts": int or None
    }

A frame that was lost leaves a gap in the numbers and shifts no other. A run that was stopped holds the first masks of the order.
"""

# Annotations stay objects here: queueserver reads parameter types from them and cannot use strings.
import typing

from bluesky.protocols import Flyable, Movable, Readable
from bluesky.utils import MsgGenerator

from plans.mask_calibration_request import check_mask_calibration
from plans.mask_calibration_stubs import mask_calibration_run
from plans.metadata import mask_calibration_metadata
from plans.preprocessors import checked_plan
from plans.request import check_md
from plans.series_stubs import frame_arguments


@checked_plan
def mask_calibration(
    camera: Flyable,
    mask_stage: Movable,
    masks: str,
    *,
    indices: list[int] | None = None,
    exposures: int = 4,
    rate_hz: float = 10.0,
    exposure_s: float | None = None,
    darks: int = 20,
    flats: int = 20,
    out_um: tuple[float, float] | None = None,
    monitor: Readable | None = None,
    shutter: Movable | None = None,
    md: dict[str, typing.Any] | None = None,
) -> MsgGenerator[str]:
    """Take frames of each mask at the place where a ghost scan has it in the beam.

    Take the sample out first. Everything is checked where it is called, before anything moves. The frames of all masks are one
    stream in one file; a pause stops the camera, which takes the frames that are left after it; a calibration that is stopped is
    a valid one of fewer masks. The shutter ends closed whatever happens.

    Parameters
    ----------
    camera : device
        An imaging detector behind the masks: the X-ray camera, or the dual camera without beam splitters.
    mask_stage : device
        Carries the mask plate.
    masks : str
        The mounted plate, by its name or the beginning of its identity.
    indices : list of int, optional
        Which masks, in this order. Default: all, as they lie on the plate.
    exposures : int
        Frames of each mask.
    rate_hz : float
        Frames a second.
    exposure_s : float, optional
        Exposure of each frame in s. Default: as long as the camera can.
    darks : int
        Frames with the shutter closed, taken first.
    flats : int
        Frames of the light alone, without the plate, taken next.
    out_um : tuple, optional
        Where the mask stage takes the plate out of the light for flats, (y, x) in um. It is brought back.
    monitor : device, optional
        A bucket detector with an incident-beam monitor, such as the diode. It counts before the frames of each mask, for as long
        as they take, and the frames are divided by its counts. Without it the beam must be steady.
    shutter : device, optional
        Opened for masks and flats, closed for darks and at the end. A session has its own as the default.
    md : dict, optional
        Metadata for the start document.

    Returns
    -------
    str
        Uid of the run.

    Raises
    ------
    ValueError
        If something that is asked for cannot be right or cannot be done; nothing has moved then.
    MaskNotReached, FrameFileError, DetectorError, StageFailed, ShutterFailed
        If the hardware fails. What was taken until then stays a valid run.
    """
    user_md = check_md(md)
    request = check_mask_calibration(
        camera,
        mask_stage,
        masks,
        indices=indices,
        exposures=exposures,
        rate_hz=rate_hz,
        exposure_s=exposure_s,
        darks=darks,
        flats=flats,
        out_um=out_um,
        monitor=monitor,
        shutter=shutter,
    )
    plan_args = {
        "camera": request.series.camera.name,
        "mask_stage": request.mask_stage.name,
        "masks": request.mask_stage.plate.name,
        "indices": None if indices is None else request.order,
        "exposures": request.exposures,
        "monitor": getattr(request.monitor, "name", None),
        **frame_arguments(request.series, exposure_s),
    }
    return mask_calibration_run(request, mask_calibration_metadata(request, plan_args, user_md))
