"""The HDF5 plugin of the simulated detector: records that open a file, count its frames and report errors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from caproto import SkipWrite

from sims.asyn_group import AsynGroup, serve
from sims.frame_faults import FileFaults
from sims.frame_link import FrameLink
from sims.frame_messages import Close, Disk, Flush, Open, Take
from sims.frame_source import SourceOptions
from sims.frame_writer import CHUNK
from sims.hdf_fields import HDF_RECORDS

_FIXED = {
    "DataType": "UInt16",
    "Compression": "BSLZ4",
    "SWMRMode": "On",
    "NDAttributeChunk": CHUNK,
    "TempSuffix": "",
}


class HdfPlugin(AsynGroup):
    """The records of `HDF1:`.

    Parameters
    ----------
    prefix : str
    options : SourceOptions
        Options of the process that draws and writes frames.
    faults : FileFaults

    Notes
    -----
    Frames wait in a queue of unlimited length until they are drawn and written: none is dropped because the machine is slow.
    """

    locals().update(serve(*HDF_RECORDS))

    def __init__(self, prefix: str, *, options: SourceOptions, faults: FileFaults, **kwargs: Any):
        super().__init__(prefix, **kwargs)
        self._options, self._faults = options, faults
        self._fixed = _FIXED | {"NumFramesChunks": options.frames_per_chunk}
        self._link = FrameLink(options, self._reported, self._died)
        self._sent = 0  # frames sent to the present file
        self._open = False
        self._answered = asyncio.Event()  # opened, closed or failed
        self._actions: dict[str, Callable[[Any], Any]] = {
            "FilePath": self._put_path,
            "Capture": self._put_capture,
            "FlushNow": self._put_flush,
        }

    async def initialise(self) -> None:
        """Fill the records, including those that a real plugin fills with the first frame: it need not be primed."""
        rows, columns = self._options.shape
        for name, size in (("ArraySize0", columns), ("ArraySize1", rows)):
            await self.post_pair(name, size)
        for name, size in (("ArraySizeX_RBV", columns), ("ArraySizeY_RBV", rows)):
            await self.post(name, size)
        await self.post("ArraySize_RBV", 2 * rows * columns)
        for name, value in {**self._fixed, "StoreAttr": "Yes", "FileWriteMode": "Stream", "SWMRSupported": "Supported"}.items():
            if name != "SWMRSupported":
                await self.post(name, value)
            await self.post(f"{name}_RBV", value)

    async def on_put(self, name: str, value: Any) -> Any:
        """Act on the records that have an effect; refuse settings that are not simulated."""
        if name in self._actions:
            return await self._actions[name](value)
        if name in self._fixed and value != self._fixed[name]:
            raise ValueError(f"{self.prefix}{name} is always {self._fixed[name]} in this simulation, not {value}")
        return value

    async def take(self, take: Take) -> None:
        """Write frames that the camera has taken, if a file is open."""
        if self.value("EnableCallbacks") != "Enable":
            return
        count = len(take.triggers)
        await self.post_pair("ArrayCounter", self.value("ArrayCounter") + count)
        if not self._open:
            return
        kept = await self._faults.dropped(count)
        wanted, early = self.value("NumCapture"), await self._faults.before_early_end(int(kept.sum()))
        room = min(limit for limit in (wanted - self._sent if wanted else count, early, count) if limit is not None)
        index = np.flatnonzero(kept)[:room]
        dropped = count - len(index)
        if len(index):
            self._sent += len(index)
            await self._link.send(replace(take, triggers=take.triggers.some(index), spoiled=self._faults.spoiled))
        if dropped and not (wanted and self._sent >= wanted):
            await self.post_pair("DroppedArrays", self.value("DroppedArrays") + dropped)
        await self._count_waiting()
        if (wanted and self._sent == wanted) or early == room:
            await self._close()

    async def flush(self) -> None:
        """Make all frames taken so far readable."""
        if self._open:
            await self._link.send(Flush())

    async def fill_disk(self, full: bool) -> None:
        """Let writes fail, or succeed again; a file that is opened later asks for the state of the disk itself."""
        if self._open:
            await self._link.send(Disk(full))

    def kill_writer(self) -> None:
        """Kill the process that writes, in the middle of its file."""
        self._link.kill()

    async def _put_path(self, value: str) -> str:
        path = value if value.endswith("/") or not value else f"{value}/"
        depth = abs(self.value("CreateDirectory"))
        missing = [parent for parent in (Path(path), *Path(path).parents) if not parent.exists()]
        if path and missing and len(missing) <= depth:
            Path(path).mkdir(parents=True, exist_ok=True)
        await self.post("FilePathExists_RBV", "Yes" if path and Path(path).is_dir() else "No")
        return path

    async def _put_flush(self, value: str) -> Any:
        await self.flush()
        raise SkipWrite

    async def _put_capture(self, value: str) -> Any:
        if value == "Capture" and not self._open:
            await self._begin()
        elif value == "Done" and self._open:
            await self._close()
        raise SkipWrite

    async def _begin(self) -> None:
        mode = self.value("FileWriteMode")
        if mode != "Stream":
            raise ValueError(f"{self.prefix}FileWriteMode {mode} is not simulated; write Stream")
        number = self.value("FileNumber")
        path = self.value("FileTemplate") % (self.value("FilePath"), self.value("FileName"), number)
        await self.post("FullFileName_RBV", path)
        if self.value("AutoIncrement") == "Yes":
            await self.post_pair("FileNumber", number + 1)
        for name in ("NumCaptured_RBV", "SWMRCbCounter_RBV", "QueueUse"):
            await self.post(name, 0)
        await self.post("WriteStatus", "Write OK")
        await self.post("WriteMessage", "")
        self._sent = 0
        self._open = True
        await self._link.send(Disk(bool(self._faults.full_disk.value)))
        await self._ask(Open(path))
        if self._open:
            await self.post("SWMRActive_RBV", "Active")
            await self.post_pair("Capture", "Capture")

    async def _close(self) -> None:
        """Close the file once all frames taken so far are written."""
        if self._open:
            self._open = False
            await self._ask(Close())
        await self._ended()

    async def _ask(self, message: Open | Close) -> None:
        self._answered.clear()
        await self._link.send(message)
        await self._answered.wait()

    async def _reported(self, report: dict[str, Any]) -> None:
        if "error" in report:
            await self._failed(f"Error writing file {self.value('FullFileName_RBV')}: {report['error']}")
        elif "closed" in report:
            self._answered.set()
        else:
            await self.post("UniqueId_RBV", report["number"])
            await self.post("SWMRCbCounter_RBV", self.value("SWMRCbCounter_RBV") + bool(report["count"]))
            await self.post("NumCaptured_RBV", report["count"])
            await self._count_waiting()
            if not report["count"]:
                self._answered.set()

    async def _count_waiting(self) -> None:
        await self.post("QueueUse", self._sent - self.value("NumCaptured_RBV"))

    async def _died(self) -> None:
        if self._open or self.value("Capture_RBV") == "Capture":
            await self._failed(f"Error writing file {self.value('FullFileName_RBV')}: the process that writes it has died")

    async def _failed(self, message: str) -> None:
        self._open = False
        await self.post("WriteMessage", message)
        await self.post("WriteStatus", "Write error")
        self._answered.set()
        await self._ended()

    async def _ended(self) -> None:
        await self.post("SWMRActive_RBV", "Off")
        await self.post_pair("Capture", "Done")
