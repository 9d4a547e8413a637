"""The entry of a mask calibration in a start document: the mask in each frame, and the streams of darks and flats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.documents.refusal import RunRefused
from analysis.techniques.radiographs.layout import ENTRY as RADIOGRAPHS

ENTRY = "masks"


@dataclass(frozen=True)
class Layout:
    """The "masks" entry of a start document.

    Attributes
    ----------
    design : str
        Identity of the designed, or previously measured, mask set.
    order : tuple of int
        The masks in the order of their frames, each once.
    exposures : int
        Frames per mask: frame number n, from 1, shows mask `order[(n - 1) // exposures]`.
    pixel_um : float
        Size of a camera pixel in the plane of the masks.
    light : (str, str) or None
        Stream and data key of the incident-beam monitor's counts, one event for each mask, in order.
    """

    design: str
    order: tuple[int, ...]
    exposures: int
    pixel_um: float
    light: tuple[str, str] | None

    @classmethod
    def of(cls, start: Mapping[str, Any]) -> Layout:
        """Read it from a run's start document.

        Raises
        ------
        RunRefused
            If something required is missing or of the wrong kind.
        """
        entry = start.get(ENTRY)
        if not isinstance(entry, Mapping):
            raise RunRefused(f'the start document has no "{ENTRY}" entry: it is not a mask calibration')
        design, order, exposures = entry.get("mask_set"), entry.get("order"), entry.get("exposures")
        if not isinstance(design, str):
            raise RunRefused(f'{ENTRY}["mask_set"] must be the identity of the mask set on the stage, not {design!r:.80}')
        if not (isinstance(order, list | tuple) and order and all(type(index) is int and index >= 0 for index in order)):
            raise RunRefused(f'{ENTRY}["order"] must list the masks in the order of their frames, not {order!r:.80}')
        if len(set(order)) < len(order):
            raise RunRefused(f'{ENTRY}["order"] names a mask twice: give each once, and take more exposures')
        if type(exposures) is not int or exposures < 1:
            raise RunRefused(f'{ENTRY}["exposures"] must be the number of frames of each mask, not {exposures!r:.80}')
        if entry.get("flats") is None:
            raise RunRefused(
                f'{ENTRY}["flats"] must name the stream of frames without a mask: they are needed for the transmission'
            )
        pixel_um = entry.get("pixel_um")
        if isinstance(pixel_um, bool) or not isinstance(pixel_um, int | float) or not pixel_um > 0:
            raise RunRefused(f'{ENTRY}["pixel_um"] must be the size of a camera pixel in um, not {pixel_um!r:.80}')
        return cls(design, tuple(order), exposures, float(pixel_um), _light(entry.get("positions")))

    def event_of(self, number: int) -> int:
        """Return the sequence number of the event that belongs to a frame."""
        return (number - 1) // self.exposures + 1

    def mask_of(self, number: int) -> int | None:
        """Return the mask that a frame shows; None if the frame does not belong to the calibration."""
        place = (number - 1) // self.exposures
        return self.order[place] if 0 <= place < len(self.order) else None


def _light(positions: Any) -> tuple[str, str] | None:
    if positions is None or (isinstance(positions, Mapping) and positions.get("monitor") is None):
        return None
    if isinstance(positions, Mapping):
        stream, monitor = positions.get("stream"), positions["monitor"]
        if isinstance(stream, str) and isinstance(monitor, str):
            return stream, monitor
    raise RunRefused(f'{ENTRY}["positions"] must name a stream, and the data key of a monitor or None, not {positions!r:.80}')


def as_radiographs(start: Mapping[str, Any]) -> dict[str, Any]:
    """Return the start document in the form for a series of radiographs, whose frames are read in the same way."""
    entry = start[ENTRY]
    names = ("frames", "shape", "darks", "flats", "pixel_um", "saturation_counts")
    expected = len(entry["order"]) * entry["exposures"]
    return {**start, "num_points": expected, RADIOGRAPHS: {name: entry.get(name) for name in names}}
