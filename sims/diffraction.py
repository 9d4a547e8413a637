"""Diffraction patterns of a sample that moves through a coherent beam, as recorded by a photon-counting detector."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import scipy.fft

from sims.counting import CountedFrames, Counting
from sims.frame_messages import Take
from sims.frame_writer import CHUNK
from sims.phase_samples import PHASE_SAMPLES, make_phase_sample
from sims.triggers import Triggers
from sims.zone_plate import Optics

_FIELD_PIXELS = 640  # size of the sample: 37 um at the pixel size of the default optics
_KEPT = 128  # intensities kept; a line needs those near its present place
_BRIGHT = 1e-4  # share of all photons above which a pixel's counts are drawn individually
_MANY = 2  # photons per pixel above which drawing for each pixel is faster than drawing the pixel of each photon
_RECYCLED, _RECYCLED_S = 64, 0.0005  # number of recycled frames, and the exposure of each
_CIRCLE_UM = 1.0  # radius of the places at which the recycled frames are computed

MODES = ("diffraction", "pattern")


@dataclass(frozen=True)
class FrameOptions:
    """Sample, beam and detector of the simulated frames.

    Parameters
    ----------
    sample : str
        A name in `sims.phase_samples.PHASE_SAMPLES`.
    mode : str
        "diffraction" computes frames at the present place of the sample. "pattern" recycles 64 frames, frame n being number n
        modulo 64, whatever the position of the sample and the exposure time: for tests of speed.
    flux : float
        Photons per second in the beam. A sample that absorbs none sends all of them to the detector.
    seed : int
    optics : Optics
    counting : Counting
        The detector's pixels.
    source_um : float
        Standard deviation in y and x of the source's image on the sample: 0 is a fully coherent beam.
    """

    sample: str = "star"
    mode: str = "diffraction"
    flux: float = 4e7
    seed: int = 0
    optics: Optics = field(default_factory=Optics)
    counting: Counting = field(default_factory=Counting)
    source_um: float = 0.0

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"there is no mode {self.mode!r} of making frames: choose one of {', '.join(MODES)}")
        if self.sample not in PHASE_SAMPLES:
            raise ValueError(f"there is no coherent sample {self.sample!r}: choose one of {', '.join(PHASE_SAMPLES)}")
        if not 0 < self.flux < 1e12:
            raise ValueError(f"the flux must be above 0 and below 1e12 photons/s, not {self.flux!r}")
        if not 0 <= self.source_um < 10:
            raise ValueError(f"the source's image must be 0 um or more and below 10 um, not {self.source_um!r}")
        self.counting.odd_pixels((self.optics.pixels,) * 2, self.seed)  # raises if there are too many

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a frame."""
        return (self.optics.pixels,) * 2

    @property
    def frames_per_chunk(self) -> int:
        """Number of frames in one chunk of the file."""
        return CHUNK

    def source(self) -> FrameSource:
        """Return the source that draws the frames."""
        return FrameSource(self)


class FrameSource:
    """Draws frames.

    Parameters
    ----------
    options : FrameOptions

    Notes
    -----
    Approximations: the wave behind the sample is the probe times the sample, which is thin; the beam is steady. A frame is
    the incoherent sum of the intensities at equidistant places along the path of its exposure, at most one pixel of the
    sample apart (58 nm with the default optics). Each place is rounded to a pixel, so that one intensity serves all frames of
    that pixel. An extended source is represented by nine points, at the nodes of the Gauss-Hermite quadrature: for the light
    of each, the sample is displaced. Photon counts are exact Poisson deviates of that sum. They depend only on seed,
    acquisition, number and path.
    """

    def __init__(self, options: FrameOptions):
        self._options = options
        size = options.optics.pixels
        # A wave whose sign alternates has the centre of its far field in the middle of the transform, which saves a shift.
        self._probe = options.optics.probe() * (1 - 2 * (np.indices((size, size)).sum(axis=0) % 2)).astype(np.float32)
        # Outside the field there is no sample, as at its border.
        field = make_phase_sample(options.sample, _FIELD_PIXELS, options.optics.pixel_um, options.seed)
        self._sample = np.pad(field, size, constant_values=1)
        self._intensities: OrderedDict[tuple[int, int], _Intensity] = OrderedDict()
        self._counted = CountedFrames(options.counting, self.shape, options.seed)
        self._source = _source_points(options.source_um)
        self._recycled = self._recycle() if options.mode == "pattern" else None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a frame."""
        return self._options.shape

    def intensity(self, y_um: float, x_um: float, moved_um: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
        """Return the expected share of the beam's photons in each pixel.

        Parameters
        ----------
        y_um, x_um : float
            The point of the sample in the centre of the beam, that is, the position of the stage in the middle of the
            exposure.
        moved_um : pair of float
            Distance that it moves in y and x during the exposure.

        Returns
        -------
        array, shape (H, W), float32
            Its sum is 1 minus the part that the sample absorbs.
        """
        total = np.zeros(self.shape, np.float32)
        for pixel, share in self._pixels(y_um, x_um, moved_um).items():
            total += share * self._far_field(*pixel)
        return total

    def draw(self, take: Take) -> np.ndarray:
        """Draw frames, shape (n, H, W), uint16."""
        return self.frames(take.acquisition, take.triggers, take.lit)

    def frames(self, acquisition: int, triggers: Triggers, lit: bool = True) -> np.ndarray:
        """Draw frames.

        Parameters
        ----------
        acquisition : int
            Number of the detector's acquisition, so that a repeated scan has different noise.
        triggers : Triggers
            n of them.
        lit : bool
            Whether there is beam.

        Returns
        -------
        array, shape (n, H, W), uint16
        """
        if lit and self._recycled is not None:
            return np.take(self._recycled, triggers.numbers % _RECYCLED, axis=0)
        frames = np.zeros((len(triggers), *self.shape), np.uint16)
        photons = self._options.flux * triggers.exposure_s if lit else 0.0
        moved_um = np.zeros((2, len(triggers))) if triggers.moved_um is None else triggers.moved_um
        for frame, number, y, x, moved in zip(frames, triggers.numbers, triggers.y_um, triggers.x_um, moved_um.T, strict=True):
            rng = np.random.default_rng((self._options.seed, acquisition, int(number)))
            drawn = np.zeros(frame.size, np.int64)
            if lit:
                for pixel, share in self._pixels(y, x, moved).items():
                    drawn += self._kept(*pixel).draw(share * photons, rng)
            frame[...] = self._counted.frame(drawn, triggers.exposure_s, rng).reshape(frame.shape)
        return frames

    def _pixels(self, y_um: float, x_um: float, moved_um: Sequence[float]) -> dict[tuple[int, int], float]:
        """Return the pixels of the sample in the centre of the beam during an exposure, and the share of time for each."""
        pixel = self._options.optics.pixel_um
        number = max(1, math.ceil(math.hypot(*moved_um) / pixel - 1e-9))
        shares: dict[tuple[int, int], float] = {}
        for part in (np.arange(number) + 0.5) / number - 0.5:
            for y_off, x_off, share in self._source:
                place = (y_um + part * moved_um[0] + y_off) / pixel, (x_um + part * moved_um[1] + x_off) / pixel
                rounded = round(place[0]), round(place[1])
                shares[rounded] = shares.get(rounded, 0.0) + share / number
        return shares

    def _far_field(self, row: int, column: int) -> np.ndarray:
        size = self._options.optics.pixels
        top, left = (min(max(place + (_FIELD_PIXELS + size) // 2, 0), _FIELD_PIXELS + size) for place in (row, column))
        exit_wave = self._probe * self._sample[top : top + size, left : left + size]
        wave = scipy.fft.fft2(exit_wave, norm="ortho", overwrite_x=True)
        return wave.real**2 + wave.imag**2

    def _kept(self, row: int, column: int) -> _Intensity:
        known = self._intensities.pop((row, column), None)
        if known is None:
            known = _Intensity(self._far_field(row, column).reshape(-1))
            if len(self._intensities) == _KEPT:
                self._intensities.popitem(last=False)
        self._intensities[row, column] = known
        return known

    def _recycle(self) -> np.ndarray:
        """Return frames at places on a circle, each with the photons of half a millisecond."""
        turns = 2 * np.pi * np.arange(_RECYCLED) / _RECYCLED
        frames = np.zeros((_RECYCLED, *self.shape), np.uint16)
        for number, (frame, y, x) in enumerate(zip(frames, _CIRCLE_UM * np.sin(turns), _CIRCLE_UM * np.cos(turns), strict=True)):
            rng = np.random.default_rng((self._options.seed, number))
            drawn = _Intensity(self.intensity(y, x).reshape(-1)).draw(self._options.flux * _RECYCLED_S, rng)
            frame[...] = self._counted.frame(drawn, _RECYCLED_S, rng).reshape(frame.shape)
        return frames


class _Intensity:
    """The distribution of the photons over the pixels, prepared for drawing.

    A few pixels receive most of the photons, so their counts are drawn one by one. The remaining photons are few, and each of
    them chooses its pixel. Both ways give independent Poisson deviates.
    """

    def __init__(self, shares: np.ndarray):
        self._all = shares
        self._bright = np.flatnonzero(shares > _BRIGHT)
        self._shares = shares[self._bright]
        dim = shares.copy()
        dim[self._bright] = 0.0
        self._dim = np.cumsum(dim, dtype=np.float64)

    def draw(self, photons: float, rng: np.random.Generator) -> np.ndarray:
        """Return the photons in each pixel, shape (H W,), int64, for a given number of photons in the beam."""
        if self._dim[-1] * photons > _MANY * len(self._dim):
            return rng.poisson(self._all * photons)
        scattered = rng.poisson(self._dim[-1] * photons)
        # Lookups of sorted numbers are several times faster.
        chosen = np.searchsorted(self._dim, np.sort(rng.random(scattered)) * self._dim[-1], side="right")
        drawn = np.bincount(chosen, minlength=len(self._dim))[: len(self._dim)]
        drawn[self._bright] = rng.poisson(self._shares * photons)
        return drawn


def _source_points(source_um: float) -> list[tuple[float, float, float]]:
    """Return where points of the source are imaged on the sample, y and x in um, and the share of the light from each."""
    if source_um == 0:
        return [(0.0, 0.0, 1.0)]
    far = math.sqrt(3.0) * source_um
    nodes = ((-far, 1 / 6), (0.0, 2 / 3), (far, 1 / 6))
    return [(y, x, y_share * x_share) for y, y_share in nodes for x, x_share in nodes]
