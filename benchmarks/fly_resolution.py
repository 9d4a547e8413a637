"""Resolution of a fly scan with few photons per frame: as measured, binned, denoised, and with a known path of the motion.

The simulated star is scanned in fine steps, as in Erin et al., J. Phys.: Conf. Ser. 3010, 012172 (2025), table 1, where the
original, denoised, binned, and binned and denoised reconstructions have 126, 134, 121 and 108 nm by FRC of a single image.
Here each also has the FRC of two halves of the frames, reconstructed and denoised separately, and the error relative to the
truth. All start with the ideal probe of the optics.
"""

from __future__ import annotations

import math
import time

import numpy as np
import scipy.fft
import torch

from analysis.imaging.deep_image_prior import deep_image_prior
from analysis.imaging.denoise import non_local_means, total_variation
from analysis.imaging.hallucination import check_denoised
from analysis.metrics import frc_resolution, single_image_frc_resolution
from analysis.ptychography.backend import Backend
from analysis.ptychography.canvas import Canvas, path_of_exposure
from analysis.ptychography.epie import Frames
from analysis.ptychography.geometry import Geometry
from analysis.ptychography.streaming import BLOCK, StreamingEpie, Sweeps
from benchmarks._common import Claim, arguments_parser, report
from sims.phase_samples import make_phase_sample
from sims.zone_plate import Optics

CLAIMS = (
    Claim("gain_known_path", "error of the best of the paper's four choices over that of binned with the known path", at_least=1),
    Claim("resolution_gain", "the same of the two-half FRC resolution", at_least=1),
    Claim("error", "rms phase error of binned with the known path, rad"),
)
STEP_PX = 0.43  # 25 nm
PHOTONS = 1400.0  # of 4e7/s at 28 kHz


class FlyScan:
    """Frames of 96x96 pixels that span the detector, of a sample that moves continuously along x."""

    def __init__(self, lines: int, points: int, seed: int, sample: str = "star") -> None:
        rng = np.random.default_rng(seed)
        optics = Optics(pixels=96, detector_pixel_um=200.0)
        self.side, self.points = optics.pixels, points
        self.geometry = Geometry.far_field((96, 96), optics.energy_kev, optics.distance_mm * 1e3, optics.detector_pixel_um)
        extent = int(points * STEP_PX)
        pitch = extent / lines
        y, x = np.divmod(np.arange(lines * points), points)
        x = np.where(y % 2 == 1, points - 1 - x, x)
        self.places = np.stack([y * pitch, x * STEP_PX], axis=1) + 8.0
        size = extent + self.side + 16
        self.canvas = Canvas((0.0, 0.0), self.geometry.pixel_um, (size, size), (self.side, self.side))
        self.object = make_phase_sample(sample, size, optics.pixel_um, seed)
        self.probe = optics.probe()
        probe = self.probe * np.sqrt(PHOTONS)
        self.frames = np.empty((len(self.places), self.side, self.side), dtype=np.uint16)
        for frame, (row, column) in zip(self.frames, np.rint(self.places).astype(int), strict=True):
            wave = scipy.fft.fft2(probe * self.object[row : row + self.side, column : column + self.side], norm="ortho")
            frame[...] = rng.poisson(wave.real**2 + wave.imag**2)

    def exposures(self, binning: int, half: int | None) -> list[np.ndarray]:
        """Frames of each exposure: all of them, or those of one half, that is, every second frame or bin."""
        lines = np.arange(len(self.frames)).reshape(-1, self.points)
        bins = [part for line in lines for part in np.array_split(line, max(1, round(self.points / binning)))]
        return bins if half is None else bins[half::2]

    def object_by_epie(self, binning: int, *, known_path: bool, sweeps: int, half: int | None = None) -> np.ndarray:
        """The object."""
        exposures = self.exposures(binning, half)

        def read(block: int) -> Frames:
            chosen = exposures[block * BLOCK : (block + 1) * BLOCK]
            counts = np.stack([self.frames[one].sum(axis=0, dtype=np.float32) for one in chosen])
            paths = [self._path(one) if known_path else self.places[one].mean(axis=0, keepdims=True) for one in chosen]
            total = counts.sum(axis=(1, 2), dtype=float)
            return Frames(np.sqrt(counts), np.ones(len(chosen), dtype=bool), total, paths)

        first = self.probe * np.float32(np.sqrt(np.mean(read(0).counts)))
        epie = StreamingEpie(self.geometry, self.canvas.shape, first[None], read, backend=Backend())
        for _ in range(-(-len(exposures) // BLOCK)):
            epie.take_block()
        return epie.finish(Sweeps(sweeps, max(1, sweeps // 3))).object

    def _path(self, exposure: np.ndarray) -> np.ndarray:
        first, last = self.places[exposure[0]], self.places[exposure[-1]]
        half = (last - first) / max(1, len(exposure) - 1) / 2
        return path_of_exposure(first - half, last + half)

    @property
    def inner(self) -> tuple[slice, slice]:
        """The part that was always illuminated."""
        margin = self.side // 2 + 10
        return (slice(margin, -margin),) * 2

    def phase(self, found: np.ndarray) -> np.ndarray:
        """The phase of the inner part; constant and linear phase, which the frames do not determine, are those of the truth."""
        ratio = found[self.inner].astype(np.complex128) * self.object[self.inner].conj()
        axes = [np.arange(size) - (size - 1) / 2 for size in ratio.shape]
        for _ in range(3):
            slopes = [np.angle((ratio[1:] * ratio[:-1].conj()).sum()), np.angle((ratio[:, 1:] * ratio[:, :-1].conj()).sum())]
            ratio = ratio * np.exp(-1j * (slopes[0] * axes[0][:, None] + slopes[1] * axes[1][None, :]))
        ratio *= np.exp(-1j * np.angle(ratio.sum()))
        return np.asarray(np.angle(ratio * self.object[self.inner]), dtype=np.float32)

    def error(self, phase: np.ndarray) -> float:
        """Root mean square of the phase error, rad."""
        return float(np.sqrt(np.mean((phase - np.angle(self.object[self.inner])) ** 2)))


def main() -> None:
    """Measure and report."""
    parser = arguments_parser(__doc__)
    parser.add_argument("--binning", type=int, default=16, help="frames of a bin (default: %(default)s)")
    parser.add_argument("--picture", help="draw the phases into this PNG")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    lines, points, sweeps, steps = (12, 240, 8, 50) if arguments.quick else (20, 320, 15, 2000)
    scan = FlyScan(lines, points, arguments.seed)
    nm = 1e3 * scan.geometry.pixel_um

    def denoised(phases: list[np.ndarray]) -> list[np.ndarray]:
        # Each has a network of its own: with a common one, its artefacts would be alike in both halves.
        return [
            deep_image_prior(phase, learning_rate=1e-3, max_steps=steps, seed=3 * arguments.seed + number).image
            for number, phase in enumerate(phases)
        ]

    windows = np.hanning(scan.phase(scan.object).shape[0])
    window = windows[:, None] * windows[None, :]
    rows: dict[str, tuple[float, float]] = {}
    pictures: dict[str, np.ndarray] = {}
    table = [f"{'':36} error  two halves  1/7  single image  (nm)  checks"]
    for binning in (1, arguments.binning):
        for known_path in (False, True):
            if binning == 1 and known_path:
                continue  # a frame moves by less than a pixel
            began = time.monotonic()
            found = [
                scan.phase(scan.object_by_epie(binning, known_path=known_path, sweeps=sweeps, half=half)) for half in (None, 0, 1)
            ]
            name = f"{'original' if binning == 1 else f'binned {binning}'}{', known path' if known_path else ''}"
            took = time.monotonic() - began
            treated = {
                "": found,
                ", prior": denoised(found),
                ", TV": [total_variation(one) for one in found],
                ", means": [non_local_means(one) for one in found],
            }
            for word, images in treated.items():
                checks = check_denoised(found[0], images[0]).remarks if word else []
                cut = [(image - image.mean()) * window for image in images]
                resolution = frc_resolution(cut[1], cut[2]) * nm
                rows[name + word] = scan.error(images[0]), resolution
                pictures[name + word] = images[0]
                seventh, single = frc_resolution(cut[1], cut[2], "1/7") * nm, single_image_frc_resolution(cut[0]) * nm
                table.append(
                    f"{name + word:36} {rows[name + word][0]:.3f}  {resolution:8.0f}  {seventh:6.0f}  {single:8.0f}     "
                    f"{'; '.join(checks)}"
                )
            table.append(f"{'':36} three reconstructions took {took:.0f} s")
    binned = f"binned {arguments.binning}"
    paper = [rows[name] for name in ("original", "original, prior", binned, f"{binned}, prior")]
    ours = rows[f"{binned}, known path"]
    best = [min((choice[index] for choice in paper if not math.isnan(choice[index])), default=math.nan) for index in (0, 1)]
    figures = {"gain_known_path": best[0] / ours[0], "resolution_gain": best[1] / ours[1], "error": ours[0]}
    if arguments.picture:
        _draw(arguments.picture, {"truth": np.angle(scan.object[scan.inner]), **pictures})
    report(CLAIMS, figures, table, arguments.json)


def _draw(path: str, pictures: dict[str, np.ndarray]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * 5, 4 * -(-len(pictures) // 5)), layout="constrained")
    panels = figure.subplots(-(-len(pictures) // 5), 5, squeeze=False).ravel()
    for axes, (title, image) in zip(panels, pictures.items(), strict=False):
        axes.imshow(image, cmap="gray", vmin=-0.3, vmax=1.1)
        axes.set_title(title)
    for axes in panels:
        axes.set_axis_off()
    figure.savefig(path, dpi=70)


if __name__ == "__main__":
    main()
