"""Speed of the simulated detector's writer, and whether a long file costs more per frame than a short one.

Diffraction-like frames of 192x192 pixels are written to HDF5 (bitshuffle-LZ4, readable every 0.1 s), and the same bytes to a
plain file, in turns. Both times include writing to the disk (fsync). Then one file grows to 500 000 frames, and its chunks
alternate with those of files of 1000 frames; the cost of a frame is the median over chunks.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks._common import Claim, arguments_parser, report
from sims.frame_writer import CHUNK, FrameWriter

CLAIMS = (
    Claim("ratio_raw", "frames/s written over those of the same raw bytes to a plain file", at_least=0.5),
    Claim("cost_growth", "cost of a frame at 500 000 frames over that at 1000", below=1.2),
)
SHAPE = (192, 192)
PHOTONS = 20_000
ROUNDS = 5
_SHORT, _TURN = 1024, 640  # frames in a short file before the timed ones, and number of timed frames


def main() -> None:
    """Measure and report."""
    parser = arguments_parser(__doc__)
    parser.add_argument("--directory", type=Path, help="where to write (default: the system's folder for temporary files)")
    arguments = parser.parse_args()
    frames, long, turns = (1280, 12_800, 2) if arguments.quick else (25_600, 500_032, 20)
    pool = _pool(arguments.seed)
    with tempfile.TemporaryDirectory(dir=arguments.directory) as folder:
        speeds = [_both(Path(folder), pool, frames) for _ in range(1 if arguments.quick else ROUNDS)]
        at_start, at_end, frame_bytes = _growing(Path(folder), pool, long, turns)
    first, last = (statistics.median(part) * 1e6 / CHUNK for part in (at_start, at_end))
    figures = {
        "ratio_raw": statistics.median(compressed / plain for compressed, plain, _, _ in speeds),
        "cost_growth": last / first,
    }
    compressed, plain, cached, cached_plain = (statistics.median(column) for column in zip(*speeds, strict=True))
    details = [
        f"{frames} frames of {SHAPE[0]}x{SHAPE[1]} pixels, median of {len(speeds)}: HDF5 {compressed:.0f} frames/s, plain file "
        f"{plain:.0f} frames/s; without waiting for the disk {cached:.0f} and {cached_plain:.0f}",
        f"a frame costs {first:.1f} us after {_SHORT} frames and {last:.1f} us after {long}; the file takes "
        f"{frame_bytes / 1000:.1f} kB a frame, raw frames {pool[0].nbytes / CHUNK / 1000:.1f} kB",
    ]
    report(CLAIMS, figures, details, arguments.json)


def _pool(seed: int) -> list[np.ndarray]:
    """Some chunks of Poisson frames that resemble the cone of a zone plate and the scattering of an object, uint16."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(SHAPE) - np.array(SHAPE)[:, None, None] / 2
    radius = np.hypot(y, x)
    mean = np.where((radius > 8) & (radius < 28), 1.0, 0.004) + 2 / (1 + radius**2)
    mean *= PHOTONS / mean.sum()
    return [rng.poisson(mean, (CHUNK, *SHAPE)).astype(np.uint16) for _ in range(10)]


def _chunks(pool: list[np.ndarray], start: int, frames: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    for first in range(start, start + frames, CHUNK):
        numbers = np.arange(first + 1, first + CHUNK + 1)
        yield pool[first // CHUNK % len(pool)], numbers, numbers / 2000.0


def _both(folder: Path, pool: list[np.ndarray], frames: int) -> tuple[float, float, float, float]:
    """Return frames/s of HDF5 and of a plain file, written to the disk; and the same for the system's cache only."""

    def hdf5(path: Path) -> None:
        writer = FrameWriter(path, SHAPE)
        for chunk in _chunks(pool, 0, frames):
            writer.append(*chunk)
        writer.close()

    def plain(path: Path) -> None:
        with path.open("wb") as file:
            for chunk, _, _ in _chunks(pool, 0, frames):
                file.write(chunk.data)

    cached, synced = zip(*(_timed(write, folder / "file", frames) for write in (hdf5, plain)), strict=True)
    return (*synced, *cached)


def _timed(write: Callable[[Path], None], path: Path, frames: int) -> tuple[float, float]:
    began = time.perf_counter()
    write(path)
    cached = time.perf_counter()
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    synced = time.perf_counter()
    path.unlink()
    return frames / (cached - began), frames / (synced - began)


def _growing(folder: Path, pool: list[np.ndarray], frames: int, turns: int) -> tuple[list[float], list[float], float]:
    """Return seconds of chunks after frame 1000 of short files, and at the end of a long one, and its bytes per frame.

    Long and short files alternate, so that a machine that slows down affects both.
    """
    path, short_path = folder / "long.h5", folder / "short.h5"
    long = FrameWriter(path, SHAPE)
    _seconds(long, pool, 0, frames)
    at_start, at_end = [], []
    for turn in range(turns):
        short = FrameWriter(short_path, SHAPE)
        _seconds(short, pool, 0, _SHORT)
        at_start += _seconds(short, pool, _SHORT, _TURN)
        short.close()
        short_path.unlink()
        at_end += _seconds(long, pool, frames + turn * _TURN, _TURN)
    long.close()
    return at_start, at_end, path.stat().st_size / (frames + turns * _TURN)


def _seconds(writer: FrameWriter, pool: list[np.ndarray], first: int, frames: int) -> list[float]:
    """Write frames and return the seconds that each chunk took."""
    marks = [time.perf_counter()]
    for chunk in _chunks(pool, first, frames):
        writer.append(*chunk)
        marks.append(time.perf_counter())
    return [end - begin for begin, end in pairwise(marks)]


if __name__ == "__main__":
    main()
