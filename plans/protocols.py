"""What the plans require of devices, in addition to bluesky's protocols."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from bluesky.protocols import Collectable, Flyable, HasName, Movable, Preparable, Readable, Stageable, Stoppable, Triggerable

from beamline.frames.halves import Window
from beamline.frames.values import Optics
from beamline.motion.lines import Axis
from beamline.motion.sweeps import RotationAxis


class Plate(Protocol):
    """A set of masks with an identity, such as `beamline.mask_plate.MaskPlate`."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def identity(self) -> str:
        """Hash of its content."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of one mask."""

    @property
    def pixel_size_um(self) -> float:
        """Edge of one mask pixel in um."""

    @property
    def positions_mm(self) -> np.ndarray:
        """Stage readings (y, x) in mm that centre each mask in the beam, (M, 2)."""

    @property
    def sequency_order(self) -> np.ndarray:
        """Mask indices from the coarsest pattern to the finest."""

    @property
    def complements(self) -> np.ndarray:
        """For each mask, the index of the one that is open where it is closed; -1 if there is none."""

    def checked_index(self, index: Any) -> int:
        """Return the index of a mask as an int; raise ValueError if there is no such mask."""

    def __len__(self) -> int:
        """How many masks there are."""


class TroubledStage(Protocol):
    """A stage that can say why it did not move."""

    def trouble(self) -> str | None:
        """Say what the motor records show about a move that failed; None if nothing."""


@runtime_checkable
class MaskPositioner(Movable, Readable, Protocol):
    """A positioner that moves by mask index and reads back which mask is in the beam."""

    index: Readable
    offset_y_um: Readable
    offset_x_um: Readable

    @property
    def plate(self) -> Plate:
        """The plate that is mounted."""

    @property
    def offset_tolerance_um(self) -> float:
        """Offset beyond which a realization is not to be trusted, in um."""

    def check_indices(self, indices: Iterable[int]) -> list[int]:
        """Raise if a mask cannot be reached."""

    def why_not_ready(self) -> str | None:
        """Say what keeps an axis from moving, before anything moves; None if nothing does."""

    def trouble(self) -> str | None:
        """Say what the motor records show about a move that failed; None if nothing."""


@runtime_checkable
class BeamShutter(Movable, Stageable, Protocol):
    """A shutter that is set to "Open" and "Closed", and closes by itself when it is unstaged."""

    def close_now(self) -> None:
        """Close without waiting."""


@runtime_checkable
class BucketDetector(Readable, Triggerable, Protocol):
    """A detector that gives one or more bucket values an exposure, and says when it gave none."""

    exposure: Movable
    lost: Readable
    open_beam_ratio: float | None
    may_be_negative: bool

    @property
    def bucket_keys(self) -> list[str]:
        """Data keys of the buckets."""

    @property
    def monitor_key(self) -> str | None:
        """Data key of the incident-beam monitor."""

    @property
    def time_key(self) -> str | None:
        """Data key of the time counted, in s."""

    def saturation_counts(self, exposure: float) -> float | None:
        """Return the bucket counts from which an exposure of so many seconds is saturated."""

    def why_impossible(self, exposure: float) -> str | None:
        """Say why it cannot expose for so many seconds; None if it can."""


@runtime_checkable
class SpectrumDetector(BucketDetector, Protocol):
    """A detector whose spectra hold the buckets, one for each chemical element."""

    def spectra_entry(self) -> dict[str, Any]:
        """What the start document says of the spectra."""


@runtime_checkable
class FrameCamera(Flyable, Collectable, Preparable, Stageable, Protocol):
    """A detector that takes frames; its stream documents say where they are."""

    expected: Movable
    max_rate_hz: float
    dead_time_s: float
    saturation_counts: int | None

    @property
    def image_key(self) -> str:
        """Data key of the frames."""

    @property
    def number_key(self) -> str:
        """Data key of the frames' numbers."""

    def frame_shape(self) -> tuple[int, int]:
        """Read how many rows and columns a frame has."""


@runtime_checkable
class FrameDetector(FrameCamera, Protocol):
    """A detector behind a focused beam that takes one frame for each trigger."""

    optics: Optics


@runtime_checkable
class SeriesCamera(FrameCamera, Stoppable, Protocol):
    """A camera that takes a series of frames by itself."""

    interrupted: Movable
    sensor: tuple[int, int]
    pixel_um: float

    @property
    def taken(self) -> Readable:
        """Number of the last frame that it has taken."""


@runtime_checkable
class RadiographCamera(SeriesCamera, Protocol):
    """A camera behind a scintillator, which takes one frame for each trigger too."""

    trigger_mode: str
    kernel: str | None


@runtime_checkable
class PairCamera(SeriesCamera, Protocol):
    """A camera that takes frame pairs: the two halves of a frame, or two consecutive frames."""

    halves: tuple[Window, Window] | None

    @property
    def pairing(self) -> str:
        """Which are a pair: "halves" or "consecutive"."""


@runtime_checkable
class PencilBeam(Movable, Stageable, HasName, Protocol):
    """A pinhole that is brought into the beam with 1, and out of it with 0 or when it is unstaged."""

    size_um: float


class NamedMovable(Movable, HasName, Protocol):
    """Something with a name that can be set."""


class NotedPlace(Readable, Protocol):
    """Where a stage was in the middle of an exposure, as a plan notes it."""

    y_um: NamedMovable
    x_um: NamedMovable


@runtime_checkable
class LineTriggerBox(Flyable, Collectable, Preparable, Stageable, Stoppable, Protocol):
    """A box that triggers within lines, and captures number, positions and time of each trigger."""

    stream: str
    interrupted: Movable
    captured: Readable
    count: Readable
    most_triggers: int

    @property
    def keys(self) -> dict[str, str]:
        """Data keys of the number, of what is captured, and of the time."""


class LineAxis(Movable, HasName, Protocol):
    """An axis with a velocity."""

    velocity: Movable


@runtime_checkable
class Rotation(Readable, Stageable, Protocol):
    """A stage that turns the sample, in degrees."""

    angle: LineAxis
    move_timeout_s: float

    def axis(self) -> RotationAxis:
        """Read what a scan must know before it turns."""

    def why_not_ready(self) -> str | None:
        """Say what keeps it from moving, before anything moves; None if nothing does."""

    def trouble(self) -> str | None:
        """Say what the motor record shows about a move that failed; None if nothing."""


@runtime_checkable
class LineStage(Readable, Stageable, Protocol):
    """A stage that can run along x at constant velocity."""

    y: LineAxis
    x: LineAxis
    um_per_unit: float
    move_timeout_s: float

    def axes(self) -> tuple[Axis, Axis]:
        """Read what a scan must know of y and x before it moves them."""

    def why_not_ready(self) -> str | None:
        """Say what keeps an axis from moving, before anything moves; None if nothing does."""

    def trouble(self) -> str | None:
        """Say what the motor records show about a move that failed; None if nothing."""


@runtime_checkable
class RasterStage(LineStage, Protocol):
    """A stage for raster scans, which record its place at each exposure."""

    place: NotedPlace
