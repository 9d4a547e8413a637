"""The spectra of realizations, from the documents to a bucket for each chemical element.

The first realizations calibrate the energies of the bins; until there are enough of them, all wait. Their choice depends only
on the numbers and counts of the realizations. A spectrum is discarded as soon as its buckets are known.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from analysis.documents.refusal import RunRefused
from analysis.spectra.buckets import SpectraToBuckets
from analysis.spectra.calibration import CalibrationError
from analysis.techniques.ghost.rows import ROW
from analysis.techniques.ghost.spectra_spec import SpectraSpec


def spectral(row: np.dtype) -> np.dtype:
    """The type of rows in which a hash replaces the spectra."""
    return np.dtype([*row.descr, ("digest", "V16")])


SPECTRAL_ROW = spectral(ROW)
"""A realization as measured, with a hash in place of its spectra."""

_CALIBRATING_COUNTS = 20_000
_CALIBRATING_ROWS = 64
"""This number of counts in each detector element is enough for a calibration; after this number of realizations, the
calibration uses the counts that there are.
"""


class SpectralRows:
    """Keeps the spectra of realizations until they are used, and converts them to buckets.

    Parameters
    ----------
    spec : SpectraSpec
    """

    def __init__(self, spec: SpectraSpec) -> None:
        self.spec = spec
        self._kept: dict[bytes, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        self._held: list[np.ndarray] = []
        self._held_counts = np.zeros(spec.setup.detector_elements)
        self._held_rows = 0
        self._to_buckets: SpectraToBuckets | None = None
        self.malformed = 0

    def keep(self, page: Mapping[str, Any], rows: np.ndarray, good: np.ndarray) -> np.ndarray:
        """Keep the spectra of an event page; return its rows with the hash of each row's spectra.

        Parameters
        ----------
        page : mapping
            The event page.
        rows : ndarray
            Those of its events whose number is good, with a field "number" and others.
        good : ndarray, bool
            Selects those events.
        """
        whole = np.zeros(len(rows), dtype=spectral(rows.dtype))
        for name in rows.dtype.names or ():
            whole[name] = rows[name]
        columns = [page["data"].get(key) for key in (self.spec.counts, self.spec.real_time, self.spec.live_time)]
        for place, event in enumerate(np.flatnonzero(good)):
            parts = self._checked(*(None if column is None else column[event] for column in columns))
            if parts is None:
                continue  # its hash remains 0
            content = b"".join(part.tobytes() for part in (rows["number"][place], *parts))
            digest = hashlib.blake2b(content, digest_size=16).digest()
            whole["digest"][place] = np.void(digest)
            self._kept[digest] = parts
        return whole

    def ready(self, rows: np.ndarray, *, ended: bool) -> np.ndarray:
        """The next rows that can be used now: all of them, once the energies are calibrated.

        Raises
        ------
        RunRefused
            If the calibration fails; the message says what to do.
        """
        if self._to_buckets is not None:
            return rows
        for place in range(len(rows)):
            self._held.append(rows[place : place + 1])
            self._held_rows += 1
            spectra = self._kept.get(rows["digest"][place].tobytes())
            if spectra is not None:
                self._held_counts += np.maximum(spectra[0], 0).sum(axis=1)
            if np.median(self._held_counts) >= _CALIBRATING_COUNTS or self._held_rows >= _CALIBRATING_ROWS:
                self._calibrate()
                return np.concatenate([*self._release(), rows[place + 1 :]])
        if not ended or not self._held:
            return rows[:0]
        self._calibrate()
        return np.concatenate(self._release())

    def buckets(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Counts of each element (B, C), their standard errors (B, C), and which rows have spectra, bool (B,)."""
        assert self._to_buckets is not None
        shape = (len(rows), len(self.spec.setup.elements))
        counts, errors, good = np.zeros(shape), np.ones(shape), np.zeros(len(rows), dtype=bool)
        for place, digest in enumerate(rows["digest"]):
            spectra = self._kept.pop(digest.tobytes(), None)
            found = None if spectra is None else self._to_buckets(*spectra)
            if found is not None:
                counts[place], errors[place] = found
                good[place] = True
        return counts, errors, good

    def remarks(self) -> list[str]:
        """What users should know about the spectra, in sentences."""
        said = [] if self._to_buckets is None else self._to_buckets.told.sentences
        if self.malformed:
            setup = self.spec.setup
            said = [
                f"{self.malformed} realizations have spectra of another shape than {setup.detector_elements} detector elements "
                f"with {setup.bins} bins, and are not used",
                *said,
            ]
        return said

    @property
    def calibration(self) -> list[dict[str, float]] | None:
        """Energies and peak widths of each detector element; None until they are known."""
        if self._to_buckets is None:
            return None
        names = ("offset_kev", "slope_kev", "noise_kev", "fano", "tail")
        return [{name: getattr(one, name) for name in names} for one in self._to_buckets.calibrations]

    def _checked(self, counts: Any, real_s: Any, live_s: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        setup = self.spec.setup
        try:
            spectra = np.asarray(counts)
            times = [np.asarray(values, dtype=np.float64) for values in (real_s, live_s)]
        except (TypeError, ValueError):
            spectra, times = np.empty(0), []
        numeric = spectra.dtype.kind in "iuf" and np.isfinite(spectra).all()
        if not numeric or spectra.shape != (setup.detector_elements, setup.bins):
            self.malformed += 1
            return None
        if any(one.shape != (setup.detector_elements,) for one in times):
            times = [np.full(setup.detector_elements, np.nan)] * 2
        return spectra, times[0], times[1]

    def _release(self) -> list[np.ndarray]:
        held, self._held = self._held, []
        return held

    def _calibrate(self) -> None:
        kept = [self._kept.get(row["digest"][0].tobytes()) for row in self._held]
        there = [spectra for spectra in kept if spectra is not None]
        setup = self.spec.setup
        shape = (len(there), setup.detector_elements)
        spectra = np.array([one[0] for one in there]).reshape(*shape, setup.bins)
        real, live = (np.array([one[part] for one in there]).reshape(shape) for part in (1, 2))
        try:
            self._to_buckets = SpectraToBuckets(setup, spectra, real, live)
        except CalibrationError as error:
            raise RunRefused(
                f'the spectra cannot be read: {error}. Correct the entry "spectra" in the start document, which '
                "[xrf_spectrometer] writes there"
            ) from error
