"""The device on which torch computes."""

from __future__ import annotations

import torch


def usable_device(name: str) -> torch.device:
    """Return the device of this name.

    Raises
    ------
    ValueError
        There is no such device on this machine, or it cannot hold numbers.
    """
    try:
        device = torch.device(name)
        torch.ones(1, device=device).item()
    except (RuntimeError, AssertionError, ImportError) as error:
        raise ValueError(f"device {name!r} can't be used: {str(error).splitlines()[0]}; use cpu") from error
    return device
