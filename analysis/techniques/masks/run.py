"""A mask calibration and the resulting mask set."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from analysis.documents.batch import Batch
from analysis.documents.frame_folders import frame_folders
from analysis.documents.ledger import Ledger
from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceName, ReferenceStore
from analysis.documents.refusal import RunRefused
from analysis.documents.streams import Streams, column, whole_numbers
from analysis.estimate import Estimate, Quantity, image_quantity
from analysis.masks.calibration import REGISTRATION, MaskCalibration, out_of_tolerance, registration_figures
from analysis.radiographs.correlation import Correlation, correlation_by_differences
from analysis.radiographs.kernel import decorrelated, kernel_of
from analysis.techniques.ghost.mask_sets import KIND, MaskSet
from analysis.techniques.masks.layout import Layout, as_radiographs
from analysis.techniques.masks.options import checked_options
from analysis.techniques.radiographs.corrections import Corrections
from analysis.techniques.radiographs.intake import RadiographIntake

_NAMED = 20  # number of masks named in a sentence
_FIRST = 16  # number of masks whose noise determines the spread of light
_WHITE_PERCENT = 20.0  # summed correlation between neighbouring pixels up to which noise counts as white


class MaskIntake(RadiographIntake):
    """Reads frames of masks, with the incident light of each, and names the masks without a usable frame.

    A batch has the further column "light", float64 (B,): counts of the incident-beam monitor for the mask, NaN if unknown.
    """

    def __init__(self, start: Mapping[str, Any], store: ReferenceStore, *, wait_for_end: bool) -> None:
        super().__init__(as_radiographs(start), frame_folders(store.state_dir), wait_for_end=wait_for_end)
        self._calibration = Layout.of(start)
        self._unseen = set(self._calibration.order)
        light = self._calibration.light
        self._positions = None if light is None else Streams(str(start["uid"]), [light[0]])
        self._light: dict[int, float] = {}
        self._held: Batch | None = None  # frames of a mask whose light has not arrived
        self._unlit: set[int] = set()

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Take one document."""
        super().__call__(name, doc)
        if self._positions is not None:
            self._positions(name, doc)

    def take(self) -> Batch | None:
        """Return some of the frames that are ready, in order of their numbers."""
        batch, self._held = self._held or super().take(), None
        if batch is None:
            return None
        self._read_light()
        numbers = batch.number.tolist()
        events = [self._calibration.event_of(number) for number in numbers]
        if self._positions is not None and not self._ended and not self._light.keys() >= set(events):
            self._held = batch
            return None
        light = np.array([self._light.get(event, np.nan) for event in events])
        masks = [self._calibration.mask_of(number) for number in numbers]
        self._unseen -= set(masks)
        self._unlit |= {mask for mask, counts in zip(masks, light, strict=True) if mask is not None and np.isnan(counts)}
        return Batch(batch.number, {**batch.columns, "light": light}, batch.received)

    def _read_light(self) -> None:
        if self._positions is None or self._calibration.light is None:
            return
        stream, key = self._calibration.light
        for page in self._positions.pages(stream):
            numbers, good = whole_numbers(page["seq_num"], len(page["seq_num"]))
            counts = column(page["data"].get(key), len(numbers))
            counts = np.where(np.isfinite(counts) & (counts > 0), counts, np.nan)
            for number, count in zip(numbers[good].tolist(), counts[good].tolist(), strict=True):
                self._light.setdefault(number, count)

    def ledger(self) -> Ledger:
        """Return what happened to every frame so far."""
        ledger = super().ledger()
        if self._ended and self._unseen:
            ledger.remarks.append(
                f"the calibration is incomplete: {_named(self._unseen)} of {len(self._calibration.order)} were not measured; the "
                "new mask set contains their designs"
            )
        if self._positions is not None and self._unlit:
            ledger.remarks.append(
                f"the incident-beam monitor is missing or zero for {_named(self._unlit)}: their frames are not corrected"
            )
        return ledger


class CalibrationRun:
    """One calibration.

    Parameters
    ----------
    start : mapping
        Its start document.
    store : ReferenceStore
        Contains the mask sets; its state directory names the folders of the detector's files.

    Raises
    ------
    RunRefused
        If the start document is malformed, or names masks outside the mask set.
    """

    rows = "frames"

    def __init__(self, start: Mapping[str, Any], store: ReferenceStore) -> None:
        self.layout, self._start, self._store = Layout.of(start), start, store
        self.designed = MaskSet.of(store.load(ReferenceName(KIND, self.layout.design)))
        number = len(self.designed.patterns)
        if max(self.layout.order) >= number:
            raise RunRefused(
                f"there is no mask {max(self.layout.order)} in mask set {self.layout.design[:12]}, which has {number}"
            )
        self._intake: MaskIntake | None = None  # the latest one, which has the corrections

    @property
    def expected(self) -> int | None:
        """Frames that the run should have."""
        return len(self.layout.order) * self.layout.exposures

    def quantities(self, recipe: Recipe) -> Mapping[str, Quantity]:
        """The newest measured mask, and the registration of all masks."""
        number, height, width = self.designed.patterns.shape
        shape = height, width
        return {
            "pattern": image_quantity("transmission of the newest mask", shape),
            "uncertainty": image_quantity("its standard error", shape),
            "departure": image_quantity("transmission above the design's", shape),
            "registration": Quantity(", ".join(REGISTRATION), None, "<f8", (number, len(REGISTRATION)), ("mask", "quantity")),
            "measured": Quantity("masks measured"),
            "shift_px": Quantity("shift of the masks from their places, root mean square", "pixel"),
            "depth": Quantity("modulation depth in the median"),
            "out_of_tolerance": Quantity("masks out of tolerance", doubtful_from=1.0),
            "camera_pixel": Quantity("size of a camera pixel over that of a mask pixel", doubtful_from=0.6),
        }

    def metadata(self, recipe: Recipe) -> Mapping[str, Any]:
        """The mask set that was measured, and the meaning of the image."""
        number, height, width = self.designed.patterns.shape
        return {
            "mask_set": self.layout.design,
            "image": {"quantity": "transmission", "units": None, "pixel_size_um": self.designed.pixel_size_um},
            "caption": (
                f"{len(self.layout.order)} of {number} masks of {height}x{width} pixels, {self.layout.exposures} frames each"
            ),
        }

    @property
    def remarks(self) -> Sequence[str]:
        """A note that the uncertainty is unknown if each mask has one exposure."""
        return ["one frame per mask: the uncertainty of the patterns is unknown"] if self.layout.exposures == 1 else []

    def intake(self, *, wait_for_end: bool = False) -> MaskIntake:
        """A new intake."""
        self._intake = MaskIntake(self._start, self._store, wait_for_end=wait_for_end)
        return self._intake

    def reconstruction(self, recipe: Recipe) -> CalibrationOfMasks:
        """A new reconstruction. Raises ValueError for a recipe that isn't valid."""
        return CalibrationOfMasks(self, recipe, self._corrections, self._store, str(self._start["uid"]))

    def _corrections(self) -> Corrections:
        assert self._intake is not None, "frames come from an intake"
        return self._intake.corrections


class CalibrationOfMasks:
    """Measures masks from their frames, and saves the mask set as a reference at the end."""

    def __init__(
        self, run: CalibrationRun, recipe: Recipe, corrections: Callable[[], Corrections], store: ReferenceStore, uid: str
    ) -> None:
        self.options: dict[str, Any] = checked_options(recipe.method, recipe.options)
        self._layout, self._designed = run.layout, run.designed
        self._corrections, self._store, self._uid = corrections, store, uid
        self._calibration: MaskCalibration | None = None
        self._kernel: np.ndarray | None = None
        self._first: list[tuple[int, np.ndarray]] = []
        self._of_mask: tuple[int, list[np.ndarray]] | None = None
        self._first_light = np.nan

    def update(self, batch: Batch) -> None:
        """Take further frames; a mask is measured when the frames of the next one arrive.

        Frames are divided by their incident light relative to that of the first one; a common factor does not matter.
        """
        columns = batch.columns
        for number, counts, light in zip(batch.number.tolist(), columns["counts"], columns["light"], strict=True):
            index = self._layout.mask_of(number)
            if index is None:
                continue
            if self._of_mask is not None and self._of_mask[0] != index:
                self._measure()
            if self._of_mask is None:
                self._of_mask = index, []
            if np.isnan(self._first_light):
                self._first_light = light
            self._of_mask[1].append(counts if np.isnan(light) else counts * np.float32(self._first_light / light))

    def result(self) -> Estimate:
        """Return the estimate from the masks whose frames are complete."""
        return self._estimate()

    def finish(self) -> Estimate:
        """Return the estimate from all masks; the options then name the new mask set and the masks out of tolerance."""
        self._measure()
        if self._calibration is None:
            self._begin()
        assert self._calibration is not None, "a final estimate needs frames"
        found = self._calibration.finish()
        designed = self._designed
        mask_set = MaskSet(
            f"{designed.name}, measured",
            found.patterns,
            designed.positions_mm,
            designed.pixel_size_um,
            uncertainty=found.uncertainty,
            registration=found.registration,
            design=self._layout.design,
            runs=(self._uid,),
        )
        outside = self._outside(found.registration)
        self.options |= {"mask_set": self._store.save(mask_set.reference()), "out_of_tolerance": outside}
        return self._estimate()

    def _outside(self, registration: np.ndarray) -> list[int]:
        return out_of_tolerance(registration, self.options["shift_px"], self.options["departure"])

    def _measure(self) -> None:
        if self._of_mask is not None:
            index, exposures = self._of_mask[0], np.stack(self._of_mask[1])
            self._of_mask = None
            if self._calibration is None:
                self._first.append((index, exposures))
                if len(self._first) == _FIRST:
                    self._begin()
            else:
                self._calibration.add(index, self._sharp(exposures))

    def _begin(self) -> None:
        """Measure the first masks; their noise determines the spread of light in the scintillator."""
        self._kernel = _spread_of_light([exposures for _, exposures in self._first])
        self.options["sharpened"] = self._kernel is not None
        self._calibration = self._begun()
        for index, exposures in self._first:
            self._calibration.add(index, self._sharp(exposures))
        self._first.clear()

    def _begun(self) -> MaskCalibration:
        corrections = self._corrections()
        if corrections.flat is None:
            raise ValueError("there are no flat frames: frames without a mask are needed for the transmission")
        flat = self._sharp(np.where(corrections.dead, np.nan, corrections.flat))
        scale = self._designed.pixel_size_um / self._layout.pixel_um
        return MaskCalibration(self._designed.patterns, scale, flat, corrections.told["flats"], ~np.isfinite(flat))

    def _sharp(self, frames: np.ndarray) -> np.ndarray:
        """Return frames corrected for the spread of light in the scintillator, if it is known."""
        return frames if self._kernel is None else decorrelated(frames, self._kernel)

    def _estimate(self) -> Estimate:
        calibration, (number, *shape) = self._calibration, self._designed.patterns.shape
        if calibration is None or calibration.newest is None:  # several masks are needed to find the image grid
            unknown = dict.fromkeys(("pattern", "uncertainty", "departure"), np.full(shape, np.nan, dtype=np.float32))
            registration = np.full((number, len(REGISTRATION)), np.nan)
            return Estimate({**unknown, "registration": registration}, {"measured": 0.0})
        found = calibration.finish()
        pattern, uncertainty, departure = calibration.pattern(calibration.newest)
        arrays = {"pattern": pattern, "uncertainty": uncertainty, "departure": departure, "registration": found.registration}
        figures = {
            "measured": float(np.count_nonzero(found.measured)),
            **registration_figures(found.registration),
            "out_of_tolerance": float(len(self._outside(found.registration))),
            "camera_pixel": 1 / found.grid.scale if found.grid is not None else np.nan,
        }
        return Estimate(arrays, figures)


def _spread_of_light(masks: list[np.ndarray]) -> np.ndarray | None:
    """Return the kernel of the scintillator from the noise of exposures (E, H', W') of each mask; None if white or unknown.

    The edges of masks cannot be used, because etching blurs them too.
    """
    try:
        found = [correlation_by_differences(exposures) for exposures in masks if len(exposures) > 1]
        if not found:
            return None
        values = np.mean([one.values for one in found], axis=0)
        correlation = Correlation(values, sum(one.samples for one in found))
        return kernel_of(correlation) if correlation.summed_percent > _WHITE_PERCENT else None
    except ValueError:  # too little noise to determine it
        return None


def _named(masks: set[int]) -> str:
    some = ", ".join(map(str, sorted(masks)[:_NAMED]))
    return f"mask{'' if len(masks) == 1 else 's'} {some}{' and others' if len(masks) > _NAMED else ''}"
