"""Ptychography: algorithms of scanned diffraction patterns. Arrays in, arrays out; nothing here knows of documents."""

from analysis.ptychography.sum_maps import SumMaps

__all__ = ["SumMaps"]
