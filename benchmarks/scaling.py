"""Growth of time and memory with realizations and pixels, up to 13 000 binary masks of 256x256.

CPU time on one core and the growth of resident memory are measured; each reconstruction runs in a separate process that
receives its masks a few at a time. A line is added to DIRECTORY/results.csv for each, and existing ones are not repeated.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._common import Claim, arguments_parser, report

METHODS: dict[str, dict[str, Any]] = {"differential": {}, "least_squares": {}, "tv": {}, "n2g": {"steps": 10}}
"""The methods with their options: all steps of n2g cost the same, so ten represent four hundred."""

SIZES, REALIZATIONS = (64, 128, 256), (812, 3250, 13_000)
QUICK = ((24, 200), (40, 2100))
FIELDS = ("method", "size", "realizations", "seed", "cpu_s", "bytes", "correlation")
CLAIMS = (
    Claim("time_slope", "power of M N with which CPU time grows, the steepest of the methods", below=1.15),
    Claim("memory_slope", "power of M N with which memory grows, the steepest of the methods", below=1.15),
    Claim("bytes_per_mask_pixel", "bytes of memory per mask and pixel at the largest size, the most of the methods", below=1.0),
    Claim("minutes_largest", "CPU minutes at the largest size, the slowest of the methods"),
)


def main() -> None:
    """Measure, and report the results of all measurements in the directory."""
    parser = arguments_parser(__doc__)
    parser.add_argument(
        "--directory", type=Path, default=Path("scaling"), help="for results and the figure (default: %(default)s)"
    )
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS), help="methods (default: all)")
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    file = arguments.directory / ("quick.csv" if arguments.quick else "results.csv")
    sizes = QUICK if arguments.quick else [(size, number) for number in REALIZATIONS for size in SIZES]
    for size, realizations in sizes:
        for method in arguments.methods:
            measure(file, method, size, realizations, arguments.seed)
    rows = read(file)
    draw(rows, file.with_suffix(".png"))
    report(CLAIMS, figures_of(rows), table(rows), arguments.json)


def measure(file: Path, method: str, size: int, realizations: int, seed: int) -> None:
    """Add the row of one reconstruction, unless it is in the file."""
    key = (method, str(size), str(realizations), str(seed))
    if any(tuple(row[field] for field in FIELDS[:4]) == key for row in read(file)):
        return
    command = [sys.executable, "-m", "benchmarks._scaling_case", *key, json.dumps(METHODS[method])]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | threads)
    found = json.loads(done.stdout)
    is_new = not file.exists()
    with file.open("a", newline="") as stream:
        writer = csv.writer(stream)
        if is_new:
            writer.writerow(FIELDS)
        writer.writerow((*key, *(f"{found[field]:.5g}" for field in FIELDS[4:])))


def read(file: Path) -> list[dict[str, str]]:
    """Return the rows of the file, none if it does not exist."""
    if not file.exists():
        return []
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def curve(rows: list[dict[str, str]], method: str, field: str) -> tuple[np.ndarray, np.ndarray]:
    """Return M N and a field of a method's rows, ordered by M N."""
    points = sorted(
        (int(row["realizations"]) * int(row["size"]) ** 2, float(row[field])) for row in rows if row["method"] == method
    )
    entries, values = np.array(points, dtype=float).reshape(-1, 2).T
    return entries, values


def fit(rows: list[dict[str, str]], method: str, field: str) -> tuple[float, float]:
    """Return the power of M N, and its factor, that fit a field of a method's rows best."""
    entries, values = curve(rows, method, field)
    power, constant = np.polyfit(np.log(entries), np.log(values), 1)
    return float(power), float(np.exp(constant))


def figures_of(rows: list[dict[str, str]]) -> dict[str, float]:
    """Return the figures of `CLAIMS`."""
    methods = [method for method in METHODS if any(row["method"] == method for row in rows)]
    largest = {field: {method: curve(rows, method, field) for method in methods} for field in ("cpu_s", "bytes")}
    return {
        "time_slope": max(fit(rows, method, "cpu_s")[0] for method in methods),
        "memory_slope": max(fit(rows, method, "bytes")[0] for method in methods),
        "bytes_per_mask_pixel": max(float(values[-1] / entries[-1]) for entries, values in largest["bytes"].values()),
        "minutes_largest": max(float(values[-1]) for _, values in largest["cpu_s"].values()) / 60,
    }


def table(rows: list[dict[str, str]]) -> list[str]:
    """Return lines with CPU seconds / MB / correlation with the object of every size and method."""
    cells: dict[tuple[int, int], dict[str, str]] = {}
    for row in rows:
        text = f"{float(row['cpu_s']):.3g}/{float(row['bytes']) / 1e6:.3g}/{float(row['correlation']):.2f}"
        cells.setdefault((int(row["realizations"]), int(row["size"])), {})[row["method"]] = text
    lines = [f"{'CPU s / MB / correlation':<26}" + "".join(f"{method:>20}" for method in METHODS)]
    for (realizations, size), texts in sorted(cells.items()):
        name = f"{realizations} masks of {size}x{size}"
        lines.append(f"{name:<26}" + "".join(f"{texts.get(method, '-'):>20}" for method in METHODS))
    return lines


def draw(rows: list[dict[str, str]], file: Path) -> None:
    """Draw time and memory against M N, with the curves of one bit per pixel and of linear growth."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    everything = np.array(sorted({int(row["realizations"]) * int(row["size"]) ** 2 for row in rows}), dtype=float)
    for method in METHODS:
        if not any(row["method"] == method for row in rows):
            continue
        for axis, field, unit in zip(axes, ("cpu_s", "bytes"), (1.0, 1e6), strict=True):
            entries, values = curve(rows, method, field)
            power, factor = fit(rows, method, field)
            drawn = axis.plot(entries, values / unit, "o", label=f"{method}, power {power:.2f}")
            axis.plot(everything, factor * everything**power / unit, color=drawn[0].get_color(), linewidth=0.8)
    axes[1].plot(everything, everything / 8e6, "k:", label="one bit a mask pixel")
    axes[1].plot(everything, everything * 4 / 1e6, "k--", label="masks in single precision")
    for axis, name in zip(axes, ("CPU seconds, one core", "memory (MB)"), strict=True):
        axis.set(xscale="log", yscale="log", xlabel="realizations x pixels", ylabel=name)
        axis.legend(loc="lower right")
    figure.savefig(file, dpi=120)
    pyplot.close(figure)


if __name__ == "__main__":
    main()
