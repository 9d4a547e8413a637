"""The image of one reconstruction as a file for other programs: TIFF, CSV, PNG."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from analysis.documents.log import LogReader, log_paths
from analysis.documents.quantity_keys import array_keys, quality_figures
from analysis.offline.export import newest_estimate
from analysis.views.scale import show_image

SUFFIXES = (".tif", ".tiff", ".csv", ".png")


def export_image(state_dir: Path | str, derived_uid: str, path: Path) -> None:
    """Write the newest image of a reconstruction in the format given by the file's extension.

    TIFF holds it exactly, in single precision, with one page per channel and the size of a pixel. CSV holds its values, one
    line per row, below comment lines with a description. PNG is a picture with axes in um and a scale of its values.

    Parameters
    ----------
    state_dir : Path
        State directory with the document log.
    derived_uid : str
        Full uid of the reconstruction.
    path : Path
        The file to write.

    Raises
    ------
    LookupError
        If it has no image yet.
    OSError
        If it cannot be written.
    """
    with closing(LogReader(log_paths(state_dir).processed)) as reader:
        documents, estimate = newest_estimate(reader, derived_uid)
    data_keys, start = documents["descriptor"]["data_keys"], documents["start"]
    arrays = array_keys(data_keys)
    if not arrays:
        raise LookupError(f"reconstruction {derived_uid[:8]} has no image")
    image = np.asarray(estimate[arrays[0]])
    pixel_um = (start.get("image") or {}).get("pixel_size_um")
    figures = {key: float(estimate[key]) for key in quality_figures(data_keys)}
    told = _told(start, data_keys[arrays[0]], pixel_um, figures)
    if path.suffix.lower() in (".tif", ".tiff"):
        _write_tiff(path, image, pixel_um, told)
    elif path.suffix.lower() == ".csv":
        _write_csv(path, image, told)
    else:
        _draw(path, image, pixel_um, start, data_keys[arrays[0]])


def _told(start: Mapping[str, Any], data_key: Mapping[str, Any], pixel_um: Any, figures: Mapping[str, float]) -> dict[str, Any]:
    return {
        "sample": start.get("sample"),
        "method": start.get("method"),
        "run": start.get("derived_from"),
        "reconstruction": start.get("uid"),
        "meaning": data_key.get("meaning"),
        "units": data_key.get("units"),
        "pixel_size_um": pixel_um,
        **figures,
    }


def _write_tiff(path: Path, image: np.ndarray, pixel_um: Any, told: Mapping[str, Any]) -> None:
    import tifffile

    sizes = list(pixel_um) if isinstance(pixel_um, Sequence) else [pixel_um] * 2
    known: dict[str, Any] = {} if None in sizes else {"resolution": [1e4 / size for size in reversed(sizes)]}
    described: dict[str, Any] = {"description": json.dumps(told, default=str), "software": "ghostbeam"}
    tifffile.imwrite(path, image.astype(np.float32), photometric="minisblack", resolutionunit="CENTIMETER", **described, **known)


def _write_csv(path: Path, image: np.ndarray, told: Mapping[str, Any]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        for key, value in told.items():
            if value is not None:
                file.write(f"# {key}: {value}\n")
        writer = csv.writer(file)
        for plane in image if image.ndim == 3 else [image]:
            writer.writerows([[f"{value:.9g}" for value in row] for row in plane])


def _draw(path: Path, image: np.ndarray, pixel_um: Any, start: Mapping[str, Any], data_key: Mapping[str, Any]) -> None:
    from matplotlib.figure import Figure

    planes = list(image) if image.ndim == 3 else [image]
    names = [str(name) for name in start.get("channels") or ()] or [str(data_key.get("meaning", ""))]
    figure = Figure(figsize=(5.2 * len(planes), 4.6), layout="constrained")
    title = " ".join(str(start[key]) for key in ("sample", "method") if start.get(key))
    figure.suptitle(f"{title} ({str(start.get('derived_from', ''))[:8]})").set_parse_math(False)
    for axes, plane, name in zip(figure.subplots(1, len(planes), squeeze=False)[0], planes, names, strict=False):
        drawn = show_image(axes, plane, pixel_um)
        axes.set_title(name, fontsize="medium")
        bar = figure.colorbar(drawn, ax=axes, shrink=0.85)
        if data_key.get("units") not in (None, "1"):
            bar.set_label(str(data_key["units"]))
    figure.savefig(path, dpi=130)
