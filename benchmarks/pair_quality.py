"""The gain of a denoised pair over one frame, compared with BM3D of the sum of the pair, also on real neutron frames.

It uses simulated cells, bars and textures at 100, 500 and 5000 photons per pixel, with three draws of the noise each. On the
bars it also determines the relative standard deviation in uniform regions, which blur alone would lower, and the finest bars
that keep half of their contrast. The neutron frames are frames_neutron_mcp.npz (iBeatles, MIT licence): frames 4 and 5 are
compared with the mean of the other eight. BM3D's licence keeps it out of the package: pip install --no-deps bm3d bm4d.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch

from analysis.imaging.noisy_training import STEPS
from analysis.pairs.filters import best_gaussian, non_local_means_filter, total_variation_filter
from analysis.pairs.network_method import train_network
from analysis.pairs.prepared import Pair
from analysis.pairs.trust import trust
from benchmarks._common import Claim, arguments_parser, report
from benchmarks._frame_pairs import WITHOUT_BM3D, bm3d_of_sum, error_db, has_bm3d, noisy_pair, truth_of

CLAIMS = (
    Claim("margin_bm3d_db", "dB above BM3D of the sum, mean of all", at_least=0.0),
    Claim("gain_db_100", "dB above one frame at 100 photons, mean of the scenes", at_least=11.3),
    Claim("gain_db_500", "dB above one frame at 500 photons", at_least=14.2),
    Claim("gain_db_5000", "dB above one frame at 5000 photons", at_least=12.6),
    Claim("below_floor", "trainings that ended with memorised noise", exactly=0),
    Claim("neutron_db", "PSNR of the neutron pair, dB", at_least=29.5),
)
DATA = Path(__file__).parents[2] / "shared" / "data" / "frames_neutron_mcp.npz"
SCENES = ("nuclei", "bars", "texture")
_NEUTRON_PEAK = 66.4  # counts
_CELL = 64  # pixels between groups of the simulated bars
_WIDEST, _SIZES = 12.0, 19  # width of the bars, pixels; six sizes halve it


def main() -> None:
    """Measure and report."""
    parser = arguments_parser(__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="the neutron frames (NPZ)")
    parser.add_argument("--side", type=int, default=256, help="pixels of the simulated scenes (default: %(default)s)")
    arguments: argparse.Namespace = parser.parse_args()
    torch.set_num_threads(1)
    quick = arguments.quick
    side, draws, steps = (96, 1, 40) if quick else (arguments.side, 3, STEPS)
    details, margins, gains = [], [], {}
    below = 0
    for photons in (100, 500, 5000):
        gains[photons] = []
        for scene in SCENES[:1] if quick else SCENES:
            rows = []
            for draw in range(draws):
                row, memorised = one_pair(scene, side, photons, arguments.seed + draw, steps)
                rows.append(row)
                below += memorised
            mean = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
            details.append(f"{scene}, {photons} photons: " + ", ".join(f"{name} {value:.2f}" for name, value in mean.items()))
            print(f"  {details[-1]}", flush=True)
            gains[photons].append(mean["network"])
            margins.append(mean["network"] - mean["bm3d"])
    figures = {f"gain_db_{photons}": float(np.mean(gain)) for photons, gain in gains.items()}
    figures |= {"margin_bm3d_db": float(np.mean(margins)), "below_floor": float(below), "neutron_db": math.nan}
    if not has_bm3d():
        details.append(WITHOUT_BM3D)
    if arguments.data.exists():
        figures["neutron_db"], told = neutrons(arguments.data, arguments.seed, steps)
        details.append(told)
    else:
        details.append(f"{arguments.data} is not there: give --data")
    report(CLAIMS, figures, details, arguments.json)


def one_pair(scene: str, side: int, photons: float, seed: int, steps: int) -> tuple[dict[str, float], bool]:
    """Gains over one frame, dB, further results for the pair, and whether the network memorizes noise."""
    truth = truth_of(scene, side, photons)
    pair = noisy_pair(truth, seed)
    one = error_db(pair.a, truth)
    denoiser, tested = train_network([pair], seed, loss="pearson", steps=steps, still=True)
    denoised = denoiser.pair(pair)
    judged = trust(denoiser, pair, denoised, tested)
    row = {"network": one - error_db(denoised, truth)}
    row["bm3d"] = one - error_db(bm3d_of_sum(pair), truth) if has_bm3d() else math.nan
    for name, fitted in (
        ("gaussian", best_gaussian([pair])),
        ("total variation", total_variation_filter([pair])),
        ("non-local means", non_local_means_filter([pair])),
    ):
        row[name] = one - error_db(fitted.pair(pair), truth)
    error = np.abs(denoiser.one(pair.a) - truth)
    row["held-out loss above floor x1000"] = 1000 * judged.above_floor
    row["spread over error"] = judged.spread_ratio
    row["coverage of 2 spreads"] = float((error <= 2 * judged.spread).mean())
    row["null"] = judged.null_structure
    row["residual correlation"] = judged.residual_correlation
    if scene == "bars":
        row["deviation % before"], row["after"] = (100 * deviation_where_even(image, truth) for image in (pair.a, denoised))
        row["finest bars px"] = finest_bars(denoised, truth)
        row["finest bars px of the Gaussian"] = finest_bars(best_gaussian([pair]).pair(pair), truth)
    return row, denoiser.trained.memorised


def deviation_where_even(image: np.ndarray, truth: np.ndarray) -> float:
    """Relative standard deviation where the light is full and no bar is near."""
    from scipy.ndimage import minimum_filter

    even = minimum_filter(truth, 9) >= 0.999 * truth.max()
    return float(image[even].std() / image[even].mean())


def finest_bars(image: np.ndarray, truth: np.ndarray) -> float:
    """Width of the finest bars, pixels, that keep half of their contrast together with all wider ones."""
    kept: dict[float, list[float]] = {}
    cells = [(y, x) for y in range(0, truth.shape[0], _CELL) for x in range(0, truth.shape[1], _CELL)]
    for number, (y, x) in enumerate(cells):
        place = (slice(y, y + _CELL), slice(x, x + _CELL))
        wanted = truth[place] - truth[place].mean()
        width = _WIDEST * 2 ** (-(number % _SIZES) / 6)
        kept.setdefault(width, []).append(float((image[place] * wanted).sum() / (wanted**2).sum()))
    finest = math.inf
    for width in sorted(kept, reverse=True):
        if np.mean(kept[width]) < 0.5:
            break
        finest = width
    return finest


def neutrons(data: Path, seed: int, steps: int) -> tuple[float, str]:
    """PSNR of the network's image of two neutron frames relative to the mean of eight others, and that of other methods."""
    frames = np.load(data)["frames"][:, 262:502, 8:248]
    reference = np.delete(frames, (4, 5), axis=0).mean(axis=0, dtype=np.float64)
    pair = Pair(frames[4], frames[5], np.ones(reference.shape, dtype=bool))
    denoiser, _ = train_network([pair], seed, loss="pearson", steps=steps, still=True)
    images = {
        "one frame": pair.a,
        "network": denoiser.pair(pair),
        "gaussian": best_gaussian([pair]).pair(pair),
        "non-local means": non_local_means_filter([pair]).pair(pair),
        "bm3d": bm3d_of_sum(pair) if has_bm3d() else np.full_like(reference, math.nan),
    }
    # the reference's own noise is in every error: it is subtracted, as estimated from the eight frames
    own = float(np.delete(frames, (4, 5), axis=0).var(axis=0, ddof=1, dtype=np.float64).mean() / 8)
    errors = {name: float(np.mean((image - reference) ** 2)) - own for name, image in images.items()}
    values = {name: float(10 * np.log10(_NEUTRON_PEAK**2 / error)) for name, error in errors.items()}
    return values["network"], "neutrons: " + ", ".join(f"{name} {value:.2f}" for name, value in values.items())


if __name__ == "__main__":
    main()
