"""Speed of ePIE on one core, compared with its two Fourier transforms alone.

The limit is two transforms of that size and type with the fastest installed library, measured in the same run. Seconds are
processor time. A real near-field scan, ptycho_p25_nearfield.npz, gives the frames per second and the error after 8 sweeps,
and the time that cdtools takes to reach the same error, if it is installed (`pip install cdtools-py==0.3.2`; it is not among
ghostbeam's requirements).
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import scipy.fft
import torch

from analysis.ptychography.backend import Backend
from analysis.ptychography.canvas import Canvas
from analysis.ptychography.epie import Epie, Frames
from analysis.ptychography.geometry import KEV_UM, Geometry
from benchmarks._common import Claim, arguments_parser, report

CLAIMS = (
    Claim("fft_share_64", "updates/s over the limit that two FFTs set, 64x64", at_least=0.5),
    Claim("fft_share_192", "updates/s over the limit that two FFTs set, 192x192", at_least=0.5),
    Claim("updates_64", "updates/s, 64x64"),
    Claim("updates_192", "updates/s, 192x192"),
    Claim("near_field_frames_s", "frames/s of the near-field scan, 100x100, four transforms each"),
    Claim("ratio_cdtools", "time of cdtools to that scan's error over ours, one thread", at_least=5),
    Claim("near_field_error", "error of its amplitudes after 8 sweeps", at_most=0.0094),
)
DATA = Path(__file__).parents[2] / "shared" / "data" / "ptycho_p25_nearfield.npz"
_REPEATS = 5


def main() -> None:
    """Measure and report."""
    parser = arguments_parser(__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="the near-field scan (NPZ)")
    arguments: argparse.Namespace = parser.parse_args()
    torch.set_num_threads(1)
    figures: dict[str, float] = {}
    details = []
    for side in (64, 192):
        updates, limit, library = speed(side, arguments.seed, 200 if arguments.quick else 1000)
        figures[f"updates_{side}"], figures[f"fft_share_{side}"] = updates, updates / limit
        details.append(f"{side}x{side}: two transforms by {library} could be {limit:.0f} updates/s")
    figures |= dict.fromkeys(("near_field_error", "near_field_frames_s", "ratio_cdtools"), math.nan)
    if arguments.data.exists():
        figures["near_field_error"], figures["near_field_frames_s"] = near_field(arguments.data, arguments.seed)
        if find_spec("cdtools") is None:
            details.append("cdtools is not installed here, so nothing is compared with it: pip install cdtools-py==0.3.2")
        else:
            ratio, said = against_cdtools(arguments.data, figures["near_field_error"], figures["near_field_frames_s"])
            figures["ratio_cdtools"] = ratio
            details.append(said)
    else:
        details.append(f"{arguments.data} is not there: give --data")
    report(CLAIMS, figures, details, arguments.json)


def speed(side: int, seed: int, number: int) -> tuple[float, float, str]:
    """Updates/s, the updates/s that two transforms alone would allow, and the library of these transforms."""
    rng = np.random.default_rng(seed)
    geometry = Geometry((side, side), 0.05)
    counts = rng.poisson(10.0, (64, side, side)).astype(float)
    paths = [rng.integers(0, 2 * side, (1, 2)).astype(float) for _ in counts]
    frames = Frames(np.sqrt(counts).astype(np.float32), np.ones(64, dtype=bool), counts.sum(axis=(1, 2)), paths)
    epie = Epie(geometry, (3 * side, 3 * side), geometry.first_probe(counts.mean(axis=0))[None], Backend())
    order = np.arange(64)
    wave = (rng.standard_normal((side, side)) + 1j * rng.standard_normal((side, side))).astype(np.complex64)
    tensor = torch.from_numpy(wave.copy())
    there = torch.empty_like(tensor)
    libraries: dict[str, Callable[[], object]] = {
        "scipy": lambda: scipy.fft.fft2(wave),
        "torch": lambda: torch.fft.fft2(tensor),
        "torch, into an array": lambda: torch.fft.fft2(tensor, out=there),
        "numpy": lambda: np.fft.fft2(wave),
    }
    fastest = {name: math.inf for name in libraries}
    update = math.inf
    for _ in range(_REPEATS):  # in turns, so that a slow phase of the machine affects all of them
        for name, transform in libraries.items():
            fastest[name] = min(fastest[name], _seconds(transform, number))
        update = min(update, _seconds(lambda: epie.update(frames, order, 0.1), max(1, number // 64)) / 64)
    library = min(fastest, key=fastest.__getitem__)
    return 1 / update, 1 / (2 * fastest[library]), library


def against_cdtools(path: Path, error: float, frames_s: float, sweeps: int = 8) -> tuple[float, str]:
    """Time of cdtools over that of ghostbeam until the error is as small, and a sentence."""
    from benchmarks._cdtools import near_field_by_cdtools

    theirs, best, reached = near_field_by_cdtools(path, error, 20)
    with np.load(path) as data:
        ours = sweeps * len(data["diffraction"]) / frames_s
    return reached / ours, (
        f"cdtools: {theirs:.0f} frames/s, an error of {error:.4f} after {reached:.1f} s (here {ours:.2f} s), at best {best:.4f} "
        "after 20 epochs, with places between pixels"
    )


def _seconds(call: Callable[[], object], number: int) -> float:
    began = time.thread_time()  # processor time, so that other processes have less influence
    for _ in range(number):
        call()
    return (time.thread_time() - began) / number


def near_field(path: Path, seed: int, sweeps: int = 8) -> tuple[float, float]:
    """Error of the amplitudes over the counts, and frames/s."""
    with np.load(path) as data:
        counts, good = data["diffraction"], data["mask"] == 0
        places = data["translation_xyz_m"][:, [1, 0]].astype(np.float64) * 1e6
        distance, focus, pixel, wavelength = (
            1e6 * float(data[key]) for key in ("distance_m", "focus_to_sample_m", "pixel_m", "wavelength_m")
        )
    geometry = Geometry.near_field(counts.shape[1:], KEV_UM / wavelength, distance, pixel, focus)
    low, high = places.min(axis=0), places.max(axis=0)
    canvas = Canvas.of((low[0], low[1]), (high[0], high[1]), (0.5, 0.5), geometry.pixel_um, geometry.shape)
    amplitude = np.where(good, np.sqrt(counts, dtype=np.float32), np.float32(-1))
    windows = [place[None] for place in canvas.pixels(places)]
    total = (counts * good).sum(axis=(1, 2), dtype=float)
    frames = Frames(amplitude, np.zeros(len(total), dtype=bool), total, windows)
    epie = Epie(geometry, canvas.shape, geometry.first_probe(np.where(good, counts.mean(axis=0), 0.0))[None], Backend())
    rng = np.random.default_rng(seed)
    began = time.thread_time()
    errors = [epie.update(frames, rng.permutation(len(total)), 0.1 ** (sweep / sweeps)) for sweep in range(sweeps)]
    return float(errors[-1].mean()), sweeps * len(total) / (time.thread_time() - began)


if __name__ == "__main__":
    main()
