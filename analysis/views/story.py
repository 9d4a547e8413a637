"""One picture that summarizes a reconstruction: from the document log to a PNG."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from analysis.documents.log import LogReader, log_paths
from analysis.documents.quantity_keys import array_keys, quality_figures
from analysis.documents.streams import PRIMARY
from analysis.metrics import psnr
from analysis.offline.ingest_masks import REFERENCE
from analysis.views.scale import PixelSize, show_image

_SHOWN = 4  # estimates before the final one


@dataclass
class _Told:
    """One reconstruction: its method, the name of its rows, its pixels, and the data of its events."""

    method: str = ""
    rows: str = ""
    caption: str = ""
    channels: list[str] = field(default_factory=list)
    pixel_size_um: PixelSize = None
    data_keys: dict[str, Any] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)

    @property
    def counts(self) -> list[int]:
        return [event["used"] for event in self.events]

    @property
    def arrays(self) -> list[str]:
        """Names of its arrays, the main one first."""
        return array_keys(self.data_keys)

    def image(self, event: dict[str, Any]) -> np.ndarray:
        """The main array; for several channels, that of the first one."""
        return self.plane(event, self.arrays[0])

    def plane(self, event: dict[str, Any], key: str) -> np.ndarray:
        """An array (y, x), or the first of several channels."""
        array = np.asarray(event[key])
        return array if array.ndim == 2 else array[0]

    def meaning(self, key: str) -> str:
        meaning, units = self.data_keys[key]["meaning"], self.data_keys[key].get("units")
        if self.channels and self.data_keys[key].get("dims", [""])[0] == "channel":
            meaning = f"{self.channels[0]}: {meaning}"
        return meaning if units in (None, "1") or units in meaning else f"{meaning} ({units})"


def draw_story(
    state_dir: Path | str, raw_uid: str, derived_uids: list[str], path: Path, *, sample: np.ndarray | None = None
) -> None:
    """Draw the sample, successive estimates, the final image, its other arrays, and the quality in the course of the scan.

    Parameters
    ----------
    state_dir : Path
        State directory with the document log.
    raw_uid : str
        The scan.
    derived_uids : list of str
        Its reconstructions; the final image is that of the last one.
    path : Path
        The PNG to write.
    sample : ndarray, (H, W), optional
        The true sample, if it is known (a simulation): the quality is then the error relative to it. Without it, a reference
        contained in the run is shown, and the quality is the held-out loss.
    """
    from matplotlib.figure import Figure

    told = [_read(LogReader(log_paths(state_dir).processed), uid) for uid in derived_uids]
    start, reference = _measured(LogReader(log_paths(state_dir).raw), raw_uid)
    best, final = told[-1], told[-1].events[-1]
    image = best.image(final)
    panels = _panels(told)
    if sample is not None:
        panels.insert(0, ("the sample (simulated)", sample, _limits(image)))
    elif reference is not None:
        panels.insert(0, ("reference, measured otherwise", reference, _limits(reference)))
    heights = [1, 1.05] if panels else [1.05]
    figure = Figure(figsize=(15, 4 * sum(heights)), layout="constrained")
    figure.suptitle(f"{start.get('sample') or 'run'} ({raw_uid[:8]}): {_caption(best)}", fontsize="large").set_parse_math(False)
    if told[-1].doubts:
        text = "\n".join(textwrap.fill(doubt, 170) for doubt in told[-1].doubts)
        figure.supxlabel(text, color="crimson").set_parse_math(False)
    *above, bottom = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    for top in above:
        for axes, (title, shown, limits) in zip(top.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            _image(top, axes, shown, title, limits, best.pixel_size_um)

    left, *further, right = bottom.subplots(1, len(best.arrays) + 1, width_ratios=[*(1 for _ in best.arrays), 1.25])
    title = f"final image: {best.method}, {final['used']} {best.rows}\n{best.meaning(best.arrays[0])}"
    _image(bottom, left, image, title, _limits(image), best.pixel_size_um)
    for axes, key in zip(further, best.arrays[1:], strict=True):
        shown = best.plane(final, key)
        _image(bottom, axes, shown, best.meaning(key), _limits(shown), best.pixel_size_um, cmap="magma")
    _quality(right, told, sample)
    figure.savefig(path, dpi=110)


def _read(reader: LogReader, uid: str) -> _Told:
    told = _Told()
    for record in reader.documents(uid):
        if record.name == "start":
            told.method, told.rows = record.doc["method"], record.doc.get("rows", "realizations")
            told.caption = record.doc.get("caption", "")
            told.channels = list(record.doc.get("channels") or ())
            told.pixel_size_um = record.doc["image"].get("pixel_size_um")
        elif record.name == "descriptor" and record.doc["name"] == PRIMARY:
            told.data_keys = record.doc["data_keys"]
        elif record.name == "event":
            told.events.append(record.doc["data"])
        elif record.name == "stop":
            told.doubts = list((record.doc.get("ledger") or {}).get("doubts") or ())
    return told


def _measured(reader: LogReader, uid: str) -> tuple[dict[str, Any], np.ndarray | None]:
    """A run's start document, and its reference image if it has one."""
    start: dict[str, Any] = {}
    for record in reader.documents(uid):
        if record.name == "start":
            start = record.doc
        elif record.name == "event_page" and REFERENCE in record.doc["data"]:
            return start, np.asarray(record.doc["data"][REFERENCE][0])
        elif record.name == "event":
            break  # only an ingested run has a reference, in its first page
    return start, None


def _panels(told: list[_Told]) -> list[tuple[str, np.ndarray, dict[str, float]]]:
    """Estimates at about 1/8, 1/4, 1/2 and all of the realizations, by the last method that has enough of them.

    If the data arrived all at once there are none: then the final image of each method, if there are several.
    """
    live = next((one for one in reversed(told) if len(set(one.counts)) >= _SHOWN), None)
    if live is None:
        finals = [(one.method, one.image(one.events[-1])) for one in told[-_SHOWN:] if len(told) > 1]
        return [(method, image, _limits(image)) for method, image in finals]
    wanted = [live.counts[-1] * part for part in (1 / 8, 1 / 4, 1 / 2, 1)]
    chosen = sorted({int(np.abs(np.array(live.counts) - count).argmin()) for count in wanted})
    events = [live.events[index] for index in chosen]
    images = [(f"{live.method}, {event['used']} {live.rows}", live.image(event)) for event in events]
    return [(title, image, _limits(image)) for title, image in images]


def _quality(axes: Any, told: list[_Told], sample: np.ndarray | None) -> None:
    """Quality as a function of rows: relative to the sample if it is known, else the first figure of quality."""
    figures = [figure for one in told for figure in quality_figures(one.data_keys)]
    if sample is not None:
        label = "PSNR against the sample (dB)"
        values = [[_psnr(one.image(event), sample) for event in one.events] for one in told]
    elif figures:
        better = "lower" if told[-1].data_keys[figures[0]]["lower_is_better"] else "higher"
        label = f"{told[-1].meaning(figures[0])} ({better} is better)"
        values = [[event[figures[0]] for event in one.events] for one in told]
    else:
        axes.set_axis_off()
        return
    if all(len(one.events) == 1 for one in told):
        axes.bar([one.method for one in told], [column[0] for column in values])
        axes.set_ylabel(_wrapped(label))
    else:
        for one, column in zip(told, values, strict=True):
            axes.plot(one.counts, column, marker="o", markersize=3, label=one.method)
        axes.set_xlabel(told[-1].rows)
        axes.set_ylabel(_wrapped(label))
        axes.legend()
    axes.set_title("quality" if len(told[0].events) == 1 else "in the course of the scan", fontsize="medium")
    axes.grid(alpha=0.3)


def _psnr(image: np.ndarray, sample: np.ndarray) -> float:
    # Correlation methods give images in units of their own: scale and offset are fitted for all methods alike.
    image = np.nan_to_num(image)
    design = np.stack([image.ravel(), np.ones(image.size)], axis=1).astype(float)
    fitted = design @ np.linalg.lstsq(design, sample.ravel().astype(float), rcond=None)[0]
    return psnr(fitted.reshape(sample.shape), sample)


def _image(
    figure: Any, axes: Any, image: np.ndarray, title: str, limits: dict[str, float], pixel_size_um: PixelSize, cmap: str = "gray"
) -> None:
    drawn = show_image(axes, image, pixel_size_um, cmap=cmap, **limits)
    axes.set_title("\n".join(map(_wrapped, title.splitlines())), fontsize="medium")
    figure.colorbar(drawn, ax=axes, shrink=0.7)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 42)


def _limits(image: np.ndarray) -> dict[str, float]:
    low, high = np.nanpercentile(image, [0.5, 99.5])
    return {"vmin": float(low), "vmax": float(max(high, low + 1e-9))}


def _caption(best: _Told) -> str:
    final = best.events[-1]
    parts = [f"{final['used']} {best.rows}", *([best.caption] if best.caption else [])]
    if final.get("rejected"):
        parts.append(f"{final['rejected']} rejected")
    return ", ".join(parts)
