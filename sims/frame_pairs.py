"""Frames of the dual camera: a scene twice on one sensor, each half with its own noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from scipy.ndimage import gaussian_filter

from sims.frame_messages import Take
from sims.pair_scenes import SCENES, make_scene

OFFSET_PX = (0.37, -0.62)
"""Displacement of the scene in the second half, along y and x."""
GAINS = (1.0, 0.96)
"""Counts per detected photon in each half."""
OFFSETS = (100.0, 103.0)
"""Counts of each half without light."""
READ_NOISE, ROW_NOISE = 2.0, 0.3
"""Standard deviations in counts: of the reading of each pixel, and of the error that all pixels of a row share in one frame."""
LIGHT_YIELD, SCINTILLATOR_BLUR_PX = 20.0, 1.0
"""Photons of visible light per X-ray quantum in the scintillator, and standard deviation of the light spot."""

_RESPONSE = 0.01  # standard deviation of the pixels' sensitivity
_PATTERN = 1.0  # counts: standard deviation of the pixels' offsets
_VIGNETTE = 0.3  # fraction of the light that is missing in the corners
_FRAME_S = 1 / 24  # time between two frames in the scene
_PIXEL_UM = 6.5
_MOST = np.iinfo(np.uint16).max


@dataclass(frozen=True)
class PairOptions:
    """Scene, light and sensor of the dual camera.

    Parameters
    ----------
    scene : str
        A name in `sims.pair_scenes.SCENES`.
    photons : float
        Mean photons per second and pixel of a half.
    sensor : pair of int
        Rows and columns; the left half and the right half both show the scene.
    scintillator : bool
        Whether X-rays make the light in a scintillator before it is split.
    seed : int
    """

    scene: str = "flow"
    photons: float = 2500.0
    sensor: tuple[int, int] = (512, 1024)
    scintillator: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.scene not in SCENES:
            raise ValueError(f"there is no scene {self.scene!r} for frame pairs: choose one of {', '.join(SCENES)}")
        if not 0 < self.photons < 1e9:
            raise ValueError(f"the photons per second and pixel must be above 0 and below 1e9, not {self.photons!r}")
        rows, columns = self.sensor
        if rows < 1 or columns < 2:
            raise ValueError(f"the dual camera's sensor must have at least 1 row and 2 columns, not {rows} and {columns}")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a frame."""
        return self.sensor

    @property
    def frames_per_chunk(self) -> int:
        """Number of frames in one chunk of the file: one, because a larger chunk would be rewritten with each new frame."""
        return 1

    def source(self) -> PairSource:
        """Return the source that draws the frames."""
        return PairSource(self)


class PairSource:
    """Draws frames.

    Parameters
    ----------
    options : PairOptions

    Notes
    -----
    A pixel's counts are gain times (Poisson number of mean p S/<S>) plus Gaussian read noise plus offset: the noise of Eq. 1
    of the paper on denoising from one pair. S is the scene, p the photons per pixel. Behind a scintillator the mean of that
    Poisson number is itself the blurred light of a Poisson number of X-ray quanta, the same for both halves. All pixels of a
    row share a small error, as in sensors that read rows at a time. Pixels differ in sensitivity by 1 % and in offset by one
    count; corners receive less light. Frame n of a series shows the scene n/24 s after its beginning, whatever the rate. The
    counts depend only on seed, acquisition, number and place.
    """

    def __init__(self, options: PairOptions):
        self._options = options
        rows, columns = options.sensor
        self._half = (rows, columns // 2)
        self._y, self._x = (np.arange(size) - (size - 1) / 2 for size in self._half)
        self._scene = make_scene(options.scene, self._half, options.seed)
        self._scale = 1 / self._scene.draw(self._y, self._x, 0.0).mean()
        radius = np.hypot(self._y[:, None] / rows, self._x[None, :] / self._half[1]) * np.sqrt(2)
        self._light = 1 - _VIGNETTE * radius**2
        rng = np.random.default_rng((options.seed, 8))
        gain, offset = np.ones(options.sensor, np.float32), np.full(options.sensor, OFFSETS[0], np.float32)
        for half, (factor, counts) in enumerate(zip(GAINS, OFFSETS, strict=True)):
            gain[:, self._columns(half)], offset[:, self._columns(half)] = factor, counts
        self._gain = gain * rng.normal(1.0, _RESPONSE, options.sensor).astype(np.float32)
        self._offset = offset + rng.normal(0.0, _PATTERN, options.sensor).astype(np.float32)
        self._kept: dict[tuple, np.ndarray] = {}
        self._last: tuple[tuple[int, int], np.ndarray] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a frame."""
        return self._options.sensor

    def truth(self, number: int, half: int = 0, place_um: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
        """Return the scene on one half in a frame, without noise.

        Parameters
        ----------
        number : int
            Number of the frame, from 1.
        half : int
            0 or 1.
        place_um : pair of float
            Position of the sample stage, (y, x). If it is off by more than the height or width of a half, there is no sample
            in the light.

        Returns
        -------
        array, shape (H, W), float64
            Mean 1 where the sample is centred.
        """
        down, right = (place / _PIXEL_UM for place in place_um)
        if abs(down) > self._half[0] or abs(right) > self._half[1]:
            return np.ones(self._half)
        moved_y, moved_x = OFFSET_PX if half else (0.0, 0.0)
        time_s = number * _FRAME_S if self._scene.moves else 0.0
        return self._scale * self._scene.draw(self._y - moved_y - down, self._x - moved_x - right, time_s)

    def draw(self, take: Take) -> np.ndarray:
        """Draw frames, shape (n, H, W), uint16."""
        triggers, lag = take.triggers, take.spoiled.get("lag", 0.0)
        blur_px = take.spoiled.get("blur_px", 0.0)
        frames = np.empty((len(triggers), *self.shape), np.uint16)
        for frame, number, y_um, x_um in zip(frames, triggers.numbers.tolist(), triggers.y_um, triggers.x_um, strict=True):
            rng = np.random.default_rng((self._options.seed, take.acquisition, number))
            photons = self._options.photons * triggers.exposure_s if take.lit else 0.0
            charge = self._charge(rng, photons, number, (float(y_um), float(x_um)), blur_px)
            before, key = self._last, (take.acquisition, number - 1)
            self._last = ((take.acquisition, number), charge)
            if lag and before is not None and before[0] == key:
                charge = charge + lag * before[1]
            frame[:] = self._read(charge, rng)
        return frames

    def _charge(
        self, rng: np.random.Generator, photons: float, number: int, place_um: tuple[float, float], blur_px: float
    ) -> np.ndarray:
        """Return the photons detected in each pixel, shape (rows, columns), float32."""
        charge = np.zeros(self.shape, np.float32)
        if not photons:
            return charge
        quanta = None
        if self._options.scintillator:
            mean = self._seen(number, 0, place_um)
            quanta = rng.poisson(mean * photons / LIGHT_YIELD) * LIGHT_YIELD
        for half in (0, 1):
            seen = (
                self._seen(number, half, place_um) * photons if quanta is None else _spread(quanta, OFFSET_PX if half else (0, 0))
            )
            if half and blur_px:
                seen = gaussian_filter(seen, blur_px, mode="nearest")
            charge[:, self._columns(half)] = rng.poisson(seen * self._light)
        return charge

    def _seen(self, number: int, half: int, place_um: tuple[float, float]) -> np.ndarray:
        """Return `truth`, cached for a scene that does not move."""
        if self._scene.moves:
            return self.truth(number, half, place_um)
        if (place_um, half) not in self._kept:
            if len(self._kept) >= 4:
                self._kept.clear()
            self._kept[place_um, half] = self.truth(number, half, place_um)
        return self._kept[place_um, half]

    def _read(self, charge: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the counts, uint16, for charges in photons."""
        counts = self._gain * charge + self._offset
        counts += READ_NOISE * rng.standard_normal(self.shape, np.float32)
        counts += ROW_NOISE * rng.standard_normal((self.shape[0], 1), np.float32)
        return np.clip(np.rint(counts), 0, _MOST).astype(np.uint16)

    def _columns(self, half: int) -> slice:
        width = self._half[1]
        return slice(half * width, (half + 1) * width)


def _spread(quanta: np.ndarray, offset_px: tuple[float, float]) -> np.ndarray:
    """Return the light of X-ray quanta, blurred by the scintillator and moved, with periodic boundaries."""
    down, right = scipy.fft.fftfreq(quanta.shape[0])[:, None], scipy.fft.rfftfreq(quanta.shape[1])[None, :]
    blur = np.exp(-2 * (np.pi * SCINTILLATOR_BLUR_PX) ** 2 * (down**2 + right**2))
    moved = np.exp(-2j * np.pi * (down * offset_px[0] + right * offset_px[1]))
    light = scipy.fft.irfft2(scipy.fft.rfft2(quanta) * blur * moved, s=quanta.shape)
    return np.maximum(light, 0.0)
