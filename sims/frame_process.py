"""A process that draws and writes the detector's frames, so that neither delays the server of PVs.

Run as ``python -m sims.frame_process``. It takes pickled messages from its standard input, the first of which is its
`SourceOptions`, and answers with JSON, one report per line. When its input ends it exits at once and leaves its file
unclosed, like an IOC that died.
"""

from __future__ import annotations

import errno
import json
import os
import pickle
import queue
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from sims.frame_messages import Close, Disk, Flush, Message, Open, Take
from sims.frame_source import FrameSource, SourceOptions
from sims.frame_writer import EPOCH_1990_S, FrameWriter

_IDLE_S = 0.05


class FrameWorker:
    """Executes the messages.

    Parameters
    ----------
    source : FrameSource
    frames_per_chunk : int
        Frames in one chunk of the files.
    report : callable
        Called with keywords that report progress: `count` and `number` (number of readable frames, and the trigger of the
        last one), `closed`, `error`.
    """

    def __init__(self, source: FrameSource, frames_per_chunk: int, report: Callable[..., None]):
        self._source, self._frames_per_chunk, self._report = source, frames_per_chunk, report
        self._writer: FrameWriter | None = None
        self._number = 0
        self._counted = 0
        self._full = False

    @property
    def writing(self) -> bool:
        """Whether a file is open, so that frames may have to be flushed."""
        return self._writer is not None

    def handle(self, message: Message | None) -> None:
        """Execute one message, or None if there is none; a file that cannot be written is abandoned, and that is reported."""
        if isinstance(message, Disk):
            self._full = message.full
            return
        try:
            self._obey(message)
        except OSError as error:
            self._writer = None
            self._report(error=error.strerror or str(error))

    def _obey(self, message: Message | None) -> None:
        if isinstance(message, Open):
            self._counted = self._number = 0
            self._writer = FrameWriter(Path(message.path), self._source.shape, frames_per_chunk=self._frames_per_chunk)
            self._report(count=0, number=0)
        elif self._writer is not None:
            if isinstance(message, Take):
                self._take(self._writer, message)
            elif isinstance(message, Flush):
                self._writer.flush()
            elif isinstance(message, Close):
                self._writer.close()
            else:
                self._writer.flush_when_due()
            self._tell(self._writer)
            if isinstance(message, Close):
                self._writer = None
                self._report(closed=True)

    def _take(self, writer: FrameWriter, take: Take) -> None:
        for begin in range(0, len(take.triggers), self._frames_per_chunk):
            part = take.triggers.some(slice(begin, begin + self._frames_per_chunk))
            frames = self._source.draw(replace(take, triggers=part))
            if self._full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            writer.append(frames, part.numbers, part.times - EPOCH_1990_S)
            self._number = int(part.numbers[-1])
            self._tell(writer)

    def _tell(self, writer: FrameWriter) -> None:
        if writer.count != self._counted:
            self._counted = writer.count
            self._report(count=writer.count, number=self._number)


def main() -> None:
    """Serve one parent process until it exits."""
    incoming: BinaryIO = sys.stdin.buffer
    messages: queue.SimpleQueue[Message] = queue.SimpleQueue()
    options: SourceOptions = pickle.load(incoming)

    def read() -> None:
        try:
            while True:
                messages.put(pickle.load(incoming))
        finally:
            os._exit(0)

    def report(**what: object) -> None:
        sys.stdout.write(json.dumps(what) + "\n")
        sys.stdout.flush()

    threading.Thread(target=read, daemon=True).start()
    worker = FrameWorker(options.source(), options.frames_per_chunk, report)
    while True:
        try:
            message = messages.get(timeout=_IDLE_S if worker.writing else None)
        except queue.Empty:
            message = None
        worker.handle(message)


if __name__ == "__main__":
    main()
