"""Ghost imaging: images from masks and single-pixel (bucket) signals.

Arrays in, arrays out. Every method takes realizations as they arrive (`make_reconstructor`) and all at once (`reconstruct`)
through the same code. Symbols follow Manni et al., "Noise2Ghost" (2025): y = W x + noise, with W of shape (M, N) for M
realizations and N pixels.
"""

from .estimate import Estimate, Progress, Result
from .forward import MaskOperator
from .offline import reconstruct
from .reconstructor import Reconstructor
from .registry import METHODS, Method, make_reconstructor

__all__ = [
    "METHODS",
    "Estimate",
    "MaskOperator",
    "Method",
    "Progress",
    "Reconstructor",
    "Result",
    "make_reconstructor",
    "reconstruct",
]
