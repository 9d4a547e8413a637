"""The description of a series of frame pairs in a start document: the frames, and which parts of them form a pair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.documents.refusal import RunRefused

ENTRY = "pairs"
HALVES, CONSECUTIVE = "halves", "consecutive"


@dataclass(frozen=True)
class Window:
    """Pixels y0 to y1 - 1 and x0 to x1 - 1 of a frame."""

    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.y1 - self.y0, self.x1 - self.x0

    @property
    def place(self) -> tuple[slice, slice]:
        """Slices of rows and columns in a frame."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)


@dataclass(frozen=True)
class Layout:
    """The "pairs" entry of a start document.

    Attributes
    ----------
    frames : str
        Name of the stream.
    image, number : str
        Data keys: pixels, and number of the trigger.
    consecutive : bool
        Whether frames 1 and 2, 3 and 4, ... form the pairs; otherwise the two halves of each frame do.
    windows : (Window, Window)
        Places of both images of a pair in a frame, or in each of two frames.
    shape : (H, W)
        Pixels of a frame.
    darks, flats : str or None
        Streams of the same run with frames without light, and without a sample.
    static : bool
        Whether the scene does not move, according to the user.
    saturation : int or None
        Counts at which a pixel is saturated.
    pixel_um : float or None
        Size of a pixel.
    rate_hz : float or None
        Frames per second.
    expected : int or None
        Pairs that the run should have.
    """

    frames: str
    image: str
    number: str
    consecutive: bool
    windows: tuple[Window, Window]
    shape: tuple[int, int]
    darks: str | None
    flats: str | None
    static: bool
    saturation: int | None
    pixel_um: float | None
    rate_hz: float | None
    expected: int | None

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
            raise RunRefused(
                f'the start document has no "{ENTRY}" entry: it is not a series of pairs (take one with frame_pair_series)'
            )
        if entry.get("kind") == "dark_flat":
            raise RunRefused("the run holds dark and flat frames alone: there are no pairs to denoise")
        frames = entry.get("frames")
        if not isinstance(frames, Mapping):
            raise RunRefused(f'{ENTRY}["frames"] must be a table, not {frames!r}')
        pairing = entry.get("pairing")
        if pairing not in (HALVES, CONSECUTIVE):
            raise RunRefused(f'{ENTRY}["pairing"] must be "{HALVES}" or "{CONSECUTIVE}", not {pairing!r}')
        shape = _shape(entry.get("shape"))
        whole = Window(0, shape[0], 0, shape[1])
        windows = (whole, whole) if pairing == CONSECUTIVE else _windows(entry.get("halves"), shape)
        expected = start.get("num_points")
        if type(expected) is not int or expected <= 0:
            expected = None
        elif pairing == CONSECUTIVE:
            expected //= 2
        return cls(
            frames=_name(frames.get("stream"), 'frames"]["stream'),
            image=_name(frames.get("image"), 'frames"]["image'),
            number=_name(frames.get("number"), 'frames"]["number'),
            consecutive=pairing == CONSECUTIVE,
            windows=windows,
            shape=shape,
            darks=_optional_name(entry.get("darks"), "darks"),
            flats=_optional_name(entry.get("flats"), "flats"),
            static=bool(entry.get("static")),
            saturation=_positive(entry.get("saturation_counts"), "saturation_counts"),
            pixel_um=_positive(entry.get("pixel_um"), "pixel_um"),
            rate_hz=_positive(entry.get("rate_hz"), "rate_hz"),
            expected=expected,
        )

    @property
    def pair_shape(self) -> tuple[int, int]:
        """Pixels of each image of a pair."""
        return self.windows[0].shape

    @property
    def streams(self) -> list[str]:
        """All streams of the run that are read."""
        return [name for name in (self.darks, self.flats, self.frames) if name is not None]


def _windows(value: Any, shape: tuple[int, int]) -> tuple[Window, Window]:
    good = isinstance(value, list | tuple) and len(value) == 2
    good = good and all(isinstance(one, list | tuple) and len(one) == 4 and all(type(n) is int for n in one) for one in value)
    if not good:
        raise RunRefused(f'{ENTRY}["halves"] must be two windows [y0, y1, x0, x1] in pixels, not {value!r}')
    first, second = (Window(*one) for one in value)
    for window in (first, second):
        if not (0 <= window.y0 < window.y1 <= shape[0] and 0 <= window.x0 < window.x1 <= shape[1]):
            raise RunRefused(f"the half {list(value)} is not inside a frame of {shape[0]}x{shape[1]} pixels: correct the windows")
    if first.shape != second.shape:
        raise RunRefused(f"the halves are {first.shape} and {second.shape} pixels large: make their windows alike")
    if max(first.y0, second.y0) < min(first.y1, second.y1) and max(first.x0, second.x0) < min(first.x1, second.x1):
        raise RunRefused(f"the halves {list(value)} overlap: their noise would not be independent")
    return first, second


def _shape(value: Any) -> tuple[int, int]:
    if not (isinstance(value, list | tuple) and len(value) == 2 and all(type(n) is int and n > 0 for n in value)):
        raise RunRefused(f'{ENTRY}["shape"] must be the [height, width] of a frame in pixels, not {value!r}')
    return value[0], value[1]


def _name(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise RunRefused(f'{ENTRY}["{what}"] must be the name of a data key or stream, not {value!r}')
    return value


def _optional_name(value: Any, what: str) -> str | None:
    return None if value is None else _name(value, what)


def _positive(value: Any, what: str) -> Any:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
        raise RunRefused(f'{ENTRY}["{what}"] must be None or a positive number, not {value!r}')
    return value
