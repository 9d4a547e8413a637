"""Ptychography: algorithms for scanned diffraction patterns. Arrays in, arrays out; nothing here uses documents."""

from analysis.ptychography.sum_maps import SumMaps

__all__ = ["SumMaps"]
