"""Quality and rate of the images during a scan: Noise2Ghost and four fast methods, 64x64 pixels, 20 realizations/s.

Documents of scans of synthetic objects are logged at that rate; the worker reconstructs, the archiver writes the images to
Tiled, and another process follows them there. Objects, half-Gaussian masks (five times fewer than pixels) and noise (100
photons per pixel and realization) are those of `ghost_quality`; nothing was tuned on them. Each figure is that of the worst
object. Pictures of each object go to DIRECTORY: quality against realizations, and intermediate images.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.documents.log import LogReader, LogWriter, RunState
from analysis.documents.recipe import Recipe, derived_uid
from analysis.metrics import psnr
from analysis.techniques.ghost.mask_sets import MaskSet, MaskStore
from benchmarks._common import Claim, arguments_parser, percentile, report
from benchmarks._documents import counted_scan_documents, paced
from benchmarks._image_watcher import ImageWatcher
from benchmarks._services import Services, wait_until
from benchmarks.ghost_quality import OBJECTS, Cell, measured

CLAIMS = (
    Claim("update_period_s", "s between images of n2g from the 200th realization on, longest", below=2),
    Claim("gap_db", "dB of PSNR from n2g's newest image in Tiled at the scan's end to the finished one", below=0.5),
    Claim("gap_last_db", "dB of PSNR from n2g's live image of the last realization to the finished one", below=0.5),
    Claim("last_image_s", "s from the scan's end until that live image is in Tiled"),
    Claim("finish_s", "s from the scan's end to n2g's finished image", below=20),
    Claim("fast_update_s", "s that an update of a fast method takes, p95", below=0.3),
)
SLOW = "n2g"
METHODS = ("correlation", "differential", "normalised", "least_squares", SLOW)
PHOTONS = 100.0  # per pixel and realization
RATE = 20.0  # realizations/s
FIRST = 200  # realization from which on updates are timed
SETTLED_S = 300.0
PICTURES = 6  # intermediate images


@dataclass(frozen=True, eq=False)
class Image:
    """An estimate: its time in Tiled (s since the epoch), its realizations, its cost (s), and its quality (dB)."""

    seen: float
    last: int
    elapsed_s: float
    psnr_db: float
    pixels: np.ndarray


@dataclass(frozen=True, eq=False)
class Scan:
    """One scan: when each realization was read, when the scan ended, and each method's images, the final one last."""

    name: str
    truth: np.ndarray
    read: list[float]
    ended: float
    images: dict[str, list[Image]]

    def live(self) -> list[Image]:
        """The slow method's images that were in Tiled when the scan ended."""
        return [image for image in self.images[SLOW] if image.seen <= self.ended]

    def periods(self) -> list[float]:
        """Times between images by the slow method (s), from the one before realization `FIRST` to the end of the scan."""
        times = [image.seen for image in self.live()]
        begin = max([time for time in times if time <= self.read[FIRST - 1]], default=self.read[FIRST - 1])
        return [float(step) for step in np.diff([begin, *[time for time in times if time > begin], self.ended])]

    def figures(self) -> dict[str, float]:
        """The figures of `CLAIMS`; NaN for those that need live images if a scan has none."""
        (*before, finished), live = self.images[SLOW], self.live()
        return {
            "update_period_s": max(self.periods()),
            "gap_db": finished.psnr_db - live[-1].psnr_db if live else math.nan,
            "gap_last_db": finished.psnr_db - before[-1].psnr_db if before else math.nan,
            "last_image_s": before[-1].seen - self.ended if before else math.nan,
            "finish_s": finished.seen - self.ended,
            "fast_update_s": percentile([image.elapsed_s for image in self.fast_images()], 0.95),
        }

    def fast_images(self) -> list[Image]:
        """All images of the fast methods made during the scan."""
        return [image for method, images in self.images.items() if method != SLOW for image in images[:-1]]

    def latencies(self, method: str) -> list[float]:
        """Times (s) from the reading of a realization to the first image in Tiled that includes it."""
        images = self.images[method]
        first = [min(image.seen for image in images if image.last >= number) for number in range(1, len(self.read) + 1)]
        return [seen - read for seen, read in zip(first, self.read, strict=True)]


def main() -> None:
    """Scan, and report."""
    parser = arguments_parser(__doc__)
    parser.add_argument("--directory", type=Path, default=Path("live_quality"), help="for pictures (default: %(default)s)")
    parser.add_argument("--objects", nargs="+", choices=OBJECTS, help="objects to scan (default: all; with --quick one)")
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    objects = arguments.objects or (["letters"] if arguments.quick else list(OBJECTS))
    size, compression, rate = (32, 4.0, 3 * RATE) if arguments.quick else (64, 5.0, RATE)
    scans = scan_all([Cell(name, size, compression, PHOTONS) for name in objects], rate, arguments.seed)
    for scan in scans:
        draw(scan, arguments.directory / f"{scan.name}.png")
    figures = {claim.key: float(np.max([scan.figures()[claim.key] for scan in scans])) for claim in CLAIMS}
    report(CLAIMS, figures, [line for scan in scans for line in described(scan)], arguments.json)


def scan_all(cells: Sequence[Cell], rate: float, seed: int) -> list[Scan]:
    """Scan one object after another at this many realizations/s, each when the reconstructions of the last have ended."""
    with Services(methods=METHODS, seed=seed) as services:
        services.start("tiled", "archiver", "worker")
        patience = len(cells) * (SETTLED_S + cells[0].size ** 2 / cells[0].compression / rate)
        watcher = ImageWatcher(services.uri, services.key, len(cells) * len(METHODS), patience)
        try:
            watcher.wait_until_ready()
            runs = [(cell, scanned(services, cell, rate, seed)) for cell in cells]
            seen = watcher.result()
        finally:
            watcher.kill()
        return [what_came(services, cell, run, seed, seen) for cell, run in runs]


def scanned(services: Services, cell: Cell, rate: float, seed: int) -> str:
    """Scan an object, wait until its reconstructions have ended, and return the run's uid."""
    _, patterns, buckets = measured(cell, seed)
    masks = MaskSet("half-Gaussian", patterns, np.zeros((len(patterns), 2)), 10.0)
    MaskStore(services.state_dir).save(masks)
    uid = str(uuid.uuid4())
    diode, monitor = np.rint(buckets * cell.photons), np.full(len(buckets), cell.photons * cell.size**2)
    writer = LogWriter(services.logs.raw)
    for name, doc in paced(
        counted_scan_documents(masks, diode, monitor, uid=uid, sample=cell.name, seed=seed, recipes=list(METHODS)), rate
    ):
        writer(name, doc)
    writer.close()
    processed = LogReader(services.logs.processed)
    derived = [derived_uid(uid, Recipe(method)) for method in METHODS]
    wait_until(lambda: all(processed.state(one) is RunState.ENDED for one in derived), SETTLED_S, f"images of {cell.name}")
    processed.close()
    return uid


def what_came(services: Services, cell: Cell, uid: str, seed: int, seen: list[tuple[str, float, int]]) -> Scan:
    """Combine the documents of a scan with the times at which its images were in Tiled."""
    truth, _, _ = measured(cell, seed)
    raw = list(LogReader(services.logs.raw).documents(uid))
    processed = LogReader(services.logs.processed)
    images = {}
    for method in METHODS:
        run = derived_uid(uid, Recipe(method))
        events = [record.doc["data"] for record in processed.documents(run) if record.name == "event"]
        times = [time for one, time, _ in seen if one == run]
        images[method] = [
            Image(time, data["number_last"], data["elapsed_s"], psnr(data["image"], truth), data["image"])
            for data, time in zip(events, times, strict=True)
        ]
    return Scan(
        name=cell.name,
        truth=truth,
        read=[record.doc["time"] for record in raw if record.name == "event"],
        ended=raw[-1].doc["time"],
        images=images,
    )


def described(scan: Scan) -> list[str]:
    """Lines about a scan."""
    periods, figures, slow, live = scan.periods(), scan.figures(), scan.images[SLOW], scan.live()
    rate = (len(scan.read) - 1) / (scan.read[-1] - scan.read[0])
    at_end = f"{live[-1].psnr_db:.2f} dB of {live[-1].last} realizations" if live else "none"
    *before, finished = slow
    last = f"{before[-1].psnr_db:.2f} dB of {before[-1].last} after {figures['last_image_s']:.1f} s" if before else "none"
    lines = [
        f"{scan.name}: {len(scan.read)} realizations at {rate:.1f}/s",
        f"  {SLOW}: {len(slow)} images, of {slow[0].last} realizations the first; between images "
        f"{percentile(periods, 0.5):.2f} s (median), {percentile(periods, 0.95):.2f} s (p95), {max(periods):.2f} s (longest)",
        f"    computing {percentile([image.elapsed_s for image in slow[1:-1]], 0.5):.2f} s an image; at the end {at_end}; "
        f"last live image {last}; {finished.psnr_db:.2f} dB finished, after {figures['finish_s']:.1f} s",
    ]
    for method in METHODS:
        if method != SLOW:
            images, late = scan.images[method], scan.latencies(method)
            lines.append(
                f"  {method}: {len(images)} images, {images[-1].psnr_db:.2f} dB; computing "
                f"{percentile([image.elapsed_s for image in images], 0.95):.3f} s (p95); from a read to an image in Tiled "
                f"{percentile(late, 0.5):.2f} s (median), {percentile(late, 0.95):.2f} s (p95)"
            )
    return lines


def draw(scan: Scan, file: Path) -> None:
    """Draw quality against realizations, and intermediate images of the slow method."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    live = scan.live()
    steps = np.linspace(0, len(live) - 1, min(PICTURES, len(live)))
    chosen = [live[index] for index in steps.round().astype(int)]
    shown = [(image.pixels, f"{image.last}: {image.psnr_db:.1f} dB") for image in chosen]
    *before, final = scan.images[SLOW]
    shown += [(last.pixels, f"last live: {last.psnr_db:.1f} dB") for last in before[-1:]]
    shown += [(final.pixels, f"finished: {final.psnr_db:.1f} dB"), (scan.truth, "object")]
    figure = pyplot.figure(figsize=(13, 6), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=(2, 1))
    axis = upper.subplots()
    for method, images in scan.images.items():
        (line,) = axis.plot([image.last for image in images[:-1]], [image.psnr_db for image in images[:-1]], ".-", label=method)
        axis.plot(images[-1].last, images[-1].psnr_db, "*", color=line.get_color(), markersize=12)
    axis.set(xlabel="realizations", ylabel="PSNR (dB)", title=f"{scan.name}: updates, and the finished images (stars)")
    axis.legend(loc="upper left")
    for one, (pixels, title) in zip(lower.subplots(1, len(shown)), shown, strict=True):
        one.imshow(pixels, cmap="gray", vmin=0, vmax=scan.truth.max())
        one.set_title(title, fontsize=9)
        one.set_axis_off()
    figure.savefig(file, dpi=120)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
