"""Diffraction patterns of a sample that moves through a coherent beam, as a photon-counting detector sees them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
import scipy.fft

from sims.frame_messages import Take
from sims.frame_writer import CHUNK
from sims.phase_samples import PHASE_SAMPLES, make_phase_sample
from sims.triggers import Triggers
from sims.zone_plate import Optics

_FIELD_PIXELS = 640  # of the sample: 37 um at the pixel size of the default optics
_KEPT = 128  # intensities; a line needs those near its present place
_MOST = np.iinfo(np.uint16).max
_BRIGHT = 1e-4  # share of all photons above which a pixel's counts are drawn for themselves
_RECYCLED = 64  # frames
_CIRCLE_UM = 1.0  # radius of the places at which the recycled frames are computed

MODES = ("diffraction", "pattern")


@dataclass(frozen=True)
class FrameOptions:
    """What the detector looks at.

    Parameters
    ----------
    sample : str
        A name in `sims.phase_samples.PHASE_SAMPLES`.
    mode : str
        "diffraction" computes frames where the sample is. "pattern" recycles 64 frames, frame n being number n modulo
        64, whatever the sample does and the exposure is: for tests of speed.
    flux : float
        Photons per second in the beam. A sample that takes none sends all of them to the detector.
    seed : int
    optics : Optics
    """

    sample: str = "star"
    mode: str = "diffraction"
    flux: float = 4e7
    seed: int = 0
    optics: Optics = field(default_factory=Optics)

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"there is no way {self.mode!r} to make frames: choose one of {', '.join(MODES)}")
        if self.sample not in PHASE_SAMPLES:
            raise ValueError(f"there is no coherent sample {self.sample!r}: choose one of {', '.join(PHASE_SAMPLES)}")
        if not 0 < self.flux < 1e12:
            raise ValueError(f"the flux must be above 0 and below 1e12 photons/s, not {self.flux!r}")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a frame."""
        return (self.optics.pixels,) * 2

    @property
    def frames_per_chunk(self) -> int:
        """Frames in one chunk of the file."""
        return CHUNK

    def source(self) -> FrameSource:
        """Make what draws the frames."""
        return FrameSource(self)


class FrameSource:
    """Draws frames.

    Parameters
    ----------
    options : FrameOptions

    Notes
    -----
    Approximations: the wave behind the sample is the probe times the sample, which is thin. A frame is that of the place
    at the middle of its exposure, rounded to a pixel of the sample (58 nm with the default optics), so that an
    intensity serves all frames of a pixel; the beam is fully coherent and steady, the detector without dead pixels. Counts
    are exact Poisson numbers of that intensity. They depend on seed, acquisition, number and place alone.
    """

    def __init__(self, options: FrameOptions):
        self._options = options
        size = options.optics.pixels
        # A wave whose sign alternates has its far field's centre in the middle of the transform, which spares a shift.
        self._probe = options.optics.probe() * (1 - 2 * (np.indices((size, size)).sum(axis=0) % 2)).astype(np.float32)
        # Beyond the field there is nothing, as at its border.
        field = make_phase_sample(options.sample, _FIELD_PIXELS, options.optics.pixel_um, options.seed)
        self._sample = np.pad(field, size, constant_values=1)
        self._intensities: OrderedDict[tuple[int, int], _Intensity] = OrderedDict()
        self._recycled = self._recycle() if options.mode == "pattern" else None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a frame."""
        return self._options.shape

    def intensity(self, y_um: float, x_um: float) -> np.ndarray:
        """Return the expected share of the beam's photons in each pixel.

        Parameters
        ----------
        y_um, x_um : float
            The point of the sample that is in the beam's centre, which is where the stage stands.

        Returns
        -------
        array, shape (H, W), float32
            Its sum is 1 less what the sample absorbs.
        """
        return self._far_field(*self._pixel(y_um, x_um))

    def draw(self, take: Take) -> np.ndarray:
        """Draw frames, shape (n, H, W), uint16."""
        return self.frames(take.acquisition, take.triggers, take.lit)

    def frames(self, acquisition: int, triggers: Triggers, lit: bool = True) -> np.ndarray:
        """Draw frames.

        Parameters
        ----------
        acquisition : int
            Which of the detector's acquisitions this is, so that a repeated scan has other noise.
        triggers : Triggers
            n of them.
        lit : bool
            Whether there is beam.

        Returns
        -------
        array, shape (n, H, W), uint16
        """
        frames = np.zeros((len(triggers), *self.shape), np.uint16)
        if not lit:
            return frames
        if self._recycled is not None:
            return np.take(self._recycled, triggers.numbers % _RECYCLED, axis=0)
        photons = self._options.flux * triggers.exposure_s
        for frame, number, y, x in zip(frames, triggers.numbers, triggers.y_um, triggers.x_um, strict=True):
            rng = np.random.default_rng((self._options.seed, acquisition, int(number)))
            self._kept(*self._pixel(y, x)).draw(photons, rng, frame.reshape(-1))
        return frames

    def _pixel(self, y_um: float, x_um: float) -> tuple[int, int]:
        pixel = self._options.optics.pixel_um
        return round(y_um / pixel), round(x_um / pixel)

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
        """Return frames of places on a circle, each with the photons of half a millisecond."""
        turns = 2 * np.pi * np.arange(_RECYCLED) / _RECYCLED
        frames = np.zeros((_RECYCLED, *self.shape), np.uint16)
        for number, (frame, y, x) in enumerate(zip(frames, _CIRCLE_UM * np.sin(turns), _CIRCLE_UM * np.cos(turns), strict=True)):
            rng = np.random.default_rng((self._options.seed, number))
            _Intensity(self.intensity(y, x).reshape(-1)).draw(self._options.flux * 0.0005, rng, frame.reshape(-1))
        return frames


class _Intensity:
    """Where photons go, made ready to draw from.

    Few pixels get most photons, so the counts of those are drawn one by one; what goes to all others is some photons,
    each of which chooses its pixel. Both ways give independent Poisson numbers.
    """

    def __init__(self, shares: np.ndarray):
        self._bright = np.flatnonzero(shares > _BRIGHT)
        self._shares = shares[self._bright]
        dim = shares.copy()
        dim[self._bright] = 0.0
        self._dim = np.cumsum(dim, dtype=np.float64)

    def draw(self, photons: float, rng: np.random.Generator, counts: np.ndarray) -> None:
        """Fill a frame's counts, shape (H W,), uint16, from so many photons in the beam."""
        scattered = rng.poisson(self._dim[-1] * photons)
        # Sorted, they are found several times faster.
        chosen = np.searchsorted(self._dim, np.sort(rng.random(scattered)) * self._dim[-1], side="right")
        counts[:] = np.bincount(chosen, minlength=len(counts))[: len(counts)]
        counts[self._bright] = np.minimum(rng.poisson(self._shares * photons), _MOST)
