"""areaDetector's HDF5 plugin as the writer of one file a run, and the stream documents that tell of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from event_model import ComposeStreamResourceBundle, DocumentNames, StreamRange, compose_stream_resource
from ophyd import Component as Cpt
from ophyd import EpicsSignal
from ophyd.areadetector.plugins import HDF5Plugin_V34

IMAGES = "/entry/data/data"
NUMBERS = "/entry/instrument/NDAttributes/NDArrayUniqueId"
CHUNK = 64
"""Numbers of frames in one chunk of the file, and frames unless a detector says another number."""

_STREAM = 2  # FileWriteMode
_EXISTS_S = 1.0  # the IOC has looked already when the folder's name has been put
_USED = [
    "array_size",
    "flush_now",
    "num_captured",
    "dropped_arrays",
    "capture",
    "write_status",
    "write_message",
    "file_path",
    "file_path_exists",
    "file_name",
    "file_number",
    "file_template",
    "full_file_name",
    "create_directory",
    "auto_increment",
    "file_write_mode",
    "num_capture",
    "num_frames_chunks",
    "store_attr",
    "swmr_mode",
    "lazy_open",
    "width",
    "height",
    "port_name",
    "nd_array_port",
    "enable",
    "blocking_callbacks",
]


class FrameFileError(RuntimeError):
    """The detector's IOC cannot write frames as the run needs them."""


class FrameFile(HDF5Plugin_V34):
    """The plugin `HDF1:`, which writes frames into an HDF5 file that others read meanwhile (SWMR).

    Only flushed frames are announced: `flushed` reads the number captured, then flushes, and returns that number.

    Parameters
    ----------
    frames_per_chunk : int
        Frames in one chunk of the file.
    """

    # So that a session finds all that are missing when it connects, and none in the middle of a scan.
    lazy_wait_for_connection = False

    flush_now = Cpt(EpicsSignal, "FlushNow", put_complete=True, kind="omitted")

    def __init__(self, *args: Any, timeout_s: float = 10.0, frames_per_chunk: int = CHUNK, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._timeout_s = timeout_s
        self._frames_per_chunk = frames_per_chunk
        self._resources: list[ComposeStreamResourceBundle] = []
        self._announced = 0
        for name in _USED:
            getattr(self, name)
        self.ensure_nonblocking()  # a camera that waits for the disk would miss triggers
        self.stage_sigs.update(
            [
                ("create_directory", -2),
                ("auto_increment", 0),
                ("file_template", "%s%s_%6.6d.h5"),
                ("file_number", 0),
                ("file_write_mode", _STREAM),
                ("num_capture", 0),
                ("num_frames_chunks", frames_per_chunk),
                ("store_attr", "Yes"),
                ("lazy_open", "No"),
                ("swmr_mode", "On"),
            ]
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the last frame that the plugin has seen; zeros before the first one."""
        return int(self.height.get()), int(self.width.get())

    def choose(self, folder: PurePosixPath, name: str) -> None:
        """Say where the next file is to be.

        Raises
        ------
        FrameFileError
            If the IOC cannot write there.
        """
        self.create_directory.set(-2).wait(self._timeout_s)
        self.file_path.put(f"{folder}/", wait=True, use_complete=True)
        self.file_name.set(name).wait(self._timeout_s)
        if not self._comes_true(lambda: bool(self.file_path_exists.get()), _EXISTS_S):
            raise FrameFileError(
                f"the detector's IOC cannot write to {folder} ({self.file_path_exists.pvname} is 0): make the folder where the "
                "IOC runs, let its account write there, or name another one as frames_dir"
            )

    def open(self, data_keys: tuple[str, str]) -> None:
        """Open the file that was chosen.

        Parameters
        ----------
        data_keys : pair of str
            Of the images and of their numbers.

        Raises
        ------
        FrameFileError
            If the IOC could not.
        """
        self.capture.put(1)
        opened = self._comes_true(lambda: bool(self.capture.get()) or self.problem() is not None)
        problem = self.problem()
        if problem is not None or not opened:
            raise FrameFileError(
                problem or f"{self.capture.pvname} did not become 1: the file could not be opened, see the IOC's log"
            )
        uri = f"file://localhost{quote(str(self.full_file_name.get()))}"
        self._resources = [
            compose_stream_resource(
                mimetype="application/x-hdf5", uri=uri, data_key=key, parameters={"dataset": dataset, "chunk_shape": [chunk]}
            )
            for key, dataset, chunk in zip(data_keys, (IMAGES, NUMBERS), (self._frames_per_chunk, CHUNK), strict=True)
        ]
        self._announced = 0

    def close(self) -> None:
        """Close the file, after the frames that wait have been written."""
        self.capture.put(0)
        if not self._comes_true(lambda: not self.capture.get()):
            self.log.error("%s is still writing: its file may lack the last frames", self.capture.pvname)

    def captured(self) -> int:
        """How many frames the file has."""
        return int(self.num_captured.get())

    def flushed(self) -> int:
        """How many frames others can read."""
        count = self.captured()
        if count > self._announced:
            self.flush_now.put(1, wait=True)
        return count

    def problem(self) -> str | None:
        """Say what went wrong with writing; None if nothing has."""
        if self.write_status.get() in (0, "Write OK"):
            return None
        return (
            f"the detector's IOC could not write frames ({self.write_status.pvname}): {self.write_message.get() or 'no reason'}. "
            "Is the disk full, and may the IOC write there?"
        )

    def documents(self, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the stream documents of frames up to a number, as far as there are new ones."""
        if count <= self._announced:
            return
        if self._announced == 0:
            for resource in self._resources:
                yield DocumentNames.stream_resource.value, dict(resource.stream_resource_doc)
        indices = StreamRange(start=self._announced, stop=count)
        self._announced = count
        for resource in self._resources:
            yield DocumentNames.stream_datum.value, dict(resource.compose_stream_datum(indices=indices))

    def _comes_true(self, condition: Callable[[], bool], timeout_s: float | None = None) -> bool:
        deadline = time.monotonic() + (self._timeout_s if timeout_s is None else timeout_s)
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True
