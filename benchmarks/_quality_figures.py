"""The figures of Manni et al. (2025) drawn from the results of `ghost_quality`: their Fig. 3, 5 and 6."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.metrics import frc
from benchmarks._quality_table import METHODS, Condition, Summaries, Summary

matplotlib.use("Agg")
from matplotlib import pyplot

_LABELS = {
    "psnr_db": "PSNR (dB)",
    "ssim": "SSIM",
    "resolution_px": "resolution (pixels)",
    "bandwidth": "bandwidth (share of Nyquist)",
}
_COLOURS = dict(zip(METHODS, ("tab:gray", "tab:blue", "tab:orange", "tab:green", "tab:purple", "tab:red"), strict=True))


def draw_curves(found: Summaries, compression: float, size: int, file: Path) -> None:
    """Draw PSNR, SSIM, resolution and bandwidth against photons, means over objects (Fig. 3).

    Bars are standard errors of these means over noise draws.
    """
    at: dict[float, list[dict[str, dict[str, Summary]]]] = defaultdict(list)
    for (_, pixels, factor, photons), methods in found.items():
        if (pixels, factor) == (size, compression):
            at[photons].append(methods)
    if not at:
        return
    figure, axes = pyplot.subplots(2, 2, figsize=(10, 7), layout="constrained", sharex=True)
    for axis, quantity in zip(axes.flat, _LABELS, strict=True):
        for method in METHODS:
            points = [(photons, *_over_objects(at[photons], method, quantity)) for photons in sorted(at)]
            known = np.array([point for point in points if not math.isnan(point[1])]).reshape(-1, 3)
            if known.size:
                axis.errorbar(*known[:, :2].T, yerr=known[:, 2], fmt="o-", capsize=3, color=_COLOURS[method], label=method)
        axis.set(xscale="log", ylabel=_LABELS[quantity])
        axis.grid(alpha=0.3)
    axes[0, 0].legend(fontsize=8)
    for axis in axes[1]:
        axis.set_xlabel("photons per pixel and realization")
    figure.suptitle(f"{size} x {size} pixels, {compression:g} times fewer realizations than pixels; means over objects")
    _save(figure, file)


def draw_images(found: Summaries, condition: Condition, reference: np.ndarray, images: dict[str, np.ndarray], file: Path) -> None:
    """Draw the object and each method's image, their Fourier ring correlation and a table (Fig. 5 and 6)."""
    methods = [method for method in METHODS if method in images]
    if not methods:
        return
    figure = pyplot.figure(figsize=(14, 6.5), layout="constrained")
    grid = figure.add_gridspec(2, 1, height_ratios=(1, 1.2))
    above = grid[0].subgridspec(1, len(methods) + 1)
    for index, (name, image) in enumerate([("object", reference), *((method, images[method]) for method in methods)]):
        axis = figure.add_subplot(above[index])
        axis.imshow(image, cmap="gray", vmin=reference.min(), vmax=reference.max())
        axis.set_title(name, fontsize=10)
        axis.set_axis_off()
    below = grid[1].subgridspec(1, 2)
    _draw_rings(figure.add_subplot(below[0]), reference, {method: images[method] for method in methods})
    _draw_table(figure.add_subplot(below[1]), found[condition], methods)
    name, size, compression, photons = condition
    figure.suptitle(f"{name}, {size} x {size} pixels, {compression:g}x compression, {photons:g} photons per pixel")
    _save(figure, file)


def _draw_rings(axis: Axes, reference: np.ndarray, images: dict[str, np.ndarray]) -> None:
    for method, image in images.items():
        frequency, correlation, number = frc(image, reference)
        axis.plot(frequency, correlation, color=_COLOURS[method], label=method)
    root = np.sqrt(number)
    limit = (0.2071 + 1.9102 / root) / (1.2071 + 0.9102 / root)
    axis.plot(frequency, limit, "k--", linewidth=1, label="half-bit")
    axis.set(xlabel="cycles per pixel", ylabel="correlation with the object", ylim=(-0.1, 1.05))
    axis.legend(fontsize=8)


def _draw_table(axis: Axes, found: dict[str, dict[str, Summary]], methods: list[str]) -> None:
    quantities = ("psnr_db", "ssim", "resolution_px", "cpu_s")
    cells = [[_written(found[method][quantity]) for quantity in quantities] for method in methods]
    axis.set_axis_off()
    drawn = axis.table(
        cells,
        rowLabels=methods,
        colLabels=["PSNR (dB)", "SSIM", "resolution (px)", "CPU (s)"],
        loc="center",
        cellLoc="center",
    )
    drawn.scale(0.9, 1.6)


def _written(value: Summary) -> str:
    return f"{value.mean:.3g}" if math.isnan(value.error) else f"{value.mean:.3g} ± {value.error:.1g}"


def _over_objects(group: list[dict[str, dict[str, Summary]]], method: str, quantity: str) -> tuple[float, float]:
    """Return mean and standard error over the conditions of a group; NaN unless the method was measured in all of them."""
    if any(method not in methods for methods in group):
        return math.nan, math.nan
    source = "resolution_px" if quantity == "bandwidth" else quantity
    values = [methods[method][source] for methods in group]
    means, errors = (np.array([getattr(value, name) for value in values]) for name in ("mean", "error"))
    if quantity == "bandwidth":
        # the finest resolution, 2 pixels, is the whole band
        means, errors = 2 / means, 2 * errors / means**2
    error = float(np.sqrt(np.nansum(errors**2)) / len(errors))
    return float(means.mean()), error


def _save(figure: Figure, file: Path) -> None:
    figure.savefig(file, dpi=110)
    pyplot.close(figure)
