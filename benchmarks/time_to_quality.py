"""Processor time of the fast recipe of Noise2Ghost, relative to the published training, for an image of the same quality.

The test case is chromosomes with half-Gaussian masks, 5 times fewer realizations than pixels, and 100 photons: an object on
which no setting was chosen. The published recipe runs to its end. The fast one runs with increasing numbers of steps, each
time from the data to the image with all its parts: weight, splits, training, spread. The cheapest such run that is at least
as good as the published one counts. Each run is a line in DIRECTORY/OBJECT_seedN/runs.csv as soon as it ends, and existing
ones are not repeated. Times are processor time, without the import of the libraries.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from analysis.ghost import reconstruct
from analysis.metrics import psnr, ssim
from benchmarks._common import Claim, arguments_parser, report
from benchmarks.ghost_quality import OBJECTS, Cell, measured

CLAIMS = (
    Claim("ratio_64", "published CPU time over that of the fast recipe at the same PSNR, 64x64", at_least=100),
    Claim("ratio_100", "the same at 100x100", at_least=100),
)
SIZES = {"ratio_64": 64, "ratio_100": 100}
STEPS: tuple[int | None, ...] = (25, 50, 100, 200, 300, 400, 800, None)
"""Steps of the fast recipe; None: as many as it chooses itself."""

PUBLISHED_EPOCHS = (3000, 300, 100)
"""The claims refer to the first; the others show how its image develops."""

QUICK: dict[str, Any] = {"features": 4, "levels": 1, "splits": 2, "permutations": 2}
QUICK_STEPS: tuple[int | None, ...] = (10, 40)
QUICK_EPOCHS = (60,)

_MEASURED = ("psnr_db", "ssim", "cpu_s")


@dataclass(frozen=True)
class Run:
    """One reconstruction from data to image.

    Attributes
    ----------
    size : int
        Number of pixels along each side.
    recipe : str
    asked : str
        Requested steps or epochs, or "auto".
    steps : int
        Steps actually done.
    psnr_db, ssim, cpu_s : float
    """

    size: int
    recipe: str
    asked: str
    steps: int
    psnr_db: float
    ssim: float
    cpu_s: float

    @property
    def key(self) -> tuple[int, str, str]:
        """The key that identifies the run."""
        return self.size, self.recipe, self.asked

    @property
    def image_name(self) -> str:
        """File name of its image."""
        return f"{self.size}_{self.recipe}_{self.asked}.npy"


def main() -> None:
    """Reconstruct what is not in the directory yet, and report the results of all runs there."""
    parser = arguments_parser(__doc__)
    parser.add_argument(
        "--directory", type=Path, default=Path("time_to_quality"), help="for results and figures (default: %(default)s)"
    )
    parser.add_argument("--object", choices=OBJECTS, default="chromosomes", help="what to image (default: %(default)s)")
    parser.add_argument(
        "--sizes", type=int, nargs="+", choices=SIZES.values(), default=list(SIZES.values()), help="(default: all)"
    )
    arguments = parser.parse_args()
    directory = arguments.directory / f"{'quick_' if arguments.quick else ''}{arguments.object}_seed{arguments.seed}"
    directory.mkdir(parents=True, exist_ok=True)
    run_all(directory, arguments)
    runs = read(directory / "runs.csv")
    draw(runs, directory, arguments.object)
    report(CLAIMS, {key: ratio(runs, size) for key, size in sizes_of(arguments).items()}, table(runs), arguments.json)


def sizes_of(arguments: argparse.Namespace) -> dict[str, int]:
    """Return the size to which each key refers; small ones with --quick."""
    return {key: size // 4 if arguments.quick else size for key, size in SIZES.items()}


def run_all(directory: Path, arguments: argparse.Namespace) -> None:
    """Do the runs that are not in the directory yet, and add each when it ends."""
    fast, published = (QUICK_STEPS, QUICK_EPOCHS) if arguments.quick else (STEPS, PUBLISHED_EPOCHS)
    options = QUICK if arguments.quick else {}
    file = directory / "runs.csv"
    done = {run.key for run in read(file)}
    data = {}
    wanted: list[tuple[str, int | None]] = [("published", published[0])]
    wanted += [("fast", steps) for steps in fast] + [("published", epochs) for epochs in published[1:]]
    for recipe, steps in wanted:
        for size in (sizes_of(arguments)[f"ratio_{size}"] for size in arguments.sizes):
            if (size, recipe, str(steps or "auto")) in done:
                continue
            if size not in data:
                data[size] = measured(Cell(arguments.object, size, 5, 100), arguments.seed)
            run, image = reconstructed(*data[size], recipe, steps, options)
            np.save(directory / run.image_name, image)
            append(file, run)


def reconstructed(
    image: np.ndarray, masks: np.ndarray, buckets: np.ndarray, recipe: str, steps: int | None, options: dict[str, Any]
) -> tuple[Run, np.ndarray]:
    """Return a run and its image."""
    # imports and first calls are not part of the reconstruction's cost
    reconstruct(masks[:16, :8, :8], buckets[:16], recipe=recipe, steps=2, **QUICK)
    started = time.process_time()
    result = reconstruct(masks, buckets, recipe=recipe, steps=steps, **options)
    cpu_s = time.process_time() - started
    run = Run(
        size=len(image),
        recipe=recipe,
        asked=str(steps or "auto"),
        steps=result.options["steps"],
        psnr_db=psnr(result.image, image),
        ssim=ssim(result.image, image),
        cpu_s=cpu_s,
    )
    return run, result.image


def read(file: Path) -> list[Run]:
    """Return the runs in the file, none if it does not exist."""
    if not file.exists():
        return []
    with file.open(newline="") as stream:
        return [
            Run(int(row["size"]), row["recipe"], row["asked"], int(row["steps"]), *(float(row[key]) for key in _MEASURED))
            for row in csv.DictReader(stream)
        ]


def append(file: Path, run: Run) -> None:
    """Add a line, and the names of the fields if it is the first."""
    is_new = not file.exists()
    with file.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, [field.name for field in fields(Run)])
        if is_new:
            writer.writeheader()
        writer.writerow(asdict(run))


def published_run(runs: list[Run], size: int) -> Run | None:
    """Return the complete run of the published recipe, if there is one."""
    return max((run for run in runs if (run.size, run.recipe) == (size, "published")), key=lambda run: run.steps, default=None)


def as_good_run(runs: list[Run], size: int) -> Run | None:
    """Return the cheapest fast run that is at least as good as the published one, if any."""
    published = published_run(runs, size)
    if published is None:
        return None
    good = [run for run in runs if (run.size, run.recipe) == (size, "fast") and run.psnr_db >= published.psnr_db]
    return min(good, key=lambda run: run.cpu_s, default=None)


def ratio(runs: list[Run], size: int) -> float:
    """Return the CPU time of the published run over that of the equally good fast one; NaN if either is missing."""
    published, fast = published_run(runs, size), as_good_run(runs, size)
    return published.cpu_s / fast.cpu_s if published and fast else math.nan


def table(runs: list[Run]) -> list[str]:
    """Return a line for each run."""
    lines = [f"{'pixels':<10}{'recipe':<12}{'steps':>12}{'PSNR (dB)':>12}{'SSIM':>8}{'CPU (s)':>10}"]
    for run in sorted(runs, key=lambda run: (run.size, run.recipe, run.cpu_s)):
        steps = f"{run.steps}{' (auto)' if run.asked == 'auto' else ''}"
        lines.append(
            f"{f'{run.size}x{run.size}':<10}{run.recipe:<12}{steps:>12}{run.psnr_db:>12.2f}{run.ssim:>8.3f}{run.cpu_s:>10.2f}"
        )
    return lines


def draw(runs: list[Run], directory: Path, name: str) -> None:
    """Draw PSNR against CPU time at each size, and beside it the object and the two images compared."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    sizes = sorted({run.size for run in runs})
    figure, axes = pyplot.subplots(
        len(sizes), 4, figsize=(14, 3.6 * len(sizes)), layout="constrained", squeeze=False, width_ratios=(1.6, 1, 1, 1)
    )
    for row, size in zip(axes, sizes, strict=True):
        for recipe in ("published", "fast"):
            of_recipe = sorted((run for run in runs if (run.size, run.recipe) == (size, recipe)), key=lambda run: run.cpu_s)
            row[0].plot([run.cpu_s for run in of_recipe], [run.psnr_db for run in of_recipe], "o-", label=recipe)
        row[0].set(xscale="log", xlabel="CPU time (s)", ylabel="PSNR (dB)", title=f"{size}x{size} pixels")
        row[0].legend()
        pictures = [("object", OBJECTS[name](size))]
        for run in (published_run(runs, size), as_good_run(runs, size)):
            if run is not None:
                title = f"{run.recipe}: {run.psnr_db:.1f} dB in {run.cpu_s:.1f} s"
                pictures.append((title, np.load(directory / run.image_name)))
                if run.recipe == "published":
                    row[0].axhline(run.psnr_db, color="grey", linewidth=0.8)
        for axis in row[1:]:
            axis.set_axis_off()
        for axis, (title, image) in zip(row[1:], pictures, strict=False):
            axis.imshow(image, cmap="gray", vmin=0, vmax=1)
            axis.set_title(title)
    figure.savefig(directory / "time_to_quality.png", dpi=110)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
