"""Ghost-imaging scans."""

# Annotations stay objects here: queueserver reads parameter types from them and cannot use strings.
import collections.abc
import typing

import bluesky.preprocessors as bpp
from bluesky.protocols import Movable, Readable
from bluesky.utils import MsgGenerator

from plans.metadata import ghost_scan_metadata
from plans.preprocessors import checked_plan, closed_shutter_decorator
from plans.request import check_ghost_scan, check_md
from plans.stubs import close_shutter, count_lost, declare, measure_dark, measure_realization, set_exposure


@checked_plan
def ghost_scan(
    detectors: collections.abc.Sequence[Readable],
    mask_stage: Movable,
    masks: typing.Union[str, typing.Any],  # noqa: UP007 - a plate too, but of that type queueserver can make no check
    *,
    num: int | None = None,
    exposure: float = 0.1,
    order: typing.Literal["sequency", "random", "given"] = "sequency",
    indices: list[int] | None = None,
    seed: int = 0,
    dark_num: int | None = None,
    shutter: Movable | None = None,
    close_between: bool = False,
    complement: bool = False,
    recipes: list[str | dict[str, typing.Any]] | None = None,
    per_step: collections.abc.Callable | None = None,
    md: dict[str, typing.Any] | None = None,
) -> MsgGenerator[str]:
    """Step through masks and measure the bucket of each.

    Everything is checked where it is called, before anything moves. Each realization makes one event in the stream "primary",
    also when its trigger was lost twice (the buckets are then NaN) so that event n belongs to the n-th index asked for. A scan
    that is stopped is a valid scan of fewer realizations. The shutter ends closed whatever happens.

    Parameters
    ----------
    detectors : sequence of devices
        What to trigger and read, with at least one bucket detector, such as [diode], [xrf_spectrometer], or both: then the
        monitor beside the diode tells the incident light of each spectrum.
    mask_stage : device
        The positioner that moves by mask index.
    masks : str or mask plate
        Which plate is expected on the stage: the plate itself, or (the way to name it in JSON) its name or the beginning
        of its identity. The scan is refused if another one is mounted.
    num : int, optional
        Number of realizations. Default: every mask once.
    exposure : float
        Exposure time of each realization in s.
    order : {"sequency", "random", "given"}
        From the coarsest pattern to the finest; in a random order by the seed; or as given by indices.
    indices : list of int, optional
        Measure exactly these masks in this order; masks may be repeated.
    seed : int
        Seed of the random order.
    dark_num : int, optional
        Exposures with the shutter closed, taken first into the stream "dark". Default: 10 if there is a shutter.
    shutter : device, optional
        Opened for each exposure and closed at the end. Default: the session's shutter.
    close_between : bool
        Whether to close the shutter after each exposure, to reduce the dose while masks move.
    complement : bool
        Whether each mask is followed by its complement, which the plate must have too. What both have in common, such as a beam
        that drifts, cancels in the reconstruction, which takes the difference. `num` then counts pairs.
    recipes : list of str or dict, optional
        Reconstructions to make, such as ["tv", {"method": "n2g", "options": {}}]. Default: those of the configuration.
    per_step : callable, optional
        A plan that measures one realization instead. It is called with detectors, mask stage and mask index, as in bluesky's
        plans for one motor, with the shutter open, and makes one event in "primary".
    md : dict, optional
        Metadata for the start document, such as {"sample": "CAS"}.

    Returns
    -------
    str
        Uid of the run.

    Raises
    ------
    ValueError
        If a parameter is impossible or a position cannot be reached; nothing has moved then.
    MaskNotReached, ShutterFailed, TriggersLost
        If the hardware fails. What was measured until then stays a valid run.
    """
    user_md = check_md(md)
    request = check_ghost_scan(
        detectors,
        mask_stage,
        masks,
        num=num,
        exposure=exposure,
        order=order,
        indices=indices,
        seed=seed,
        dark_num=dark_num,
        shutter=shutter,
        close_between=close_between,
        complement=complement,
        recipes=recipes,
        per_step=per_step,
    )
    plan_args = {
        "detectors": [detector.name for detector in request.detectors],
        "mask_stage": request.mask_stage.name,
        "masks": request.mask_stage.plate.name,
        "num": num,
        "exposure": request.exposure,
        "order": order,
        "indices": None if indices is None else list(request.indices),
        "seed": seed,
        "dark_num": dark_num,
        "shutter": getattr(request.shutter, "name", None),
        "close_between": close_between,
        "complement": complement,
        "recipes": request.recipes or None,
    }
    if per_step is not None:
        plan_args["per_step"] = getattr(per_step, "__qualname__", repr(per_step))

    @bpp.run_decorator(md=ghost_scan_metadata(request, plan_args, user_md))
    @bpp.stage_decorator([*request.detectors, request.mask_stage])
    @closed_shutter_decorator(request.shutter)
    def measure() -> MsgGenerator[None]:
        yield from set_exposure(request.buckets, request.exposure)
        if request.dark_num:
            yield from declare(request.detectors, "dark")
        if per_step is None:
            yield from declare([*request.detectors, request.mask_stage], "primary")
        if request.dark_num and request.shutter is not None:
            yield from close_shutter(request.shutter)
            yield from count_lost(measure_dark(request.detectors) for _ in range(request.dark_num))
        yield from count_lost(
            measure_realization(
                request.detectors,
                request.mask_stage,
                index,
                shutter=request.shutter,
                close_between=close_between,
                per_step=per_step,
            )
            for index in request.indices
        )

    def scan() -> MsgGenerator[str]:
        return (yield from measure())

    return scan()
