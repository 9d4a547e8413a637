"""The options of `epie`: their defaults, and their checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.ptychography.orientation import ORIENTATIONS

AUTO = "auto"
DENOISERS: Mapping[str, str | None] = {"tv": None, "nlm": None, "prior_arch1": "arch1", "prior_arch2": "arch2"}
"""Values of `denoise`: total variation, non-local means, and the deep image prior by its architecture."""

DEFAULTS: Mapping[str, Any] = {
    "sweeps": 30,
    "averaged": 10,
    "modes": 1,
    "binning": 1,
    "known_path": True,
    "correct_positions": False,
    "orientation": None,
    "defocus_mm": None,
    "spread": None,
    "probe": None,
    "padding": None,
    "denoise": None,
    "denoise_every": 0,
    "prior_steps": 2000,
    "prior_rate": 1e-3,
}
_WHOLE = {
    "sweeps": (0, 10_000),
    "averaged": (1, 10_000),
    "modes": (1, 32),
    "denoise_every": (0, 10_000),
    "prior_steps": (1, 100_000),
}
_LARGEST_BIN, _LARGEST_PADDING = 1000, 4096


def checked_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """All options with their defaults.

    Raises
    ------
    ValueError
        If one is unknown, or its value is invalid; the message says what is valid.
    """
    unknown = [str(name) for name in options if name not in DEFAULTS]
    if unknown:
        raise ValueError(f"epie has no option {', '.join(unknown)}; it has {', '.join(DEFAULTS)}")
    chosen = {**DEFAULTS, **options}
    for name, (low, high) in _WHOLE.items():
        _require(name, chosen, _whole(chosen[name], low, high), f"a whole number from {low} to {high}")
    bins = chosen["binning"]
    _require("binning", chosen, bins == AUTO or _whole(bins, 1, _LARGEST_BIN), f'"{AUTO}" or a whole number up to {_LARGEST_BIN}')
    for name in ("known_path", "correct_positions"):
        _require(name, chosen, isinstance(chosen[name], bool), "true or false")
    _require("orientation", chosen, _none_or_in(chosen["orientation"], ORIENTATIONS), f"null or one of {', '.join(ORIENTATIONS)}")
    _require("denoise", chosen, _none_or_in(chosen["denoise"], DENOISERS), f"null or one of {', '.join(DENOISERS)}")
    _require("defocus_mm", chosen, _none_or_number(chosen["defocus_mm"], 1e5), "null or a distance from -1e5 to 1e5 mm")
    _require("spread", chosen, _none_or_number(chosen["spread"], 1e3), "null or a number from -1000 to 1000")
    _require("prior_rate", chosen, _none_or_number(chosen["prior_rate"], 1.0) and bool(chosen["prior_rate"]), "above 0, below 1")
    padding = chosen["padding"]
    _require(
        "padding", chosen, padding is None or _whole(padding, 1, _LARGEST_PADDING), f"null or up to {_LARGEST_PADDING} pixels"
    )
    probe = chosen["probe"]
    _require("probe", chosen, probe is None or isinstance(probe, str), "null, a probe's hash or the uid of a reconstruction")
    if chosen["denoise_every"] and chosen["denoise"] is None:
        raise ValueError(f"the option denoise_every of epie needs denoise, one of {', '.join(DENOISERS)}")
    return chosen


def _require(name: str, chosen: Mapping[str, Any], sound: bool, what: str) -> None:
    if not sound:
        raise ValueError(f"the option {name} of epie must be {what}, not {chosen[name]!r}")


def _whole(value: Any, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _none_or_in(value: Any, names: Mapping[str, Any]) -> bool:
    return value is None or (isinstance(value, str) and value in names)


def _none_or_number(value: Any, most: float) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < most)
