"""The arrays of a device and their transforms: numpy on the CPU, torch on other devices, under one set of names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


class Backend:
    """Arrays of one device, and their Fourier transforms.

    Functions with the same signature in numpy and torch are in `xp`.

    Parameters
    ----------
    device : str
        "cpu", or a torch device.

    Raises
    ------
    ValueError
        If there is no such device on this machine.
    """

    def __init__(self, device: str = "cpu") -> None:
        self.xp: Any = np
        self._device = None
        if device != "cpu":
            import torch

            try:
                self._device = torch.device(device)
                torch.ones(1, device=self._device).item()
            except (RuntimeError, AssertionError) as error:
                raise ValueError(f"device {device!r} can't be used: {str(error).splitlines()[0]}; use cpu") from error
            self.xp = torch

    def asarray(self, values: np.ndarray) -> Any:
        """A copy of an array on this device."""
        if self._device is None:
            own = self.empty(values.shape, values.dtype)
            own[...] = values
            return own
        return self.xp.tensor(values, device=self._device)

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """A new array.

        Its memory begins at a multiple of 64 bytes; otherwise the bits of a Fourier transform may differ.
        """
        dtype = np.dtype(dtype)
        if self._device is not None:
            return self.xp.empty(shape, dtype=getattr(self.xp, dtype.name), device=self._device)
        size = int(np.prod(shape)) * dtype.itemsize
        raw = np.empty(size + 64, dtype=np.uint8)
        first = -raw.ctypes.data % 64
        return raw[first : first + size].view(dtype).reshape(shape)

    def numpy(self, array: Any) -> np.ndarray:
        """The array as a numpy array, copied."""
        return np.array(array) if self._device is None else array.cpu().numpy().copy()

    def transform(self, wave: Any, result: Any) -> Callable[[], None]:
        """Return a function that transforms one array into another over the last two axes, whenever it is called.

        The transform is not normalised. On the CPU, torch's transform is used too: scipy's takes up to 1.7 times as long for
        frames of 64x64 to 192x192. The information that torch needs about numpy arrays is prepared once, not for each frame.
        """
        import torch

        before, after = self._tensor(wave), self._tensor(result)
        return lambda: torch.fft.fft2(before, out=after)

    def adjoint_transform(self, wave: Any, result: Any) -> Callable[[], None]:
        """The same for the adjoint: the inverse transform, not normalised."""
        import torch

        before, after = self._tensor(wave), self._tensor(result)
        return lambda: torch.fft.ifft2(before, norm="forward", out=after)

    def _tensor(self, array: Any) -> Any:
        import torch

        return torch.from_numpy(array) if self._device is None else array
