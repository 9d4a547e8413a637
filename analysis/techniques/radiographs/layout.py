"""What a start document says of a series of radiographs: where frames, dark and flat fields, static frames and angles are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.documents.refusal import RunRefused

ENTRY = "radiographs"


@dataclass(frozen=True)
class Angles:
    """The stream with the angle of each radiograph, and its data keys: number of the trigger, and angle."""

    stream: str
    number: str
    angle: str


@dataclass(frozen=True)
class Layout:
    """The "radiographs" entry of a start document.

    Attributes
    ----------
    frames : str
        Name of the stream.
    image, number : str
        Data keys: pixels, and number of the trigger. Those of darks, flats and static frames are the same.
    shape : (H, W)
        Pixels of a frame.
    darks, flats, static : str or None
        Streams of the same run with frames without light, without a sample, and of a sample that stands still. `static` is the
        same as `frames` if nothing moves in the whole series.
    angles : Angles or None
        Of a tomographic scan.
    kernel : str or None
        Identity of the kernel by which the detector's noise is correlated.
    saturation : int or None
        Counts at which a pixel is saturated.
    pixel_um : float or None
        Size of a pixel on the sample.
    expected : int or None
        Frames that the run should have.
    """

    frames: str
    image: str
    number: str
    shape: tuple[int, int]
    darks: str | None
    flats: str | None
    static: str | None
    angles: Angles | None
    kernel: str | None
    saturation: float | None
    pixel_um: float | None
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
            raise RunRefused(f'the start document has no "{ENTRY}" entry: it is not a series of radiographs')
        frames = _part(entry, "frames")
        expected = start.get("num_points")
        return cls(
            frames=_name(frames, "stream"),
            image=_name(frames, "image"),
            number=_name(frames, "number"),
            shape=_shape(entry.get("shape")),
            darks=_optional(entry, "darks"),
            flats=_optional(entry, "flats"),
            static=_optional(entry, "static"),
            angles=_angles(entry),
            kernel=_optional(entry, "kernel"),
            saturation=_positive(entry, "saturation_counts"),
            pixel_um=_positive(entry, "pixel_um"),
            expected=expected if type(expected) is int and expected > 0 else None,
        )

    @property
    def corrected(self) -> tuple[str, str | None]:
        """What the pixels of a corrected radiograph are, and their unit."""
        return ("transmission", None) if self.flats else ("counts above dark", "counts")

    @property
    def further(self) -> dict[str, str]:
        """Streams with frames beside the series, by what they are for."""
        named = {"darks": self.darks, "flats": self.flats, "static": self.static}
        return {purpose: stream for purpose, stream in named.items() if stream is not None and stream != self.frames}

    @property
    def static_throughout(self) -> bool:
        """Whether nothing moves in the whole series."""
        return self.static == self.frames


def _angles(entry: Mapping[str, Any]) -> Angles | None:
    if entry.get("angles") is None:
        return None
    angles = _part(entry, "angles")
    return Angles(_name(angles, "stream"), _name(angles, "number"), _name(angles, "angle"))


def _part(entry: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = entry.get(name)
    if not isinstance(part, Mapping):
        raise RunRefused(f'{ENTRY}["{name}"] must be a table, not {part!r}')
    return part


def _name(part: Mapping[str, Any], key: str) -> str:
    value = part.get(key)
    if not isinstance(value, str):
        raise RunRefused(f'{ENTRY}: "{key}" must be the name of a data key or stream, not {value!r}')
    return value


def _optional(entry: Mapping[str, Any], key: str) -> str | None:
    return None if entry.get(key) is None else _name(entry, key)


def _shape(value: Any) -> tuple[int, int]:
    if not (isinstance(value, list | tuple) and len(value) == 2 and all(type(n) is int and n > 0 for n in value)):
        raise RunRefused(f'{ENTRY}["shape"] must be the [height, width] of a frame in pixels, not {value!r}')
    return value[0], value[1]


def _positive(entry: Mapping[str, Any], key: str) -> float | None:
    value = entry.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
        raise RunRefused(f'{ENTRY}["{key}"] must be None or a positive number, not {value!r}')
    return value
