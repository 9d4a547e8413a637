"""Data sets that an HDF5 file contains itself: anything that would make HDF5 read other files is refused.

Through external links, external storage and virtual data sets, directly or indirectly, an HDF5 file may take data from any
file that its reader may read. A file from outside could thus show a password as a mask.
"""

from __future__ import annotations

import h5py

_LINKS_FOLLOWED = 8


class DataElsewhere(ValueError):
    """A data set, or the way to it, leads into another file."""


def own_dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """The data set of this name, which must be in this file itself; soft links within the file are followed.

    Raises
    ------
    KeyError
        If the file has nothing of this name.
    DataElsewhere
        If it is in another file, or takes its data from one.
    TypeError
        If it is not a data set.
    """
    steps, followed, at = name.strip("/").split("/"), 0, ""
    while steps:
        step = steps.pop(0)
        here = file[at or "/"]
        link = here.get(step, getlink=True) if isinstance(here, h5py.Group) else None
        if link is None:
            raise KeyError(f"{at}/{step}")
        if isinstance(link, h5py.HardLink):
            at = f"{at}/{step}"
            continue
        followed += 1
        if not isinstance(link, h5py.SoftLink) or followed > _LINKS_FOLLOWED:
            raise DataElsewhere(f"{at}/{step} leads into another file")
        if link.path.startswith("/"):
            at = ""
        steps = [*link.path.strip("/").split("/"), *steps]
    data = file[at]
    if not isinstance(data, h5py.Dataset):
        raise TypeError(f"{at} is no data set")
    if data.is_virtual or data.external:
        raise DataElsewhere(f"{at} takes its data from other files")
    return data
