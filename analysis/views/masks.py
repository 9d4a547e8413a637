"""The mask sets, the runs that measured them, and the scans and reconstructions made with them."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.archive.server_settings import CatalogError
from analysis.documents.log import LogReader, log_paths
from analysis.documents.references import ReferenceDiffers, ReferenceMissing
from analysis.masks import calibration
from analysis.masks.calibration import REGISTRATION, registration_figures
from analysis.techniques.ghost.mask_sets import MaskSet, MaskStore
from analysis.techniques.masks.options import DEFAULTS

_SHORTEST = 4


class MaskSetUnknown(CatalogError):
    """The given text identifies no mask set, or more than one."""


@dataclass(frozen=True)
class MaskUse:
    """Runs related to a mask set, by their uids.

    Attributes
    ----------
    scans : list of str
        Scans whose start document names it.
    reconstructions : list of str
        Reconstructions that were made with it.
    """

    scans: list[str]
    reconstructions: list[str]


def whole_identity(state_dir: Path | str, beginning: str, elsewhere: Iterable[str] = ()) -> str:
    """The identity that begins with this text, among those of the mask sets in the state directory, and those that are elsewhere.

    Raises
    ------
    MaskSetUnknown
        If there is none, or more than one.
    """
    if len(beginning) < _SHORTEST:
        raise MaskSetUnknown(f"{beginning!r} is too short: give {_SHORTEST} or more of the identity's first characters")
    found = [one for one in {*MaskStore(state_dir).identities(), *elsewhere} if one.startswith(beginning)]
    if len(found) != 1:
        many = f"{len(found)} mask sets begin" if found else "no mask set begins"
        raise MaskSetUnknown(f"{many} with {beginning!r}: `ghostbeam masks list` shows all in {state_dir}")
    return found[0]


def load_mask_set(state_dir: Path | str, beginning: str) -> MaskSet:
    """The mask set whose identity begins with this text.

    Raises
    ------
    MaskSetUnknown
        If there is none, more than one, or its file is damaged.
    """
    try:
        return MaskStore(state_dir).load(whole_identity(state_dir, beginning))
    except (ReferenceMissing, ReferenceDiffers) as error:
        raise MaskSetUnknown(str(error)) from error


def uses(state_dir: Path | str) -> dict[str, MaskUse]:
    """The runs made with each mask set, by its identity, from the document log."""
    paths = log_paths(state_dir)
    found: dict[str, MaskUse] = {}
    with closing(LogReader(paths.raw)) as raw, closing(LogReader(paths.processed)) as processed:
        calibrations = {run.uid for run in raw.runs() if run.start.get("masks") is not None}
        for run in raw.runs():
            if run.uid not in calibrations and isinstance(identity := run.start.get("mask_set"), str):
                found.setdefault(identity, MaskUse([], [])).scans.append(run.uid)
        for run in processed.runs():
            identity = run.start.get("mask_set")
            if isinstance(identity, str) and run.start.get("derived_from") not in calibrations:
                found.setdefault(identity, MaskUse([], [])).reconstructions.append(run.uid)
    return found


def mask_figures(masks: MaskSet) -> dict[str, float]:
    """Figures that describe a measured mask set; for a design only the modulation depth."""
    high, low = masks.patterns.max(axis=(1, 2)), masks.patterns.min(axis=(1, 2))
    if masks.registration is None or masks.uncertainty is None:
        with np.errstate(divide="ignore", invalid="ignore"):
            return {"depth": float(np.nanmedian((high - low) / high))}
    departures = masks.registration[:, REGISTRATION.index("departure")]
    return {
        "measured": float(np.count_nonzero(np.isfinite(departures))),
        **registration_figures(masks.registration),
        "departure": _median(departures),
        "uncertainty": _median(masks.uncertainty),
    }


def out_of_tolerance(masks: MaskSet, shift_px: float | None = None, departure: float | None = None) -> list[int]:
    """Masks of a measured set that are out of tolerance, by the limits of a calibration if none are given; none for a design."""
    if masks.registration is None:
        return []
    limits = {"shift_px": shift_px, "departure": departure}
    chosen = {name: DEFAULTS[name] if limit is None else limit for name, limit in limits.items()}
    return calibration.out_of_tolerance(masks.registration, **chosen)


def _median(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")
