"""Frames of the X-ray camera: what the beam leaves of a scene, counted behind a scintillator."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sims.etched_plate import EtchedPlate
from sims.frame_messages import Take
from sims.radiograph_scenes import SCENES, Masks, make_scene
from sims.radiographs import FlatPanel

OFFSET = 100.0
"""Counts without light."""
AXIS_PX = 2.5
"""How far right of the detector's middle the axis of rotation lies, pixels, where the sample stage is at 0."""

_DECAY_PX = 0.645
_READ_NOISE = (2.0, 4.0)  # counts: of the best and of the worst pixel
_DEAD_PART = 2e-4  # of the pixels, beside one column
_VIGNETTE = 0.2  # light that is missing in the corners
_RESPONSE = 0.01  # standard deviation of the pixels' sensitivity
_BLUR_DEG = 1e-3  # a turn during an exposure that can be seen
_MOST = np.iinfo(np.uint16).max


@dataclass(frozen=True)
class XrayOptions:
    """What the X-ray camera looks at.

    Parameters
    ----------
    scene : str
        A name in `sims.radiograph_scenes.SCENES`.
    photons : float
        Per second and pixel, without a sample.
    sensor : pair of int
        Rows and columns.
    pixel_um : float
        Edge of a pixel, on the sample or the masks.
    seed : int
    plate : EtchedPlate, optional
        Needed for the scene "masks"; the place of a frame is then that of the mask stage.
    """

    scene: str = "foam"
    photons: float = 20_000.0
    sensor: tuple[int, int] = (256, 256)
    pixel_um: float = 10.0
    seed: int = 0
    plate: EtchedPlate | None = None

    def __post_init__(self) -> None:
        if self.scene not in SCENES:
            raise ValueError(f"there is no scene {self.scene!r} for radiographs: choose one of {', '.join(SCENES)}")
        if not 0 < self.photons < 1e9:
            raise ValueError(f"the photons per second and pixel must be above 0 and below 1e9, not {self.photons!r}")
        if min(self.sensor) < 1:
            raise ValueError(f"the X-ray camera's sensor must have at least 1 row and 1 column, not {self.sensor}")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a frame."""
        return self.sensor

    @property
    def frames_per_chunk(self) -> int:
        """Frames in one chunk of the file; one, because more would be written again with each frame that comes."""
        return 1

    def source(self) -> XraySource:
        """Make what draws the frames."""
        return XraySource(self)


class XraySource:
    """Draws frames.

    Parameters
    ----------
    options : XrayOptions

    Notes
    -----
    Counts are those of `sims.radiographs.FlatPanel`, plus an offset, cut at what 16 bits hold. Numbers depend on seed,
    acquisition, number, angle and place alone.
    """

    def __init__(self, options: XrayOptions):
        self._options = options
        rows, columns = options.sensor
        self._y, self._x = (np.arange(size) - (size - 1) / 2 for size in options.sensor)
        if options.scene == "masks":
            assert options.plate is not None
            self.masks = Masks(options.plate, options.pixel_um)
        else:
            self.scene = make_scene(options.scene, options.sensor, options.seed)
        rng = np.random.default_rng((options.seed, 10))
        dead = rng.random(options.sensor) < _DEAD_PART
        dead[:, rng.integers(columns)] = True
        self._panel = FlatPanel(_DECAY_PX, rng.uniform(*_READ_NOISE, options.sensor), dead)
        radius = np.hypot(self._y[:, None] / rows, self._x[None] / columns) * np.sqrt(2)
        self._light = (1 - _VIGNETTE * radius**2) * rng.normal(1.0, _RESPONSE, options.sensor)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a frame."""
        return self._options.sensor

    def transmission(self, number: int, angle_deg: float, place_um: tuple[float, float], turned_deg: float = 0.0) -> np.ndarray:
        """What passes of the beam, shape (H, W).

        Parameters
        ----------
        number : int
            Of the frame.
        angle_deg, turned_deg : float
            The angle in the middle of the exposure, and how far the sample turned during it.
        place_um : pair of float
            Where the sample stage stands, (y, x), or the mask stage where masks are the scene. Farther out than the detector is
            high or wide, there is no sample in the light.
        """
        if self._options.scene == "masks":
            return self.masks.transmission(self._y, self._x, (place_um[0] / 1000, place_um[1] / 1000))
        down, right = (place / self._options.pixel_um for place in place_um)
        if abs(down) > self.shape[0] or abs(right) > self.shape[1]:
            return np.ones(self.shape)
        y, x = self._y - down, self._x - right - AXIS_PX
        if abs(turned_deg) < _BLUR_DEG:
            return self.scene.transmission(y, x, angle_deg, number)
        # Simpson's rule.
        angles = angle_deg + turned_deg * np.array([-0.5, 0.0, 0.5])
        first, middle, last = (self.scene.transmission(y, x, angle, number) for angle in angles.tolist())
        return np.asarray((first + 4 * middle + last) / 6)

    def draw(self, take: Take) -> np.ndarray:
        """Draw frames, shape (n, H, W), uint16."""
        triggers = take.triggers
        photons = self._options.photons * triggers.exposure_s if take.lit else 0.0
        panel = replace(self._panel, lag=take.spoiled.get("lag", 0.0), drift=take.spoiled.get("drift", 0.0))
        seed = int(np.random.SeedSequence((self._options.seed, take.acquisition)).generate_state(1)[0])
        count = len(triggers)
        angles = np.zeros(count) if triggers.angles_deg is None else triggers.angles_deg
        turned = np.zeros(count) if triggers.turned_deg is None else triggers.turned_deg
        frames = np.empty((count, *self.shape), np.uint16)
        for frame, number, angle, turn, y_um, x_um in zip(
            frames, triggers.numbers.tolist(), angles.tolist(), turned.tolist(), triggers.y_um, triggers.x_um, strict=True
        ):
            body = self._light * self.transmission(number, angle, (float(y_um), float(x_um)), turn)
            # With lag, a frame needs the light of the one before; what that showed was nearly the same.
            bodies = np.stack([body, body]) if panel.lag else body[None]
            counts = panel.frames(bodies, photons, seed, first=number + 1 - len(bodies))[-1]
            frame[:] = np.clip(np.rint(counts + OFFSET), 0, _MOST)
        return frames
