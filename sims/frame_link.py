"""The connection of the PV server to the process that writes frames."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from sims.frame_messages import Message
from sims.frame_source import SourceOptions


class FrameLink:
    """Starts the process on first use, and again after it has died.

    Parameters
    ----------
    options : SourceOptions
    on_report : callable
        Coroutine function, called with each report of the process.
    on_death : callable
        Coroutine function, called when the process is gone.
    """

    def __init__(
        self,
        options: SourceOptions,
        on_report: Callable[[dict[str, Any]], Awaitable[None]],
        on_death: Callable[[], Awaitable[None]],
    ):
        self._options, self._on_report, self._on_death = options, on_report, on_death
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task | None = None
        self._starting = asyncio.Lock()

    async def send(self, message: Message) -> None:
        """Send a message; a message to a process that has just died is lost."""
        async with self._starting:
            await self._start()
        self._write(message)

    async def _start(self) -> None:
        if self._process is None:
            # A frame is larger than the blocks that malloc keeps: without this setting its memory would be requested from the
            # kernel each time.
            environment = {"OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": str(1 << 24), "MALLOC_TRIM_THRESHOLD_": str(1 << 26)}
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "sims.frame_process",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, **environment},
                start_new_session=True,  # a Ctrl-C at the terminal is for the server, which ends this process
            )
            self._write(self._options)
            self._listening = asyncio.create_task(self._listen(self._process))

    def kill(self) -> None:
        """Kill the process in the middle of its work."""
        if self._process is not None:
            self._process.kill()

    def _write(self, message: Message | SourceOptions) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(pickle.dumps(message))

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            await self._on_report(json.loads(line))
        await process.wait()
        self._process = None
        await self._on_death()
