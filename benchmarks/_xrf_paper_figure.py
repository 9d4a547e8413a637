"""The picture of `xrf_paper`, like Fig. 7a of Manni et al. (2025)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure


def draw(
    path: Path,
    truth: np.ndarray,
    images: dict[str, dict[str, np.ndarray]],
    own: dict[str, dict[str, tuple[float, float]]],
) -> None:
    """Draw the images of all methods (columns) at all doses (rows), and the truth."""
    doses = {"reference": "", "100": "100 %", "12": "12.9 %", "2": "2.6 %"}
    figure = Figure(figsize=(3.4 * (len(images) + 1), 1.9 * len(doses)), layout="constrained")
    grid = figure.subplots(len(doses), len(images) + 1, squeeze=False)
    top = float(truth.max())
    for row, (dose, name) in zip(grid, doses.items(), strict=True):
        row[0].set_axis_off()
        row[0].text(0.5, 0.5, name, ha="center", va="center", transform=row[0].transAxes)
        for axes, (method, made) in zip(row[1:], images.items(), strict=True):
            told = ", 32 exposures" if dose == "reference" else ", {:.2f} dB, {:.3f}".format(*own[method][dose])
            axes.set_title(f"{method}{told}", fontsize="small")
            axes.imshow(made[dose], cmap="gray", vmin=0, vmax=top)
            axes.set_xticks([])
            axes.set_yticks([])
    grid[0][0].clear()
    grid[0][0].set_title("truth", fontsize="small")
    grid[0][0].imshow(truth, cmap="gray", vmin=0, vmax=top)
    grid[0][0].set_xticks([])
    grid[0][0].set_yticks([])
    figure.savefig(path, dpi=110)
