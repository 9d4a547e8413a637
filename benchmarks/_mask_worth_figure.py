"""The picture of `mask_worth`: each object by each method, with designed, measured and true masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure


def draw(path: Path, images: dict[tuple[str, str], tuple[np.ndarray, dict[str, np.ndarray]]]) -> None:
    """Draw a row for each object and method."""
    known = list(next(iter(images.values()))[1])
    figure = Figure(figsize=(2.6 * (len(known) + 1), 2.6 * len(images)), layout="constrained")
    grid = figure.subplots(len(images), len(known) + 1, squeeze=False)
    for row, ((name, method), (sample, made)) in zip(grid, images.items(), strict=True):
        titled = {name: sample, **{f"{method}, masks {how}": image for how, image in made.items()}}
        for axes, (title, image) in zip(row, titled.items(), strict=True):
            axes.set_title(title, fontsize="small")
            axes.imshow(image, cmap="gray", vmin=float(sample.min()), vmax=float(sample.max()))
            axes.set_xticks([])
            axes.set_yticks([])
    figure.savefig(path, dpi=110)
