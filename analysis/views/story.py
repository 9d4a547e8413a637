"""One picture that tells a reconstruction at a glance: from the document log to a PNG."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from analysis.documents.log import LogReader, log_paths
from analysis.offline.ingest import REFERENCE

_SHOWN = 4  # estimates on the way


@dataclass
class _Told:
    """One reconstruction: its method and the data of its events."""

    method: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def counts(self) -> list[int]:
        return [event["realizations"] for event in self.events]


def draw_story(
    state_dir: Path | str, raw_uid: str, derived_uids: list[str], path: Path, *, sample: np.ndarray | None = None
) -> None:
    """Draw the sample, the estimates as realizations came in, the final image, its trust map, and quality against realizations.

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
        The true sample, where it is known (a simulation): quality is then the error against it. Without it a reference that
        the run itself holds is shown, and quality is the held-out loss.
    """
    from matplotlib.figure import Figure

    told = [_read(LogReader(log_paths(state_dir).processed), uid) for uid in derived_uids]
    start, reference = _measured(LogReader(log_paths(state_dir).raw), raw_uid)
    best, final = told[-1], told[-1].events[-1]
    figure = Figure(figsize=(15, 8.2), layout="constrained")
    figure.suptitle(f"{start.get('sample') or 'run'} ({raw_uid[:8]}): {_caption(start, final)}", fontsize="large")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1, 1.05], squeeze=False)[:, 0]

    panels = _panels(told)
    if sample is not None:
        panels.insert(0, ("the sample (simulated)", sample, _limits(final["image"])))
    elif reference is not None:
        panels.insert(0, ("reference, measured otherwise", reference, _limits(reference)))
    for axes, (title, image, limits) in zip(top.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _image(top, axes, image, title, limits)

    left, middle, right = bottom.subplots(1, 3, width_ratios=[1, 1, 1.25])
    title = f"final image: {best.method}, {final['realizations']} realizations"
    _image(bottom, left, final["image"], title, _limits(final["image"]))
    trust = middle.imshow(final["spread"], cmap="magma", vmin=0)
    middle.set_title("trust map: spread of the estimates (lower is surer)", fontsize="medium")
    middle.set_axis_off()
    bottom.colorbar(trust, ax=middle, shrink=0.8)
    _quality(right, told, sample)
    figure.savefig(path, dpi=110)


def _read(reader: LogReader, uid: str) -> _Told:
    told = _Told()
    for record in reader.documents(uid):
        if record.name == "start":
            told.method = record.doc["method"]
        elif record.name == "event":
            told.events.append(record.doc["data"])
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
            break  # only an ingested run has one, in its first page
    return start, None


def _panels(told: list[_Told]) -> list[tuple[str, np.ndarray, dict[str, float]]]:
    """Estimates at about 1/8, 1/4, 1/2 and all of the realizations, by the last method that has as many to show.

    Where the data came all at once there are none: then the final image of each method.
    """
    live = next((one for one in reversed(told) if len(set(one.counts)) >= _SHOWN), None)
    if live is None:
        return [(one.method, one.events[-1]["image"], _limits(one.events[-1]["image"])) for one in told[-_SHOWN:]]
    wanted = [live.counts[-1] * part for part in (1 / 8, 1 / 4, 1 / 2, 1)]
    chosen = sorted({int(np.abs(np.array(live.counts) - count).argmin()) for count in wanted})
    events = [live.events[index] for index in chosen]
    return [(f"{live.method}, {event['realizations']} realizations", event["image"], _limits(event["image"])) for event in events]


def _quality(axes: Any, told: list[_Told], sample: np.ndarray | None) -> None:
    values = [
        [event["heldout_loss"] if sample is None else _psnr(event["image"], sample) for event in one.events] for one in told
    ]
    label = "held-out loss (lower is better)" if sample is None else "PSNR against the sample (dB)"
    if all(len(one.events) == 1 for one in told):
        axes.bar([one.method for one in told], [column[0] for column in values])
        axes.set_ylabel(label)
    else:
        for one, column in zip(told, values, strict=True):
            axes.plot(one.counts, column, marker="o", markersize=3, label=one.method)
        axes.set_xlabel("realizations")
        axes.set_ylabel(label)
        axes.legend()
    axes.set_title("quality" + ("" if len(told[0].events) == 1 else " against realizations"), fontsize="medium")
    axes.grid(alpha=0.3)


def _psnr(image: np.ndarray, sample: np.ndarray) -> float:
    # Correlation methods give images in units of their own: fit scale and offset for all alike.
    design = np.stack([image.ravel(), np.ones(image.size)], axis=1).astype(float)
    fitted = design @ np.linalg.lstsq(design, sample.ravel().astype(float), rcond=None)[0]
    return float(-10 * np.log10(np.mean((fitted - sample.ravel()) ** 2)))


def _image(figure: Any, axes: Any, image: np.ndarray, title: str, limits: dict[str, float]) -> None:
    drawn = axes.imshow(image, cmap="gray", **limits)
    axes.set_title(title, fontsize="medium")
    axes.set_axis_off()
    figure.colorbar(drawn, ax=axes, shrink=0.7)


def _limits(image: np.ndarray) -> dict[str, float]:
    low, high = np.nanpercentile(image, [0.5, 99.5])
    return {"vmin": float(low), "vmax": float(max(high, low + 1e-9))}


def _caption(start: dict[str, Any], final: dict[str, Any]) -> str:
    height, width = final["image"].shape
    ratio = height * width / max(1, final["realizations"])
    parts = [f"{final['realizations']} realizations for {height}x{width} pixels (compression {ratio:.1f})"]
    if exposure := start.get("ghost", {}).get("exposure"):
        parts.append(f"{exposure:g} s each")
    if final.get("rejected"):
        parts.append(f"{final['rejected']} rejected")
    return ", ".join(parts)
