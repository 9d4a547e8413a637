"""The description in a start document of how its buckets were measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.documents.refusal import RunRefused
from analysis.techniques.ghost.spectra_spec import SpectraSpec


@dataclass(frozen=True)
class RunSpec:
    """The "ghost" entry of a start document: the meaning of the data keys, and the corrections of the buckets.

    If a key is None, this correction or check is not made.

    Attributes
    ----------
    mask_set : str
        Identity of the mask set.
    shape : (H, W)
        Pixels of a mask.
    bucket, mask_index : str
        Data keys of the bucket signal and of the mask in the beam.
    other_buckets : tuple of str
        Data keys of further bucket signals, which are not reconstructed.
    monitor, time, error : str or None
        Data keys of the incident-beam monitor, of the time counted (s) and of the bucket's standard error.
    offset : tuple of str
        Data keys of the distance of the mask from its nominal position (um).
    offset_tolerance_um : float or None
        Realizations with a larger offset are not used.
    saturation : float or None
        Buckets at or above this level are not used.
    may_be_negative : bool
        Whether a bucket below 0 is possible, as with an electrometer that has an offset.
    dark_stream : str or None
        Name of the stream with buckets taken while the shutter was closed.
    open_beam_ratio : float or None
        Bucket counts per monitor count with neither masks nor sample in the beam.
    photons_per_monitor_count : float or None
        Photons on the whole area of a mask for each monitor count, without a mask.
    spectra : SpectraSpec or None
        The spectra that contain the buckets of several chemical elements; then `bucket` is not reconstructed.
    pairs : bool
        Whether realizations 2k - 1 and 2k are a mask and its complement.
    expected : int or None
        Realizations that the run should have.
    """

    mask_set: str
    shape: tuple[int, int]
    bucket: str
    other_buckets: tuple[str, ...]
    mask_index: str
    monitor: str | None
    time: str | None
    error: str | None
    offset: tuple[str, ...]
    offset_tolerance_um: float | None
    saturation: float | None
    may_be_negative: bool
    dark_stream: str | None
    open_beam_ratio: float | None
    photons_per_monitor_count: float | None
    spectra: SpectraSpec | None
    pairs: bool
    expected: int | None

    @property
    def counts_photons(self) -> bool:
        """Whether the incident photons of each realization are known."""
        return self.monitor is not None and self.photons_per_monitor_count is not None

    @classmethod
    def of(cls, start: Mapping[str, Any]) -> RunSpec:
        """Read it from a run's start document.

        Raises
        ------
        RunRefused
            If something required is missing or of the wrong kind.
        """
        ghost = start.get("ghost")
        if not isinstance(ghost, Mapping):
            raise RunRefused('the start document has no "ghost" entry: it isn\'t a ghost-imaging run (scan with ghost_scan)')
        mask_set = start.get("mask_set")
        if not isinstance(mask_set, str):
            raise RunRefused('the start document names no "mask_set": put the identity of the mask set there')
        buckets = ghost.get("buckets")
        spectra = None if ghost.get("spectra") is None else SpectraSpec.of(ghost["spectra"])
        if spectra is not None and buckets in ([], ()):
            buckets = [spectra.counts]
        if not (isinstance(buckets, (list, tuple)) and buckets and isinstance(buckets[0], str)):
            raise RunRefused(f'ghost["buckets"] must list the data keys of the bucket signals, not {buckets!r}')
        return cls(
            mask_set=mask_set,
            shape=_shape(ghost.get("shape")),
            bucket=buckets[0],
            other_buckets=tuple(map(str, buckets[1:])),
            mask_index=_key(ghost, "mask_index", needed=True) or "",
            monitor=_key(ghost, "monitor"),
            time=_key(ghost, "time"),
            error=_key(ghost, "errors"),
            offset=_offset(ghost.get("offset")),
            offset_tolerance_um=_positive(ghost, "offset_tolerance_um"),
            saturation=_positive(ghost, "saturation_counts"),
            may_be_negative=ghost.get("may_be_negative") is True,
            dark_stream=_key(ghost, "dark_stream"),
            open_beam_ratio=_positive(ghost, "open_beam_ratio"),
            photons_per_monitor_count=_positive(ghost, "photons_per_monitor_count"),
            spectra=spectra,
            pairs=ghost.get("pairs") is True and spectra is None,
            expected=_expected(start, ghost),
        )


def _shape(value: Any) -> tuple[int, int]:
    if not (isinstance(value, (list, tuple)) and len(value) == 2 and all(isinstance(n, int) and n > 0 for n in value)):
        raise RunRefused(f'ghost["shape"] must be the masks\' [height, width] in pixels, not {value!r}')
    return value[0], value[1]


def _key(ghost: Mapping[str, Any], name: str, *, needed: bool = False) -> str | None:
    value = ghost.get(name)
    if isinstance(value, str) or (value is None and not needed):
        return value
    raise RunRefused(f'ghost["{name}"] must be {"" if needed else "None or "}the name of a data key or stream, not {value!r}')


def _offset(value: Any) -> tuple[str, ...]:
    if value is None or (isinstance(value, (list, tuple)) and all(isinstance(key, str) for key in value)):
        return tuple(value or ())
    raise RunRefused(f'ghost["offset"] must be a list of data keys, not {value!r:.80}')


def _positive(ghost: Mapping[str, Any], name: str) -> float | None:
    value = ghost.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value) or value <= 0:
        raise RunRefused(f'ghost["{name}"] must be None or a positive number, not {value!r}')
    return float(value)


def _expected(start: Mapping[str, Any], ghost: Mapping[str, Any]) -> int | None:
    for value in (start.get("num_points"), len(ghost["indices"]) if isinstance(ghost.get("indices"), (list, tuple)) else None):
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None
