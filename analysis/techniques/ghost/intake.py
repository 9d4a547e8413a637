"""Documents of a ghost-imaging run in, batches of realizations out.

The output depends on the documents, not on the order of their arrival: realizations are released sorted by sequence number,
each once, and a realization waits until all before it have arrived or the run is over. Every realization that is not used is
in the ledger with the reason.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from analysis.documents.batch import Batch
from analysis.documents.ledger import MAX_DETAILS, Ledger
from analysis.documents.streams import PRIMARY, Numbered, Streams, gaps
from analysis.techniques.ghost.mask_pairs import INCIDENT, MaskPairs
from analysis.techniques.ghost.rows import (
    BEAM_LOST_FRACTION,
    GOOD,
    REASON_NAMES,
    ROW,
    Dark,
    corrected,
    dark_level,
    incident_scale,
    judged,
    net_monitor,
    rows_of,
)
from analysis.techniques.ghost.run_spec import RunSpec
from analysis.techniques.ghost.spectral_rows import SPECTRAL_ROW, SpectralRows


class Realizations:
    """Turns the documents of one run into batches of realizations.

    Call it with each document, `(name, doc)`, then `take()` what is ready; when no more documents can arrive, call `end()`
    and `take()` the rest. Documents of other runs are ignored. The columns of a batch:

    mask_index : int64, the mask that was in the beam.
    complement_index : int64, the mask that is subtracted; only in a run of pairs, each of which gives one row.
    bucket : float64, corrected for dark counts and incident beam; (B, C) in a run of spectra, one for each chemical element.
    error : float64, standard error of the bucket; only if the run has errors, or spectra.
    incident : float64, photons on the area of the mask; only if the run tells how many a monitor count stands for.
    complement_incident : float64, the same of the complement, in a run of pairs.
    dose : float64, monitor counts up to and including this realization, used or not; NaN without a monitor.

    Parameters
    ----------
    start : mapping
        The run's start document.
    num_masks : int
        Number of masks in the run's mask set.
    signed : bool
        Whether a mask holds negative values, so that a bucket may be negative.
    wait_for_end : bool
        Release nothing before `end()`: then nothing at all depends on the order of the documents.
    doubts : callable, optional
        Called with the realizations used so far when the ledger is wanted; returns sentences about suspected mistakes in them.

    Raises
    ------
    RunRefused
        If the start document does not describe a ghost-imaging run.
    """

    def __init__(
        self,
        start: Mapping[str, Any],
        num_masks: int,
        *,
        signed: bool = False,
        wait_for_end: bool = False,
        doubts: Callable[[Batch], list[str]] | None = None,
    ) -> None:
        self.spec = RunSpec.of(start)
        self.num_masks = num_masks
        self.signed = signed
        self._ended = False
        self._wait_for_end = wait_for_end
        dark = self.spec.dark_stream
        self._streams = Streams(str(start["uid"]), [PRIMARY] if dark is None else [PRIMARY, dark])
        self._spectra = None if self.spec.spectra is None else SpectralRows(self.spec.spectra)
        self._pairs = MaskPairs() if self.spec.pairs else None
        self._rows = Numbered(ROW if self._spectra is None else SPECTRAL_ROW)
        self._counts = Ledger(expected=self.spec.expected)
        self._ready: list[Batch] = []
        self._dark_rows: dict[int, np.void] = {}
        self._dark: Dark | None = None  # fixed when the first realization is released
        self._late_dark = False
        self._beam: float | None = None  # monitor of the first used realization, per second or reading
        self._count = 0
        self._dose = 0.0
        self._judge = doubts
        self._judged: list[Batch] = []
        self._doubts: list[str] | None = None

    @property
    def stopped(self) -> bool:
        """Whether the run's stop document has arrived."""
        return self._streams.stopped

    @property
    def revised(self) -> bool:
        """Whether a document arrived that would have changed what had already been taken."""
        return self._rows.revised or self._late_dark

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Take one document; documents that contain nothing about realizations are ignored."""
        self._streams(name, doc)

    def end(self) -> None:
        """Note that no further document will arrive: realizations after a gap need not wait any more."""
        self._ended = True

    def take(self) -> Batch | None:
        """The usable realizations that have become ready since the last call; None if there are none."""
        if self.spec.dark_stream is not None:
            for page in self._streams.pages(self.spec.dark_stream):
                self._take_dark(rows_of(page, self.spec)[0])
        for page in self._streams.pages(PRIMARY):
            rows, good = rows_of(page, self.spec)
            for _ in range(np.count_nonzero(~good)):
                self._counts.reject(0, "bad_seq_num")
            self._rows.add(rows if self._spectra is None else self._spectra.keep(page, rows, good))
        if self._ended or not self._wait_for_end:
            self._release()
        if self._ended and self._pairs is not None:
            self._reject_alone(self._pairs.rest())
        batch = Batch.join(self._ready)
        self._ready.clear()
        return batch

    def ledger(self) -> Ledger:
        """What happened to every realization so far, and what seems wrong; complete when all has been taken after `end()`."""
        ledger = copy.deepcopy(self._counts)
        ledger.received = self._count + ledger.rejected["bad_seq_num"]
        ledger.duplicates, ledger.conflicts = self._rows.duplicates, self._rows.conflicts
        ledger.foreign = self._streams.foreign
        dark = self._dark or Dark()
        ledger.normalisation = {
            "monitor": self.spec.monitor,
            "open_beam_ratio": self.spec.open_beam_ratio,
            "photons_per_monitor_count": self.spec.photons_per_monitor_count,
            "dark_events": dark.events,
            "dark_bucket": dark.bucket,
            "dark_monitor": dark.monitor,
            "dark_unit": "counts" if self.spec.time is None else "counts/s",
            "first_monitor": self._beam,
        }
        if self._spectra is not None:
            ledger.normalisation["calibration"] = self._spectra.calibration
            ledger.remarks += self._spectra.remarks()
        ledger.doubts = self._doubted()
        if self._ended:
            self._note_gaps(ledger)
            if self.spec.dark_stream is not None and not dark.events:
                ledger.remarks.append(
                    "dark counts are not subtracted: the start document announces dark readings (stream "
                    f'"{self.spec.dark_stream}") and no usable one came'
                )
        return ledger

    def _doubted(self) -> list[str]:
        if self._doubts is None:
            self._doubts = []
            if self._judge is not None and self._judged:
                judged = Batch.join(self._judged)
                assert judged is not None
                self._doubts = self._judge(judged)
        return list(self._doubts)

    def _take_dark(self, rows: np.ndarray) -> None:
        for row in rows:
            other = self._dark_rows.get(int(row["number"]))
            if other is None or row["time"] < other["time"]:
                self._dark_rows[int(row["number"])] = row
                self._late_dark |= self._dark is not None

    def _release(self) -> None:
        waiting = self._rows.waiting
        if not len(waiting):
            return self._use_calibrated(waiting)
        if self._ended:
            last = int(waiting["number"][-1])
        elif self._dark is None and self.spec.dark_stream is not None and not self._dark_rows:
            return  # the dark stream comes first: without it a correction would be omitted
        else:
            last = self._rows.without_gap()
        rows = self._rows.release(last)
        if not len(rows):
            return self._use_calibrated(rows)
        if self._dark is None:
            # Every dark reading of the run counts, whatever its time: if the clock was set back, it must not count as
            # "later".
            dark_rows = [row for _, row in sorted(self._dark_rows.items())]
            self._dark = dark_level(np.array(dark_rows, dtype=ROW), self.spec)
        self._use_calibrated(rows)

    def _use_calibrated(self, rows: np.ndarray) -> None:
        """Use these rows, or the rows that waited for the calibration of the spectra."""
        if self._spectra is not None:
            rows = self._spectra.ready(rows, ended=self._ended)
        if len(rows):
            self._use(rows)

    def _use(self, rows: np.ndarray) -> None:
        dark = self._dark or Dark()
        verdict = judged(rows, self.spec, self.num_masks, signed=self.signed, dark=dark)
        if self.spec.monitor is not None:
            self._reject_lost_beam(rows, verdict, dark)
        if self._spectra is not None:
            counts, errors, there = self._spectra.buckets(rows)
            verdict[(verdict == GOOD) & ~there] = REASON_NAMES.index("no_spectrum")
        for position in np.flatnonzero(verdict != GOOD):
            self._counts.reject(int(rows["number"][position]), REASON_NAMES[verdict[position]])
        received = self._count + 1 + np.arange(len(rows))
        self._count += len(rows)
        dose = np.full(len(rows), np.nan)
        if self.spec.monitor is not None:
            monitor = np.nan_to_num(rows["monitor"], nan=0.0, posinf=0.0, neginf=0.0)
            dose = np.cumsum(np.append(self._dose, monitor))[1:]  # one running sum, so that batches don't change its rounding
            self._dose = float(dose[-1])
        good = verdict == GOOD
        if not good.any():
            return
        used = rows[good]
        if self._spectra is None:
            bucket, error = corrected(used, self.spec, dark)
        else:
            scale = incident_scale(used, self.spec, dark)[:, None]
            bucket, error = counts[good] * scale, errors[good] * scale
        columns = {"mask_index": used["mask_index"].astype(np.int64), "bucket": bucket, "dose": dose[good]}
        if error is not None:
            columns["error"] = error
        if self.spec.counts_photons:
            columns[INCIDENT] = net_monitor(used, self.spec, dark) * (self.spec.photons_per_monitor_count or 1.0)
        batch: Batch | None = Batch(used["number"], columns, received[good])
        realizations = 1
        if self._pairs is not None and batch is not None:
            batch, alone = self._pairs.join(batch)
            self._reject_alone(alone)
            realizations = 2
        if batch is None:
            return
        self._counts.used += realizations * len(batch)
        if self._judge is not None:
            self._judged.append(batch)
            self._doubts = None
        self._ready.append(batch)

    def _reject_alone(self, numbers: np.ndarray) -> None:
        for number in numbers:
            self._counts.reject(int(number), "no_complement")

    def _reject_lost_beam(self, rows: np.ndarray, verdict: np.ndarray, dark: Dark) -> None:
        with np.errstate(divide="ignore", invalid="ignore"):
            beam = net_monitor(rows, self.spec, dark) / (1.0 if self.spec.time is None else rows["exposure"])
        good = verdict == GOOD
        if self._beam is None and good.any():
            self._beam = float(beam[good][0])
        if self._beam is not None:
            with np.errstate(invalid="ignore"):
                verdict[good & (beam < BEAM_LOST_FRACTION * self._beam)] = REASON_NAMES.index("beam_lost")

    def _note_gaps(self, ledger: Ledger) -> None:
        seen = self._rows.seen["number"]
        emitted = max(int(seen[-1]) if len(seen) else 0, self._streams.emitted(PRIMARY))
        ledger.missing = emitted - len(seen)
        if self.spec.expected is not None:
            ledger.not_acquired = max(0, self.spec.expected - emitted)
        for number in itertools.islice(gaps(seen, emitted), MAX_DETAILS):
            ledger.note(number, "missing")
