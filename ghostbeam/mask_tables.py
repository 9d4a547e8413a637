"""What `ghostbeam masks` prints and draws: mask sets as designed and as measured. No service need run."""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from analysis.masks.difference import differences
from analysis.techniques.ghost.mask_sets import MaskSet, MaskStore
from analysis.views.mask_figure import draw_difference, draw_mask_set
from analysis.views.masks import MaskSetUnknown, MaskUse, load_mask_set, mask_figures, out_of_tolerance, uses, whole_identity
from analysis.views.table import table

_NAMED = 30


def list_mask_sets(state_dir: Path, *, as_json: bool) -> None:
    """Print all mask sets in the state directory, with what was made with each; those that cannot be read are named."""
    used, rows, unreadable = uses(state_dir), [], []
    for identity in MaskStore(state_dir).identities():
        try:
            masks = load_mask_set(state_dir, identity)
        except MaskSetUnknown as error:
            unreadable.append(str(error))
        else:
            rows.append({**_about(identity, masks), **_counted(used.get(identity))})
    if as_json:
        print(json.dumps({"mask_sets": rows, "unreadable": unreadable}))
        return
    if not rows and not unreadable:
        print(f"no mask set in {state_dir} yet: a session saves that of its plate")
        return
    head = ("mask set", "name", "masks", "pixels", "um", "measured by", "scans", "reconstructions")
    lines = [
        (
            row["identity"][:12],
            row["name"],
            str(row["masks"]),
            f"{row['shape'][0]}x{row['shape'][1]}",
            f"{row['pixel_size_um']:g}",
            ", ".join(uid[:8] for uid in row["measured_by"]) or "as designed",
            str(len(row["scans"])),
            str(len(row["reconstructions"])),
        )
        for row in rows
    ]
    print("\n".join([*table([head, *lines]), *unreadable]))


def show_mask_set(
    state_dir: Path, mask_set: str, *, shift: float | None, departure: float | None, output: Path, as_json: bool
) -> None:
    """Print all about a mask set, and draw it.

    Raises
    ------
    MaskSetUnknown
        If none, or more than one, is meant.
    """
    identity = whole_identity(state_dir, mask_set)
    masks = load_mask_set(state_dir, identity)
    outside = out_of_tolerance(masks, shift, departure)
    design = None
    if masks.design is not None:
        with contextlib.suppress(MaskSetUnknown):  # the picture says so
            design = load_mask_set(state_dir, masks.design)
    picture = _place(output, identity[:12])
    draw_mask_set(picture, masks, design, outside)
    use = uses(state_dir).get(identity)
    figures = {name: None if math.isnan(value) else value for name, value in mask_figures(masks).items()}
    if as_json:
        told = {
            **_about(identity, masks),
            **_counted(use),
            "figures": figures,
            "out_of_tolerance": outside,
            "picture": str(picture),
        }
        print(json.dumps(told))
        return
    for line in _story(identity, masks, use, figures, outside):
        print(line)
    print(f"  picture          {picture}")


def compare_mask_sets(state_dir: Path, first: str, second: str, *, output: Path, as_json: bool) -> None:
    """Print how two mask sets differ, and draw the mask in which they differ most.

    Raises
    ------
    MaskSetUnknown
        If none, or more than one, is meant, or their masks are not alike.
    """
    first, second = whole_identity(state_dir, first), whole_identity(state_dir, second)
    a, b = load_mask_set(state_dir, first), load_mask_set(state_dir, second)
    if a.patterns.shape != b.patterns.shape:
        raise MaskSetUnknown(
            f"the sets have masks (M, H, W) = {a.patterns.shape} and {b.patterns.shape}: choose two of one plate"
        )
    found = differences(a.patterns, b.patterns)
    picture = _place(output, f"{first[:12]}_{second[:12]}")
    draw_difference(picture, a, b)
    shift = np.stack([found["shift_y_px"], found["shift_x_px"]])
    middle = [float(np.nanmedian(one)) if np.isfinite(one).any() else None for one in shift]
    told: dict[str, Any] = {
        "masks": len(found),
        "rms": float(np.sqrt(np.mean(found["rms"] ** 2))),
        "contrast": float(np.nanmedian(found["contrast"])) if np.isfinite(found["contrast"]).any() else None,
        "shift_y_px": middle[0],
        "shift_x_px": middle[1],
        "most_different": np.argsort(-found["rms"], kind="stable")[:10].tolist(),
        "picture": str(picture),
    }
    if as_json:
        print(json.dumps(told))
        return
    print(f"{a.name} ({first[:12]}) and {b.name} ({second[:12]}), {told['masks']} masks:")
    print(f"  difference       {told['rms']:.3g} of transmission, root mean square")
    if told["contrast"] is not None:
        print(f"  contrast         {told['contrast']:.3g} of the first's")
    print("  shift            " + ", ".join(f"{axis} {_px(value)}" for axis, value in zip("yx", middle, strict=True)))
    print(f"  most different   {', '.join(map(str, told['most_different']))}")
    print(f"  picture          {picture}")


def _about(identity: str, masks: MaskSet) -> dict[str, Any]:
    return {
        "identity": identity,
        "name": masks.name,
        "masks": len(masks.patterns),
        "shape": list(masks.patterns.shape[1:]),
        "pixel_size_um": masks.pixel_size_um,
        "design": masks.design,
        "measured_by": list(masks.runs),
    }


def _counted(use: MaskUse | None) -> dict[str, list[str]]:
    return {"scans": use.scans if use else [], "reconstructions": use.reconstructions if use else []}


def _story(identity: str, masks: MaskSet, use: MaskUse | None, figures: dict[str, float | None], outside: list[int]) -> list[str]:
    number, height, width = masks.patterns.shape
    lines = [
        f"{masks.name}: {number} masks of {height}x{width} pixels of {masks.pixel_size_um:g} um",
        f"  identity         {identity}",
    ]
    if masks.design is not None:
        lines += [f"  designed as      {masks.design}", f"  measured by      {', '.join(masks.runs)}"]
    words = {
        "measured": ("masks measured", ".0f"),
        "depth": ("modulation depth", ".3g"),
        "shift_px": ("rms shift (px)", ".3g"),
        "departure": ("departure", ".3g"),
        "uncertainty": ("uncertainty", ".2g"),
    }
    for name, value in figures.items():
        label, form = words[name]
        lines.append(f"  {label:<16} {'unknown' if value is None else format(value, form)}")
    if masks.registration is not None:
        named = ", ".join(map(str, outside[:_NAMED])) + (f" and {len(outside) - _NAMED} more" if len(outside) > _NAMED else "")
        lines.append(f"  out of tolerance {named or 'none'}")
    for label, uids in (("scans", use.scans if use else []), ("reconstructions", use.reconstructions if use else [])):
        some = ", ".join(uid[:8] for uid in uids[-8:])
        lines.append(f"  {label:<16} {len(uids)}{f': {some}' if uids else ''}{' (the last ones)' if len(uids) > 8 else ''}")
    return lines


def _px(value: float | None) -> str:
    return "unknown" if value is None else f"{value:+.3f} px"


def _place(output: Path, name: str) -> Path:
    picture = output if output.suffix == ".png" else output / f"{name}.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    return picture
