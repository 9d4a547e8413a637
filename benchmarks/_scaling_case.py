"""One measurement of `benchmarks.scaling`, in a separate process: the time and the memory that a method takes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from analysis.ghost import make_reconstructor
from sims.samples import make_sample

_ROWS = 16
_PHOTONS = 100.0


def main() -> None:
    """Reconstruct with the given method, size, number of realizations, seed and options; print the time and the memory."""
    method, options = sys.argv[1], json.loads(sys.argv[5])
    size, realizations, seed = map(int, sys.argv[2:5])
    image = 1.0 - make_sample("chromosomes", (size, size), seed).astype(np.float64)
    reconstruct(
        method, np.random.default_rng(seed).random((8, 8)), 40, seed, options
    )  # the first call loads modules and libraries
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory is counted from here on
    before = memory("VmRSS")
    cpu_s, correlation = reconstruct(method, image, realizations, seed, options)
    print(json.dumps({"cpu_s": cpu_s, "bytes": memory("VmHWM") - before, "correlation": correlation}))


def reconstruct(method: str, image: np.ndarray, realizations: int, seed: int, options: dict[str, Any]) -> tuple[float, float]:
    """Return the CPU seconds of a reconstruction, without those of the simulation, and its correlation with the object."""
    reconstructor = make_reconstructor(method, shape=image.shape, expected=realizations, seed=seed, **options)
    cpu_s = 0.0
    for masks, buckets in measured(image, realizations, seed):
        started = time.process_time()
        reconstructor.update(masks, buckets)
        cpu_s += time.process_time() - started
    started = time.process_time()
    estimate = reconstructor.finish()
    cpu_s += time.process_time() - started
    return cpu_s, float(np.corrcoef(estimate.image.ravel(), image.ravel())[0, 1])


def measured(image: np.ndarray, realizations: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield binary masks, uint8 (B, H, W), and their buckets (B,), a few at a time: all would take 0.9 GB."""
    random = np.random.default_rng(seed)
    for start in range(0, realizations, _ROWS):
        count = min(_ROWS, realizations - start)
        masks = random.integers(0, 2, size=(count, *image.shape), dtype=np.uint8)
        clean = masks.reshape(count, -1).astype(np.float64) @ image.reshape(-1)
        yield masks, random.poisson(_PHOTONS * clean) / _PHOTONS


def memory(field: str) -> int:
    """Return a field of this process's status, bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


if __name__ == "__main__":
    main()
