"""How soon a fly scan's object and probe are known, their quality after the last frame, and the memory of a long scan.

A simulated star is scanned by a beam whose defocus is in the start document; frames of 96x96 pixels are ingested and
reconstructed like a run, with intermediate estimates. Likeness is the correlation of the phase with the truth in the area
that the middle of the beam has reached; at 0.5 an object is recognisable.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import scipy.fft

from analysis.documents.log import LogReader, log_paths
from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceStore
from analysis.offline.ingest import ingest
from analysis.techniques import technique_of
from analysis.worker.compute import computed
from analysis.worker.drive import Drive
from analysis.worker.pace import Points
from benchmarks._common import Claim, arguments_parser, report
from benchmarks._phase_error import aligned_phase, likeness, phase_error
from sims.phase_samples import make_phase_sample
from sims.zone_plate import Optics

CLAIMS = (
    Claim("first_fraction", "part of the scan after which the object is recognisable", below=0.2),
    Claim("error_ratio", "phase error when the last frame has come, over that of the finished object", at_most=1.2),
    Claim("memory_growth", "memory at ten times as many frames", at_most=1.2),
    Claim("identical", "arrays of the finished object that are the same however the frames arrive, of 4", exactly=4),
    Claim("likeness", "correlation of the finished phase with the truth"),
    Claim("likeness_untold", "the same where nobody tells the defocus"),
)
PHOTONS = 2e4
FIELD_UM = 6.0
RECOGNISABLE = 0.5


class Scan:
    """A fly scan in lines over the same field, ingested into a state directory."""

    def __init__(self, folder: Path, num: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        optics = Optics(pixels=96, detector_pixel_um=200.0)
        side, extent = optics.pixels, int(FIELD_UM / optics.pixel_um)
        lines = max(12, round((num / 4) ** 0.5))
        points = num // lines
        y, x = np.divmod(np.arange(lines * points), points)
        x = np.where(y % 2 == 1, points - 1 - x, x)
        places = np.rint(np.stack([y * extent / lines, x * extent / points], axis=1))  # the sample consists of pixels
        self.truth = make_phase_sample("star", extent + side, optics.pixel_um, seed)
        probe = optics.probe() * np.sqrt(PHOTONS)
        frames = np.empty((len(places), side, side), dtype=np.uint16)
        for frame, (row, column) in zip(frames, places.astype(int), strict=True):
            wave = scipy.fft.fft2(probe * self.truth[row : row + side, column : column + side], norm="ortho")
            frame[...] = rng.poisson(np.fft.fftshift(wave.real**2 + wave.imag**2))
        file = folder / f"scan_{num}.npz"
        np.savez(
            file, diffraction=frames, scan=places, energy_kev=optics.energy_kev, distance_mm=optics.distance_mm,
            detector_pixel_um=optics.detector_pixel_um,
        )  # fmt: skip
        self.state_dir = folder / f"state_{num}"
        uid = ingest(file, self.state_dir, recipes=[Recipe("epie")])
        file.unlink()
        self.rows = np.maximum.accumulate(places[:, 0]).astype(int)  # of the middle of the beam, from the first line on
        self.documents = [(record.name, record.doc) for record in LogReader(log_paths(self.state_dir).raw).documents(uid)]
        self.documents[0][1]["ptychography"]["probe"] = {"defocus_mm": optics.defocus_mm}
        self.inner = (slice(side // 2, -side // 2),) * 2
        self.margin = (lines, points, extent)

    def estimates(self, recipe: Recipe, points: list[int]) -> Iterator[Any]:
        """Estimates in a separate process, as they are stored."""
        start, *others = self.documents
        yield from computed(self.state_dir, start[1], recipe, others, segments=[points])

    def compared(self, arrays: Any, used: int) -> tuple[np.ndarray, np.ndarray]:
        """The phase where the middle of the beam was during the first frames, aligned with the truth, and the truth there."""
        lines, points, extent = self.margin
        rows, columns = (int(np.ceil(extent / number)) for number in (lines, points))  # the canvas begins one step earlier
        field = arrays["object_amplitude"] * np.exp(1j * arrays["object_phase"])
        height, width = self.truth.shape
        first, last = self.inner[0].start, height + self.inner[0].stop
        reached = slice(first, min(last, first + self.rows[used - 1] + first // 2))  # half the radius of the beam further
        region = (reached, self.inner[1])
        truth = self.truth[region]
        return aligned_phase(field[rows : rows + height, columns : columns + width][region], truth), truth


@contextmanager
def watched() -> Iterator[dict[str, float]]:
    """Record the peak of the memory of child processes (MB) within the block."""
    peak, done = {"mb": 0.0}, threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            for child in psutil.Process().children():
                try:
                    peak["mb"] = max(peak["mb"], child.memory_info().rss / 1e6)
                except psutil.Error:
                    continue

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def main() -> None:
    """Measure and report."""
    arguments = arguments_parser(__doc__).parse_args()
    short = 300 if arguments.quick else 2000
    recipe = Recipe("epie", {"orientation": "+y+x"}, seed=arguments.seed)
    quickly = Recipe("epie", {"orientation": "+y+x", "sweeps": 1, "averaged": 1}, seed=arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        scan = Scan(Path(folder), short, arguments.seed)
        points = [short * part // 20 for part in range(2, 21, 2)]
        began = time.monotonic()
        made = list(scan.estimates(recipe, points))
        took = time.monotonic() - began
        course = [(one.timed.standing.used, one.timed.estimate.arrays) for one in made]
        like = [(used, likeness(*scan.compared(arrays, used))) for used, arrays in course[:-1]]
        first = next((used for used, value in like if value >= RECOGNISABLE), short)
        errors = [phase_error(*scan.compared(arrays, used)) for used, arrays in course[-2:]]
        identical = _identical(scan, recipe, course[-1][1])
        del scan.documents[0][1]["ptychography"]["probe"]
        *_, last = scan.estimates(recipe, [])
        untold = likeness(*scan.compared(last.timed.estimate.arrays, last.timed.standing.used))
        peaks = []
        for num in (short, 10 * short):
            longer = scan if num == short else Scan(Path(folder), num, arguments.seed)
            with watched() as peak:
                for _ in longer.estimates(quickly, []):
                    pass
            peaks.append(peak["mb"])
    figures = {
        "first_fraction": first / short,
        "error_ratio": errors[0] / errors[1],
        "memory_growth": peaks[1] / peaks[0],
        "identical": float(identical),
        "likeness": likeness(*scan.compared(course[-1][1], course[-1][0])),
        "likeness_untold": untold,
    }
    details = [
        f"{short} frames, all estimates in {took:.0f} s; phase error {errors[0]:.3f} rad, finished {errors[1]:.3f}",
        "likeness: " + ", ".join(f"{used}: {value:.2f}" for used, value in like),
        f"memory {peaks[0]:.0f} MB, with ten times as many frames {peaks[1]:.0f} MB",
    ]
    report(CLAIMS, figures, details, arguments.json)


def _identical(scan: Scan, recipe: Recipe, arrays: Any) -> int:
    """Arrays that have the same bits if all documents arrive at once and there are no live estimates."""
    start, *others = scan.documents
    run = technique_of(start[1]).open(start[1], ReferenceStore(scan.state_dir))
    *_, last = Drive(run, recipe, lambda: iter(others), Points()).estimates()
    return sum(last.estimate.arrays[name].tobytes() == array.tobytes() for name, array in arrays.items())


if __name__ == "__main__":
    main()
