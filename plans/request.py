"""Checks the parameters of a plan before anything moves and before a run is opened."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bluesky.protocols import HasName, Readable

from analysis.documents.plain import NotPlain, plain_metadata
from plans.protocols import BeamShutter, BucketDetector, MaskPositioner, Plate
from plans.recipes import check_recipes
from plans.refusal import PlanRequestError

SHORTEST_EXPOSURE_S = 1e-5
LONGEST_EXPOSURE_S = 3600.0
MOST_REALIZATIONS = 1_000_000
ORDERS = ("sequency", "random", "given")
OWN_KEYS = (
    "ghost",
    "masks",
    "pairs",
    "ptychography",
    "radiographs",
    "raster",
    "mask_set",
    "num_points",
    "num_intervals",
    "recipes",
    "scan_id",
    "time",
    "uid",
)
MESSAGE_KEYS = ("command", "obj", "run")
"""What bluesky's message for opening a run uses itself."""


@dataclass(frozen=True)
class GhostScanRequest:
    """A ghost scan that has been checked.

    Parameters
    ----------
    detectors : tuple
        What to trigger and read.
    buckets : tuple of BucketDetector
        Those of the detectors that give buckets.
    mask_stage : MaskPositioner
    indices : list of int
        The mask of each realization.
    order : str
        How the masks were ordered.
    exposure : float
        Seconds.
    dark_num : int
        Dark exposures before the scan.
    complement : bool
        Whether each mask is followed by its complement.
    shutter : BeamShutter, optional
    recipes : list of dict
        Which reconstructions are asked for; empty where the worker is to choose.
    """

    detectors: tuple[Readable, ...]
    buckets: tuple[BucketDetector, ...]
    mask_stage: MaskPositioner
    indices: list[int]
    order: str
    exposure: float
    dark_num: int
    complement: bool
    shutter: BeamShutter | None
    recipes: list[dict[str, Any]]


def check_detectors(detectors: Any, **others: Any) -> tuple[tuple[Readable, ...], tuple[BucketDetector, ...]]:
    """Return all detectors, and those of them that give buckets.

    Parameters
    ----------
    detectors : iterable of devices
    **others : device or None
        What the plan drives itself, by parameter: neither that nor a part of it may be a detector too.
    """
    if isinstance(detectors, (str, bytes)) or not isinstance(detectors, Iterable):
        raise PlanRequestError(f"detectors must be a list of devices, such as [diode], not {detectors!r}")
    found = tuple(detectors)
    for detector in found:
        check_device(detector, Readable, "detectors")
        for parameter, other in others.items():
            if other is not None and _root(detector) is _root(other):
                raise PlanRequestError(f"detectors: {detector.name} belongs to the {parameter}, which the plan itself drives")
    names = [detector.name for detector in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise PlanRequestError(f"detectors: {', '.join(twice)} is listed more than once")
    buckets = tuple(detector for detector in found if isinstance(detector, BucketDetector))
    if not buckets:
        raise PlanRequestError(f"none of the detectors {names} gives a bucket value: add the bucket detector, such as diode")
    return found, buckets


def check_device(device: Any, protocol: Any, parameter: str) -> None:
    """Raise unless this is a connected device of the right kind."""
    if not isinstance(device, protocol):
        kind = "is a name, not a device: pass the device itself" if isinstance(device, str) else "is not such a device"
        if device is None:
            kind = "is not a device: the configuration of this beamline has none of that kind"
        raise PlanRequestError(f"{parameter}: {device!r} {kind} (a {protocol.__name__} is needed)")
    if getattr(device, "connected", True) is False:
        raise PlanRequestError(
            f"{parameter}: {getattr(device, 'name', device)} does not answer. Is its IOC running? "
            "beamline.factory.connect(devices) says which PVs are missing"
        )


def check_exposure(exposure: Any, detectors: Iterable[BucketDetector]) -> float:
    """Return the exposure in seconds, which all these detectors must be able to count for."""
    if not is_number(exposure):
        raise PlanRequestError(f"exposure must be a number of seconds, not {exposure!r}")
    if not SHORTEST_EXPOSURE_S <= float(exposure) <= LONGEST_EXPOSURE_S:
        raise PlanRequestError(f"exposure must be {SHORTEST_EXPOSURE_S:g} to {LONGEST_EXPOSURE_S:g} seconds, not {exposure!r}")
    for detector in detectors:
        if why := detector.why_impossible(float(exposure)):
            raise PlanRequestError(why)
    return float(exposure)


def check_count(value: Any, parameter: str, least: int = 1, most: int = MOST_REALIZATIONS) -> int:
    """Return a number of exposures."""
    try:
        number = operator.index(value)
    except TypeError:
        raise PlanRequestError(f"{parameter} must be a whole number, not {value!r}") from None
    if isinstance(value, bool) or not least <= number <= most:
        raise PlanRequestError(f"{parameter} must be {least} to {most}, not {value!r}")
    return number


def check_flag(value: Any, parameter: str) -> None:
    """Raise unless this is True or False."""
    if not isinstance(value, bool):
        raise PlanRequestError(f"{parameter} must be True or False, not {value!r}")


def check_choice(value: Any, choices: Iterable[str], parameter: str) -> None:
    """Raise unless this is one of the choices."""
    if value not in choices:
        raise PlanRequestError(f"{parameter} must be one of {', '.join(choices)}, not {value!r}")


def check_shutter(shutter: Any, needed_for: str) -> BeamShutter:
    """Return the shutter, which must be there."""
    if shutter is None:
        raise PlanRequestError(f"{needed_for} needs a shutter: pass shutter=..., or leave that out")
    check_device(shutter, BeamShutter, "shutter")
    return shutter


def check_masks(mask_stage: MaskPositioner, masks: Any) -> Plate:
    """Return the mounted plate, which must be the one that is asked for.

    Parameters
    ----------
    mask_stage : MaskPositioner
    masks : str or plate
        The plate, or its name or identity (or the first eight or more characters of that).
    """
    mounted = mask_stage.plate
    title = f"{mounted.name!r} ({mounted.shape[0]}x{mounted.shape[1]} pixels, {len(mounted)} masks, {mounted.identity[:12]})"
    if isinstance(masks, str):
        if masks != mounted.name and not (len(masks) >= 8 and mounted.identity.startswith(masks)):
            raise PlanRequestError(f"masks: plate {masks!r} is asked for, but {title} is mounted on {mask_stage.name}")
        return mounted
    identity = getattr(masks, "identity", None)
    if not isinstance(masks, HasName) or not isinstance(identity, str):
        raise PlanRequestError(f"masks must be a mask plate or the name of one, not {masks!r}")
    if identity != mounted.identity:
        shape = getattr(masks, "shape", None)
        why = f"masks of {shape} pixels" if shape != mounted.shape else f"other content ({identity[:12]})"
        raise PlanRequestError(
            f"masks: the plate {masks.name!r} that is asked for has {why}, but {title} is mounted: "
            f"mount the right one with {mask_stage.name}.mount(plate)"
        )
    return mounted


def choose_indices(plate: Plate, num: int | None, indices: Sequence[int] | None, order: str, seed: int) -> tuple[list[int], str]:
    """Choose the mask of each realization.

    Parameters
    ----------
    plate : Plate
    num : int, optional
        How many masks; all of them by default.
    indices : sequence of int, optional
        Exactly these, in this order; a mask may come more than once.
    order : {"sequency", "random", "given"}
        From coarse to fine; in an order drawn with the seed; or as `indices` says.
    seed : int

    Returns
    -------
    indices : list of int
    order : str
        "given" if indices were.
    """
    check_choice(order, ORDERS, "order")
    if indices is not None:
        if isinstance(indices, (str, bytes)) or not isinstance(indices, Iterable):
            raise PlanRequestError(f"indices must be a list of whole numbers, not {indices!r}")
        chosen = list(indices)
        check_count(len(chosen), "the number of indices")
        if num is not None and num != len(chosen):
            raise PlanRequestError(f"num is {num}, but there are {len(chosen)} indices: leave num out")
        return chosen, "given"
    if order == "given":
        raise PlanRequestError("order='given' needs indices=[...]: which masks, in which order")
    if num is not None:
        check_count(num, "num")
        if num > len(plate):
            raise PlanRequestError(
                f"num is {num}, but plate {plate.name!r} has {len(plate)} masks; indices=[...] can repeat masks"
            )
    whole = plate.sequency_order if order == "sequency" else np.random.default_rng(seed).permutation(len(plate))
    return [int(index) for index in whole[:num]], order


def choose_pairs(plate: Plate, num: int | None, indices: Sequence[int] | None, order: str, seed: int) -> tuple[list[int], str]:
    """Choose masks, each followed by its complement; of the whole plate each pair once.

    Parameters are those of `choose_indices`; `num` counts pairs.
    """
    chosen, order = choose_indices(plate, num if indices is not None else None, indices, order, seed)
    complements = plate.complements
    if indices is not None:
        firsts = [plate.checked_index(index) for index in chosen]
        if missing := [index for index in firsts if complements[index] < 0]:
            raise PlanRequestError(f"complement: plate {plate.name!r} has no complement of the masks {missing[:5]}")
    else:
        taken: set[int] = set()
        firsts = []
        for index in chosen:
            if complements[index] >= 0 and index not in taken:
                taken.update((index, int(complements[index])))
                firsts.append(index)
        if not firsts:
            raise PlanRequestError(f"complement: plate {plate.name!r} has no mask together with its complement")
        if num is not None:
            check_count(num, "num")
            if num > len(firsts):
                raise PlanRequestError(f"num is {num}, but plate {plate.name!r} has {len(firsts)} pairs of masks")
        firsts = firsts[:num]
    return [mask for first in firsts for mask in (first, int(complements[first]))], order


def check_md(md: Any) -> dict[str, Any]:
    """Return the user's metadata, which may not contradict what the plan itself knows."""
    if md is not None and not isinstance(md, dict):
        raise PlanRequestError(f"md must be a dict such as {{'sample': 'CAS'}}, not {md!r}")
    for key in md or ():
        if not isinstance(key, str):
            raise PlanRequestError(f"md: keys must be text, not {key!r}")
        if key in (*OWN_KEYS, *MESSAGE_KEYS):
            raise PlanRequestError(f"md: {key!r} is taken by the plan or by bluesky; choose another name for yours")
    try:
        checked: dict[str, Any] = plain_metadata(md or {}, "md")
    except NotPlain as error:
        raise PlanRequestError(str(error)) from None
    return checked


def check_ghost_scan(
    detectors: Any,
    mask_stage: Any,
    masks: Any,
    *,
    num: Any,
    exposure: Any,
    order: str,
    indices: Any,
    seed: Any,
    dark_num: Any,
    shutter: Any,
    close_between: bool,
    complement: Any = False,
    recipes: Any,
    per_step: Any = None,
) -> GhostScanRequest:
    """Check all that a ghost scan is asked for; see `plans.ghost.ghost_scan`.

    Raises
    ------
    PlanRequestError
        If a parameter cannot be right.
    ValueError
        If a mask is not on the plate or the stage may not go there.
    """
    check_device(mask_stage, MaskPositioner, "mask_stage")
    found, buckets = check_detectors(detectors, mask_stage=mask_stage, shutter=shutter)
    plate = check_masks(mask_stage, masks)
    seconds = check_exposure(exposure, buckets)
    check_count(seed, "seed", least=0, most=2**63)
    check_flag(complement, "complement")
    if complement:
        chosen, order = choose_pairs(plate, num, indices, order, seed)
    else:
        chosen, order = choose_indices(plate, num, indices, order, seed)
    chosen = mask_stage.check_indices(chosen)
    if why := mask_stage.why_not_ready():
        raise PlanRequestError(f"{mask_stage.name} is not ready: {why}")
    check_flag(close_between, "close_between")
    if per_step is not None and not callable(per_step):
        raise PlanRequestError(f"per_step must be a plan that takes detectors, mask stage and mask index, not {per_step!r}")
    darks = (10 if shutter is not None else 0) if dark_num is None else check_count(dark_num, "dark_num", least=0)
    if shutter is not None or darks or close_between:
        shutter = check_shutter(shutter, "dark_num above 0" if darks else "close_between")
    return GhostScanRequest(
        detectors=found,
        buckets=buckets,
        mask_stage=mask_stage,
        indices=chosen,
        order=order,
        exposure=seconds,
        dark_num=darks,
        complement=complement,
        shutter=shutter,
        recipes=check_recipes(recipes),
    )


def _root(device: Any) -> Any:
    return getattr(device, "root", device)


def is_number(value: Any) -> bool:
    """Whether this is a finite number; True and False are not."""
    try:
        return not isinstance(value, bool) and math.isfinite(value)
    except (TypeError, OverflowError):
        return False
