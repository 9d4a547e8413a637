"""What `ghostbeam reconstruct` prints about the methods that it compared."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from rich.table import Table

from analysis.offline.acquisition import Acquisition
from analysis.offline.comparison import Comparison


def caption(acquisition: Acquisition) -> str:
    """What was measured, in one line."""
    number, height, width = acquisition.masks.shape
    ratio = height * width / number
    return f"{acquisition.name}: {number} realizations for {height}x{width} pixels (compression {ratio:.3g})"


def comparison_table(acquisition: Acquisition, comparison: Comparison) -> Table:
    """A row for each method that made an image; columns in which nothing is known are left out."""
    pixel = acquisition.pixel_size_um
    unit, size = ("px", 1.0) if pixel is None else ("um", pixel)
    figures = {
        "time\n(s)": ("elapsed_s", 1.0),
        "held-out\nloss": ("heldout_loss", 1.0),
        f"FRC\n({unit})": ("frc_resolution_px", size),
        "contrast": ("contrast", 1.0),
        "spread\n(%)": ("relative_spread", 100.0),
        "PSNR\n(dB)": ("psnr_db", 1.0),
        "SSIM": ("ssim", 1.0),
        f"reference\nFRC ({unit})": ("frc_resolution_reference_px", size),
    }
    columns = {
        heading: [_number(one.figures.get(name, math.nan) * factor) for one in comparison.done]
        for heading, (name, factor) in figures.items()
    }
    table = Table("method", box=None, pad_edge=False)
    for heading, cells in columns.items():
        if any(cells):
            table.add_column(heading, justify="right", no_wrap=True)
    for row in zip([one.result.method for one in comparison.done], *filter(any, columns.values()), strict=True):
        table.add_row(*row)
    return table


def options_told(comparison: Comparison) -> list[str]:
    """A line for each method whose options aren't all the usual ones: given, or chosen from the data."""
    lines = []
    for one in comparison.done:
        if one.chosen:
            lines.append(f"{one.result.method}: {', '.join(f'{name} {_short(value)}' for name, value in one.chosen.items())}")
    return lines


def document(
    acquisition: Acquisition, comparison: Comparison, *, doubts: list[str], picture: Path, saved: Path | None
) -> dict[str, Any]:
    """The same as what JSON can hold; what isn't known is None."""
    number, height, width = acquisition.masks.shape
    methods = {
        one.result.method: {
            **{name: value if math.isfinite(value) else None for name, value in one.figures.items()},
            "seed": one.result.seed,
            "options": one.result.options,
        }
        for one in comparison.done
    }
    return {
        "name": acquisition.name,
        "uid": acquisition.uid,
        "realizations": number,
        "shape": [height, width],
        "pixel_size_um": acquisition.pixel_size_um,
        "remarks": acquisition.remarks,
        "doubts": doubts,
        "picture": str(picture),
        "saved": None if saved is None else str(saved),
        "methods": methods,
        "failed": comparison.failed,
    }


def _number(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else ""


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
