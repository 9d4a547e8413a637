"""One picture that tells a reconstruction at a glance: from the document log to a PNG."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from analysis.documents.log import LogReader, log_paths

_SHOWN = 4  # estimates on the way


@dataclass
class _Told:
    method: str
    events: list[dict[str, Any]] = field(default_factory=list)


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
        Its reconstructions; the last one is shown as images.
    path : Path
        The PNG to write.
    sample : ndarray, (H, W), optional
        The true sample, where it is known (a simulation); with it the error against the truth is drawn too.
    """
    from matplotlib.figure import Figure

    told = [_read(LogReader(log_paths(state_dir).processed), uid) for uid in derived_uids]
    best = told[-1]
    final = best.events[-1]
    steps = _on_the_way(told)
    scale = _limits(final["image"])
    figure = Figure(figsize=(15, 8.2), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1, 1.05], squeeze=False)[:, 0]
    start = next(record.doc for record in LogReader(log_paths(state_dir).raw).documents(raw_uid))
    figure.suptitle(f"{start.get('sample') or 'run'} ({raw_uid[:8]}): {_caption(start, final)}", fontsize="large")

    panels = top.subplots(1, 1 + _SHOWN)
    if sample is not None:
        _image(top, panels[0], sample, "the sample (simulated)", **scale)
    else:
        panels[0].set_axis_off()
    for axes in panels[1:]:
        axes.set_axis_off()
    for axes, (method, event) in zip(panels[1:], steps, strict=False):
        _image(top, axes, event["image"], f"{method} after {event['realizations']} realizations", **_limits(event["image"]))

    left, middle, right = bottom.subplots(1, 3, width_ratios=[1, 1, 1.25])
    _image(bottom, left, final["image"], f"final image: {best.method}, {final['realizations']} realizations", **scale)
    trust = middle.imshow(final["spread"], cmap="magma", vmin=0)
    middle.set_title("trust map: spread of the estimates (lower is surer)", fontsize="medium")
    middle.set_axis_off()
    bottom.colorbar(trust, ax=middle, shrink=0.8)
    _quality(right, told, sample)
    figure.savefig(path, dpi=110)


def _read(reader: LogReader, uid: str) -> _Told:
    told = _Told("")
    for record in reader.documents(uid):
        if record.name == "start":
            told.method = record.doc["method"]
        elif record.name == "event":
            told.events.append(record.doc["data"])
    return told


def _on_the_way(told: list[_Told]) -> list[tuple[str, dict[str, Any]]]:
    """Estimates at about 1/8, 1/4, 1/2 and all of the realizations, by the last method that has as many to show."""
    counted = {one.method: len({event["realizations"] for event in one.events}) for one in told}
    live = next((one for one in reversed(told) if counted[one.method] >= _SHOWN), told[-1])
    total = live.events[-1]["realizations"]
    counts = np.array([event["realizations"] for event in live.events])
    chosen = [int(np.abs(counts - total * part).argmin()) for part in (1 / 8, 1 / 4, 1 / 2, 1)]
    return [(live.method, live.events[index]) for index in sorted(set(chosen))]


def _quality(axes: Any, told: list[_Told], sample: np.ndarray | None) -> None:
    for one in told:
        counts = [event["realizations"] for event in one.events]
        if sample is None:
            values = [event["heldout_loss"] for event in one.events]
        else:
            values = [_psnr(event["image"], sample) for event in one.events]
        axes.plot(counts, values, marker="o", markersize=3, label=one.method)
    axes.set_xlabel("realizations")
    axes.set_ylabel("held-out loss" if sample is None else "PSNR against the sample (dB)")
    axes.set_title("quality against realizations", fontsize="medium")
    axes.grid(alpha=0.3)
    axes.legend()


def _psnr(image: np.ndarray, sample: np.ndarray) -> float:
    # Correlation methods give images in units of their own: fit scale and offset for all alike.
    design = np.stack([image.ravel(), np.ones(image.size)], axis=1).astype(float)
    fitted = design @ np.linalg.lstsq(design, sample.ravel().astype(float), rcond=None)[0]
    return float(-10 * np.log10(np.mean((fitted - sample.ravel()) ** 2)))


def _image(figure: Any, axes: Any, image: np.ndarray, title: str, **limits: float) -> None:
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
