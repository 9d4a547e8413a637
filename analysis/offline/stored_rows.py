"""What a derived run stored of single rows, held against what is made of them again."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from analysis.documents.batch import Batch
from analysis.documents.frame_folders import frame_folders
from analysis.documents.frames import FrameFile, FramesUnreadable, path_of
from analysis.documents.row_file import NUMBER


class StoredRows:
    """The file of a derived run's single rows; compares as a sink of rows.

    Parameters
    ----------
    resources : sequence of mapping
        The derived run's stream resources.
    rows : mapping of str to int
        Rows that were told of, by the stream resource's uid.
    state_dir : Path

    Attributes
    ----------
    difference : dict of str to float
        The largest absolute difference of each key; infinite where something is missing or cannot be read.
    compared : int
        Rows that were made again.
    """

    def __init__(self, resources: list[Mapping[str, Any]], rows: Mapping[str, int], state_dir: Path) -> None:
        self._resources = {resource["data_key"]: resource for resource in resources}
        self._rows = {resource["data_key"]: rows.get(resource["uid"], 0) for resource in resources}
        self._folders = frame_folders(state_dir)
        self.difference: dict[str, float] = dict.fromkeys(self._resources, 0.0)
        self.compared = 0

    def begin(self) -> None:
        """Nothing was compared: a recomputation waits for the end of the documents."""

    def add(self, rows: Batch) -> None:
        """Compare further rows."""
        first, self.compared = self.compared, self.compared + len(rows)
        for key, made in {NUMBER: rows.number, **rows.columns}.items():
            self.difference[key] = max(self.difference.get(key, np.inf), self._difference(key, first, made))

    def end(self) -> None:
        """All have been made again."""
        for key, stored in self._rows.items():
            if stored != self.compared:
                self.difference[key] = np.inf

    def _difference(self, key: str, first: int, made: np.ndarray) -> float:
        if first + len(made) > self._rows.get(key, 0):
            return np.inf
        resource = self._resources[key]
        try:
            with closing(FrameFile(path_of(resource), resource["parameters"]["dataset"], self._folders)) as file:
                stored = file.read(first, first + len(made))
        except FramesUnreadable:
            return np.inf
        if stored.shape != made.shape:
            return np.inf
        if stored.tobytes() == np.ascontiguousarray(made, dtype=stored.dtype).tobytes():
            return 0.0
        return float(np.nan_to_num(np.abs(stored - made.astype(np.float64)), nan=np.inf).max(initial=1e-300))
