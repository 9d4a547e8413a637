"""Object and probe of a scan by ePIE: what connects its documents with `analysis.ptychography`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from analysis.documents.batch import Batch
from analysis.documents.recipe import Recipe
from analysis.estimate import Estimate, Quantity, image_quantity
from analysis.ptychography.backend import Backend
from analysis.ptychography.canvas import motion_during_frames, path_of_exposure
from analysis.ptychography.epie import Epie, Frames
from analysis.ptychography.orientation import ORIENTATIONS, best_orientation, turned
from analysis.ptychography.streaming import BLOCK, Picture, StreamingEpie, Sweeps
from analysis.techniques.ptychography.experiment import Experiment

DEFAULTS: Mapping[str, Any] = {
    "sweeps": 30,
    "averaged": 10,
    "modes": 1,
    "binning": 1,
    "known_path": True,
    "orientation": None,
    "defocus_mm": None,
}
_LIMITS = {"sweeps": (0, 10_000), "averaged": (1, 10_000), "modes": (1, 32), "binning": (1, 1000)}
_KEPT_BYTES = 2**27  # of frames that were made ready
_READ_AT_ONCE = 256  # frames
_TESTED = 200  # exposures that tell the orientation
_TESTED_LINES = 8  # of the scan's grid, at least


class StoredFrames(Protocol):
    """The detector's file, as far as its frames were handed out."""

    def pixels(self, rows: np.ndarray) -> np.ndarray:
        """Frames (B, H, W) by their rows."""

    def pixels_marked_in(self, dataset: str) -> np.ndarray:
        """Where a data set (H, W) isn't zero."""

    def close(self) -> None:
        """Close the file; it is opened again when it is read."""


def checked_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """All options with their defaults.

    Raises
    ------
    ValueError
        If one is unknown, or its value makes no sense; the message says what does.
    """
    unknown = [str(name) for name in options if name not in DEFAULTS]
    if unknown:
        raise ValueError(f"epie has no option {', '.join(unknown)}; it has {', '.join(DEFAULTS)}")
    chosen = {**DEFAULTS, **options}
    for name, (low, high) in _LIMITS.items():
        value = chosen[name]
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"the option {name} of epie must be a whole number from {low} to {high}, not {value!r}")
    if not isinstance(chosen["known_path"], bool):
        raise ValueError(f"the option known_path of epie must be true or false, not {chosen['known_path']!r}")
    if chosen["orientation"] is not None and chosen["orientation"] not in ORIENTATIONS:
        named = ", ".join(ORIENTATIONS)
        raise ValueError(f"the option orientation of epie must be null or one of {named}, not {chosen['orientation']!r}")
    defocus = chosen["defocus_mm"]
    if defocus is not None and (isinstance(defocus, bool) or not isinstance(defocus, int | float) or not abs(defocus) < 1e5):
        raise ValueError(f"the option defocus_mm of epie must be null or a distance from -1e5 to 1e5 mm, not {defocus!r}")
    return chosen


def epie_quantities(experiment: Experiment, options: Mapping[str, Any]) -> dict[str, Quantity]:
    """Arrays and figures of an estimate."""
    height, width = experiment.geometry.shape
    probe = (height, width * options["modes"])
    return {
        "object_phase": image_quantity("phase of the object", experiment.canvas.shape, "rad"),
        "object_amplitude": image_quantity("amplitude of the object", experiment.canvas.shape),
        "probe_amplitude": image_quantity("amplitude of the probe", probe, "counts^(1/2)"),
        "probe_phase": image_quantity("phase of the probe", probe, "rad"),
        "residual": Quantity("error of the amplitudes", lower_is_better=True),
        "dose": Quantity("counts in all frames so far", "counts"),
    }


class EpieReconstruction:
    """ePIE of one run.

    Parameters
    ----------
    experiment : Experiment
    saturation : int or None
        Counts from which on a pixel is saturated.
    columns : int
        Points of a line of the scan's grid.
    stored : callable
        Returns the frames; called when they are needed, since they are not known before the first documents.
    recipe : Recipe

    Raises
    ------
    ValueError
        If an option makes no sense, or there is no such device.
    """

    def __init__(
        self,
        experiment: Experiment,
        saturation: int | None,
        columns: int,
        stored: Callable[[], StoredFrames],
        recipe: Recipe,
    ) -> None:
        self.options: dict[str, Any] = checked_options(recipe.options)
        if self.options["orientation"] is None:
            self.options["orientation"] = experiment.orientation
        self._spread = 1.0
        if self.options["defocus_mm"] is not None:
            if experiment.wavelength_um is None or experiment.geometry.fresnel is not None:
                raise ValueError(
                    "the option defocus_mm of epie is for scans in the far field whose energy is known: leave it out"
                )
            self._spread = experiment.geometry.spread(experiment.wavelength_um, 1e3 * self.options["defocus_mm"])
        self._experiment = experiment
        self._saturation, self._columns = saturation, columns
        self._stored = stored
        self._seed, self._backend = recipe.seed, Backend(recipe.device)
        self._scan = _Scan(self.options["binning"])
        self._dose = float("nan")
        self._epie: StreamingEpie | None = None
        self._kept: OrderedDict[int, Frames] = OrderedDict()
        self._bad: np.ndarray | None = None

    def update(self, batch: Batch) -> None:
        """Take further frames."""
        columns = batch.columns
        places = self._experiment.canvas.pixels(np.stack([columns["y"], columns["x"]], axis=1))
        self._scan.add(batch.number, columns["row"], columns["cell"] // self._columns, places)
        self._dose = float(columns["dose"][-1])
        if self.options["orientation"] is None and not self._scan.tells_orientation():
            return
        while self._scan.blocks(ended=False) > self._taken:
            self._take_block()

    def result(self) -> Estimate:
        """Object and probe now, of whole blocks of frames; before the first one an object that does nothing, and no probe."""
        if self._epie is None:
            geometry, canvas = self._experiment.geometry, self._experiment.canvas
            dark = np.zeros((self.options["modes"], *geometry.shape), dtype=np.complex64)
            return self._estimate(Picture(np.ones(canvas.shape, dtype=np.complex64), dark, float("nan")))
        return self._estimate(self._epie.picture())

    def finish(self) -> Estimate:
        """Object and probe after sweeps over all frames, with what was left of the last block."""
        while self._scan.blocks(ended=True) > self._taken:
            self._take_block()
        assert self._epie is not None
        picture = self._epie.finish(Sweeps(self.options["sweeps"], self.options["averaged"]))
        self._stored().close()
        return self._estimate(picture)

    @property
    def _taken(self) -> int:
        return 0 if self._epie is None else self._epie.blocks

    def _take_block(self) -> None:
        if self._epie is None:
            if self._experiment.bad_pixels is not None:
                self._bad = self._stored().pixels_marked_in(self._experiment.bad_pixels)
            if self.options["orientation"] is None:
                self.options["orientation"] = self._find_orientation()
            first = self._frames_of(0)
            self._epie = StreamingEpie(
                self._experiment.geometry,
                self._experiment.canvas.shape,
                self._first_probe(first)[None],
                self._frames_of,
                modes=self.options["modes"],
                seed=self._seed,
                backend=self._backend,
            )
        self._epie.take_block()

    def _find_orientation(self) -> str:
        chosen = self._scan.around_the_middle()

        def error(orientation: str, epochs: int) -> float:
            frames = self._prepared(chosen, orientation)
            probe = self._first_probe(frames)[None]
            epie = Epie(self._experiment.geometry, self._experiment.canvas.shape, probe, self._backend)
            rng = np.random.default_rng((self._seed, 3))
            missed = np.inf
            for _ in range(epochs):
                missed = float(epie.update(frames, rng.permutation(len(frames)), 1.0).mean())
            return missed

        return best_orientation(error)[0]

    def _first_probe(self, frames: Frames) -> np.ndarray:
        amplitude = self._backend.numpy(frames.amplitude).astype(np.float64)
        measured = amplitude >= 0
        intensity = (np.where(measured, amplitude, 0.0) ** 2).sum(axis=0) / np.maximum(measured.sum(axis=0), 1)
        return self._experiment.geometry.first_probe(intensity, self._spread)

    def _frames_of(self, block: int) -> Frames:
        kept = self._kept.pop(block, None)
        if kept is None:
            kept = self._prepared(self._scan.block(block), self.options["orientation"])
            room = max(1, _KEPT_BYTES // (4 * BLOCK * int(np.prod(self._experiment.geometry.shape))))
            while len(self._kept) >= room:
                self._kept.popitem(last=False)
        self._kept[block] = kept
        return kept

    def _prepared(self, exposures: list[slice], orientation: str) -> Frames:
        """Frames of some exposures, each the sum of the frames of a slice of the scan."""
        totals = self._totals(exposures)
        counts = np.asarray(np.nansum(totals, axis=(1, 2), dtype=np.float64))
        amplitude = self._laid_out(totals, orientation)
        live = self._experiment.live_fraction if self.options["known_path"] else 0.0
        paths = [self._path(exposure, live) for exposure in exposures]
        complete = np.asarray((amplitude >= 0).all(axis=(1, 2)))
        return Frames(self._backend.asarray(amplitude), complete, counts, paths)

    def _totals(self, exposures: list[slice]) -> np.ndarray:
        """Counts of each exposure, float32 (E, H, W); NaN where a pixel is bad or was saturated in one of its frames."""
        totals: list[np.ndarray] = []
        first = 0
        while first < len(exposures):
            last = first
            rows: list[np.ndarray] = []
            while last < len(exposures) and sum(len(some) for some in rows) < _READ_AT_ONCE:
                rows.append(self._scan.rows[exposures[last]])
                last += 1
            frames = self._stored().pixels(np.concatenate(rows))
            missing = np.zeros(frames.shape, dtype=bool)
            if frames.dtype.kind in "iu":  # a detector writes the largest number for a pixel that is bad or has overflowed
                limit = np.iinfo(frames.dtype).max
                missing = frames >= (limit if self._saturation is None else min(limit, self._saturation))
            if self._bad is not None:
                missing |= self._bad
            counts = frames.astype(np.float32)
            counts[missing] = np.nan
            if len(rows) == len(frames):
                totals.append(counts)
            else:
                edges = np.cumsum([len(some) for some in rows])[:-1]
                totals.append(
                    np.stack([part.sum(axis=0, dtype=np.float64) for part in np.split(counts, edges)]).astype(np.float32)
                )
            first = last
        return np.concatenate(totals)

    def _laid_out(self, totals: np.ndarray, orientation: str) -> np.ndarray:
        """Square roots of counts (E, H, W) in the order of the propagator; -1 where nothing was measured."""
        axes = (-2, -1)
        root = np.sqrt(totals)
        if not self._experiment.centred:
            root = np.fft.fftshift(root, axes)
        root = turned(root, orientation)
        shape = self._experiment.geometry.shape
        if root.shape[1:] != shape:
            more = [side - own for side, own in zip(shape, root.shape[1:], strict=True)]
            if min(more) < 0:
                raise ValueError(f"frames turned to {orientation} are {root.shape[1:]}, which is not {shape}: they aren't square")
            root = np.pad(root, [(0, 0), *((extra // 2, extra - extra // 2) for extra in more)], constant_values=np.nan)
        if self._experiment.geometry.fresnel is None:
            root = np.fft.ifftshift(root, axes)
        return np.nan_to_num(root, nan=-1.0)

    def _path(self, exposure: slice, live: float) -> np.ndarray:
        """Where the sample was during an exposure, in pixels."""
        positions = self._scan.positions[exposure]
        if not self.options["known_path"]:
            return positions.mean(axis=0, keepdims=True)
        first, last = max(0, exposure.start - 1), exposure.stop + 1
        moved = motion_during_frames(self._scan.numbers[first:last], self._scan.positions[first:last], live)
        moved = moved[exposure.start - first :][: len(positions)]
        if len(positions) == 1:
            return path_of_exposure(positions[0] - moved[0] / 2, positions[0] + moved[0] / 2)
        return path_of_exposure(positions[0] - moved[0] / 2, positions[-1] + moved[-1] / 2)

    def _estimate(self, picture: Picture) -> Estimate:
        mean = picture.object.mean()
        turned_object = picture.object * (mean.conj() / abs(mean) if mean else 1.0)
        modes = np.concatenate(list(picture.probe), axis=1)
        arrays = {
            "object_phase": np.angle(turned_object),
            "object_amplitude": np.abs(turned_object),
            "probe_amplitude": np.abs(modes),
            "probe_phase": np.angle(modes),
        }
        return Estimate(
            {name: array.astype("<f4") for name, array in arrays.items()}, {"residual": picture.residual, "dose": self._dose}
        )


class _Scan:
    """What is kept of every frame: its trigger, its row in the file and its position; and which of them are one exposure.

    Frames of an exposure are of one line, and of consecutive triggers but for those that were lost.
    """

    def __init__(self, binning: int) -> None:
        self._binning = binning
        self._columns: list[tuple[np.ndarray, ...]] = []
        self.numbers, self.rows, self._lines = (np.empty(0, dtype=np.int64) for _ in range(3))
        self.positions = np.empty((0, 2))
        self._starts: list[int] = []

    def add(self, numbers: np.ndarray, rows: np.ndarray, lines: np.ndarray, positions: np.ndarray) -> None:
        """Take further frames."""
        known = len(self.numbers)
        self.numbers, self.rows = np.append(self.numbers, numbers), np.append(self.rows, rows)
        self._lines, self.positions = np.append(self._lines, lines), np.concatenate([self.positions, positions])
        if self._binning == 1:
            self._starts.extend(range(known, len(self.numbers)))
            return
        for index in range(known, len(self.numbers)):
            first = self._starts[-1] if self._starts else None
            full = first is None or self.numbers[index] >= self.numbers[first] + self._binning
            if full or self._lines[index] != self._lines[first]:
                self._starts.append(index)

    def blocks(self, *, ended: bool) -> int:
        """Blocks of exposures that are whole: the exposure behind has begun, or there are no more."""
        return -(-len(self._starts) // BLOCK) if ended else max(0, len(self._starts) - 1) // BLOCK

    def block(self, number: int) -> list[slice]:
        """The exposures of a block."""
        return [self._exposure(index) for index in range(number * BLOCK, min(len(self._starts), (number + 1) * BLOCK))]

    def tells_orientation(self) -> bool:
        """Whether those exposures have come by which orientations are compared."""
        needed = self._needed()
        return needed is not None and len(self._starts) > needed

    def around_the_middle(self) -> list[slice]:
        """Exposures near each other, in order, by which orientations are compared."""
        starts = np.array(self._starts[: self._needed()])
        places = self.positions[starts]
        far = np.hypot(*(places - np.median(places, axis=0)).T)
        return [self._exposure(int(index)) for index in np.sort(np.argsort(far, kind="stable")[:_TESTED])]

    def _needed(self) -> int | None:
        """The first exposures that are enough and in enough lines; None if there are no such."""
        _, first = np.unique(self._lines, return_index=True)
        if len(first) < _TESTED_LINES:
            return None
        return max(_TESTED, int(np.searchsorted(self._starts, np.sort(first)[_TESTED_LINES - 1])))

    def _exposure(self, index: int) -> slice:
        last = self._starts[index + 1] if index + 1 < len(self._starts) else len(self.numbers)
        return slice(self._starts[index], last)
