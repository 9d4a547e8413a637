"""Realizations as rows of a table: read from event pages, checked, corrected for dark counts and incident beam.

Pure functions. Nothing here uses rows later than the one under decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.documents.streams import column, whole_numbers
from analysis.techniques.ghost.run_spec import RunSpec

BEAM_LOST_FRACTION = 0.05
REASONS: dict[str, str] = {
    "bad_seq_num": "the sequence number is not a whole number from 1",
    "mask_unknown": "no mask index was read",
    "off_plate": "the mask index is not on the plate",
    "position_unknown": "the mask's offset was not read",
    "misplaced": "the mask was further from its place than the run tolerates",
    "bucket_missing": "the bucket is missing, NaN or infinite",
    "bucket_negative": "the bucket is negative, though no mask is",
    "saturated": "the bucket reached the level where the detector saturates",
    "bad_exposure": "the exposure time is missing, zero or negative",
    "no_monitor": "the incident-beam monitor is missing, or no higher than in the dark",
    "beam_lost": "the incident-beam monitor fell below a twentieth of its first value",
    "no_spectrum": "no detector element gave a spectrum that can be used",
    "bad_error": "the bucket's error is missing, zero or negative",
    "no_complement": "the other realization of its pair is missing or not used",
}
"""Reasons why a received realization is not used."""

GOOD = -1  # what `judged` returns for a usable row; otherwise an index into `REASON_NAMES`
REASON_NAMES = tuple(REASONS)

ROW = np.dtype(
    [
        ("number", "<i8"),
        ("time", "<f8"),
        ("mask_index", "<f8"),
        ("bucket", "<f8"),
        ("monitor", "<f8"),
        ("exposure", "<f8"),
        ("offset", "<f8"),
        ("error", "<f8"),
    ]
)
"""One realization as measured; NaN for a missing value. `number`: sequence number; `time` in s since the epoch, `exposure` in
s, `offset` in um (the larger one of the two axes).
"""


@dataclass(frozen=True)
class Dark:
    """Counts of the detectors without beam, per second (or per reading if the run has no time key).

    Attributes
    ----------
    bucket, monitor : float
        Level of the bucket detector and of the monitor.
    events : int
        Number of dark readings used; 0 means that nothing is subtracted.
    """

    bucket: float = 0.0
    monitor: float = 0.0
    events: int = 0


def rows_of(page: Mapping[str, Any], spec: RunSpec) -> tuple[np.ndarray, np.ndarray]:
    """The rows of an event page, and which of its events have a sequence number, bool."""
    count = len(page["seq_num"])
    numbers, good = whole_numbers(page["seq_num"], count)
    data = page["data"]

    def values(key: str | None) -> np.ndarray:
        return np.full(count, np.nan) if key is None else column(data.get(key), count)

    rows = np.empty(count, dtype=ROW)
    rows["number"] = numbers
    rows["time"] = column(page.get("time"), count)
    rows["mask_index"] = values(spec.mask_index)
    rows["bucket"] = values(spec.bucket) if spec.spectra is None else 0.0
    rows["monitor"] = values(spec.monitor)
    rows["exposure"] = values(spec.time)
    rows["error"] = values(spec.error)
    offsets = [np.abs(values(key)) for key in spec.offset]
    rows["offset"] = np.maximum.reduce(offsets) if offsets else np.nan  # NaN if one of them is NaN
    return rows[good], good


def dark_level(rows: np.ndarray, spec: RunSpec) -> Dark:
    """Mean dark counts of dark readings."""
    exposure = np.ones(len(rows)) if spec.time is None else rows["exposure"]
    good = np.isfinite(rows["bucket"]) & (spec.may_be_negative | (rows["bucket"] >= 0)) & np.isfinite(exposure) & (exposure > 0)
    if spec.monitor is not None:
        good &= np.isfinite(rows["monitor"])
    if not good.any():
        return Dark()
    total = exposure[good].sum()
    monitor = 0.0 if spec.monitor is None else float(rows["monitor"][good].sum() / total)
    return Dark(float(rows["bucket"][good].sum() / total), monitor, int(np.count_nonzero(good)))


def net_monitor(rows: np.ndarray, spec: RunSpec, dark: Dark) -> np.ndarray:
    """Monitor counts without dark counts, (B,)."""
    net: np.ndarray = rows["monitor"] - dark.monitor * _exposure(rows, spec)
    return net


def judged(rows: np.ndarray, spec: RunSpec, num_masks: int, *, signed: bool, dark: Dark) -> np.ndarray:
    """Why each row cannot be used: an index into `REASON_NAMES`, or `GOOD`. The first applicable reason counts.

    Parameters
    ----------
    rows : ndarray of ROW, (B,)
        The measured rows.
    spec : RunSpec
        The specification with which they are compared.
    num_masks : int
        Number of masks on the plate.
    signed : bool
        Whether a mask holds negative values; then a bucket may be negative.
    dark : Dark
        Dark counts.
    """
    verdict = np.full(len(rows), GOOD)

    def reject(reason: str, which: np.ndarray) -> None:
        verdict[which & (verdict == GOOD)] = REASON_NAMES.index(reason)

    with np.errstate(invalid="ignore"):
        index = rows["mask_index"]
        reject("mask_unknown", ~np.isfinite(index) | (index != np.floor(index)))
        reject("off_plate", (index < 0) | (index >= num_masks))
        if spec.offset and spec.offset_tolerance_um is not None:
            reject("position_unknown", ~np.isfinite(rows["offset"]))
            reject("misplaced", rows["offset"] > spec.offset_tolerance_um)
        reject("bucket_missing", ~np.isfinite(rows["bucket"]))
        if not signed and not spec.may_be_negative:
            reject("bucket_negative", rows["bucket"] < 0)
        if spec.saturation is not None:
            reject("saturated", rows["bucket"] >= spec.saturation)
        if spec.time is not None:
            reject("bad_exposure", ~(np.isfinite(rows["exposure"]) & (rows["exposure"] > 0)))
        if spec.monitor is not None:
            net = net_monitor(rows, spec, dark)
            reject("no_monitor", ~(np.isfinite(net) & (net > 0)))
        if spec.error is not None:
            reject("bad_error", ~(np.isfinite(rows["error"]) & (rows["error"] > 0)))
    return verdict


def corrected(rows: np.ndarray, spec: RunSpec, dark: Dark) -> tuple[np.ndarray, np.ndarray | None]:
    """Buckets, and their errors if the run has them, as the sum of mask times image.

    With b and m the counts of bucket and monitor without their dark counts, N pixels and r the open-beam ratio, that sum is N
    b / (m r). Without a monitor it is b. Both (B,) float64.
    """
    buckets = rows["bucket"] - dark.bucket * _exposure(rows, spec)
    scale = np.ones(len(rows))
    if spec.monitor is not None:
        pixels = spec.shape[0] * spec.shape[1]
        scale = pixels / (net_monitor(rows, spec, dark) * (spec.open_beam_ratio or 1.0))
    return buckets * scale, None if spec.error is None else rows["error"] * scale


def incident_scale(rows: np.ndarray, spec: RunSpec, dark: Dark) -> np.ndarray:
    """Factor that converts counts of spectra, corrected for their live time, to the sum of mask times image, (B,).

    With m the monitor counts without dark counts and N pixels it is N / m; without a monitor it is 1.
    """
    if spec.monitor is None:
        return np.ones(len(rows))
    scale: np.ndarray = spec.shape[0] * spec.shape[1] / net_monitor(rows, spec, dark)
    return scale


def _exposure(rows: np.ndarray, spec: RunSpec) -> np.ndarray | float:
    return 1.0 if spec.time is None else rows["exposure"]
