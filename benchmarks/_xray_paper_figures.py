"""Pictures in the style of Fig. 2j, 3 and 4 of A.-X. Zhang et al."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot


def draw_curves(curves: Mapping[str, tuple[Sequence[int], np.ndarray]], file: Path) -> None:
    """Draw CNR against exposures for each kind of mask."""
    figure, axis = pyplot.subplots(figsize=(6, 4.5), layout="constrained")
    for (name, (exposures, ratios)), colour in zip(curves.items(), ("black", "tab:red"), strict=True):
        axis.plot(exposures, ratios, "o-", color=colour, label=name)
    axis.set(xscale="log", xlabel="exposures", ylabel="CNR of the correlation image", ylim=(0, None))
    axis.legend()
    figure.savefig(file, dpi=120)
    pyplot.close(figure)


Row = tuple[str, np.ndarray, Mapping[str, np.ndarray], Mapping[str, float], Mapping[str, float]]


def draw_images(rows: Sequence[Row], methods: Sequence[str], file: Path) -> None:
    """Draw objects and images; rows hold a name, the object, images by method, their CNR and the paper's."""
    figure, axes = pyplot.subplots(
        len(rows), len(methods) + 1, figsize=(3 * len(methods) + 3, 3.2 * len(rows)), layout="constrained"
    )
    for line, (name, sample, images, found, paper) in zip(axes, rows, strict=True):
        line[0].imshow(sample, cmap="gray", vmin=0, vmax=1)
        line[0].set_title(f"{name}, {sample.shape[0]}x{sample.shape[1]}")
        for axis, method in zip(line[1:], methods, strict=True):
            low, high = np.percentile(images[method], (1, 99))
            axis.imshow(images[method], cmap="gray", vmin=low, vmax=high)
            axis.set_title(f"{method}: CNR {found[method]:.2f} (paper {paper.get(method, '-')})", fontsize=10)
        for axis in line:
            axis.axis("off")
    figure.savefig(file, dpi=110)
    pyplot.close(figure)
