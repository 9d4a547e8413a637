"""The reconstruction methods by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from .ch_mwcnn import CompressedHadamardNetwork
from .correlation import Correlation, Differential, Normalised
from .gidc import DeepImagePrior
from .inputs import check_option_names, checked_shape, close_match
from .inr import ImplicitRepresentation
from .least_squares import LeastSquares
from .memory import memory_for
from .n2g import Noise2Ghost
from .n2i import Noise2Inverse
from .published import noise2ghost
from .reconstructor import Reconstructor
from .tv import TotalVariation


@dataclass(frozen=True)
class Method:
    """A reconstruction method: its name, description and options.

    Attributes
    ----------
    name : str
    fast : bool
        Fast enough to update a live image about three times per second.
    summary : str
        One sentence for users.
    defaults : dict
        Options and their default values; None means chosen from the data.
    build : callable
        Makes the reconstructor; use `make_reconstructor`, which checks the name.
    """

    name: str
    fast: bool
    summary: str
    defaults: dict[str, Any]
    build: Callable[..., Reconstructor]


def _described(kind: type[Reconstructor]) -> Method:
    build = noise2ghost if kind is Noise2Ghost else kind
    return Method(kind.name, kind.fast, kind.summary, dict(kind.defaults), build)


METHODS: dict[str, Method] = {
    kind.name: _described(kind)
    for kind in (
        Correlation,
        Differential,
        Normalised,
        LeastSquares,
        TotalVariation,
        CompressedHadamardNetwork,
        Noise2Ghost,
        DeepImagePrior,
        ImplicitRepresentation,
        Noise2Inverse,
    )
}
"""All methods by name, the fastest first; those at the end are for comparison."""


def make_reconstructor(
    method: str,
    *,
    shape: tuple[int, int],
    expected: int | None = None,
    nonnegative: bool = True,
    seed: int = 0,
    device: str = "cpu",
    **options: Any,
) -> Reconstructor:
    """Return a reconstructor that takes realizations of `shape` pixels as they arrive.

    Parameters are those of `Reconstructor`; `options` are the method's own, see ``METHODS[method].defaults``.

    Raises
    ------
    ValueError
        Unknown method or option, or an impossible value; the message lists what is valid.
    """
    check_recipe(method, options)
    build = METHODS[method].build
    with memory_for(method, expected if isinstance(expected, int) else 0, checked_shape(shape)):
        return build(shape, expected=expected, nonnegative=nonnegative, seed=seed, device=device, **options)


def check_recipe(method: str, options: Iterable[str]) -> None:
    """Raise ValueError, with a list of what exists, for an unknown method or unknown names of options."""
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"unknown method {method!r}; the methods are {', '.join(METHODS)}{close_match(method, METHODS)}")
    check_option_names(method, options, METHODS[method].defaults)
