"""A client of Tiled in a separate process that follows images of reconstructions by Tiled's websocket.

`python -m benchmarks._image_watcher URI COUNT SECONDS IMAGE` prints a line when it is ready and, when `COUNT` reconstructions
have ended, a JSON list of its observations: `[derived run, time, number_last]` for each `IMAGE` as soon as it and its figures
were stored. In the end every image is read. After `SECONDS` it gives up. The key is in the environment.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
from bluesky_tiled_plugins import subscribe_to_streams

from analysis.archive.catalog import connect
from analysis.archive.server_settings import API_KEY_VARIABLE

_READING_S = 60.0  # to read all images at the end
_LARGEST_MESSAGE = 10_000_000  # bytes


class ImageWatcher:
    """A watcher's process.

    Parameters
    ----------
    uri, key : str
        The server and the key to it.
    count : int
        Number of reconstructions to wait for.
    seconds : float
        Maximum time.
    image : str
        The array that is watched.
    """

    def __init__(self, uri: str, key: str, count: int, seconds: float = 240.0, image: str = "image") -> None:
        self._seconds = seconds
        command = [sys.executable, "-m", "benchmarks._image_watcher", uri, str(count), str(seconds), image]
        environment = {**os.environ, API_KEY_VARIABLE: key}
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)

    def wait_until_ready(self) -> None:
        """Wait until it is watching."""
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise RuntimeError(f"the watcher ended with code {self._process.wait()}: see above")

    def result(self) -> list[tuple[str, float, int]]:
        """Wait until the reconstructions have ended; return its observations."""
        printed, _ = self._process.communicate(timeout=self._seconds + _READING_S)
        if self._process.returncode:
            raise RuntimeError(f"the watcher ended with code {self._process.returncode}: see above")
        seen: list[list[Any]] = json.loads(printed)
        return [(run, time, last) for run, time, last in seen]

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        self._process.kill()
        self._process.communicate()


class Images:
    """The images received, by derived run.

    Parameters
    ----------
    count : int
        Number of reconstructions to wait for.
    image : str
        The array that is watched.
    before : set of str
        Earlier derived runs, which are ignored.
    """

    def __init__(self, count: int, image: str, before: set[str]) -> None:
        self.seen: list[tuple[str, float, int]] = []
        self.ended = threading.Event()
        self._count, self._image, self._before = count, image, before
        self._figures: dict[str, list[tuple[int, bool]]] = {}
        self._images: dict[str, int] = {}
        self._lock = threading.Lock()

    def take(self, update: Any) -> None:
        """Take an update from Tiled: rows of figures, or images."""
        now = time.time()
        if update.run_uid in self._before:
            return
        with self._lock:
            figures = self._figures.setdefault(update.run_uid, [])
            before = self._complete(update.run_uid)
            if update.data_keys == (self._image,):
                offset = update.update.offset
                stored = update.update.shape[0] + (offset[0] if offset else 0)
                self._images[update.run_uid] = max(stored, self._images.get(update.run_uid, 0))
            else:
                table = update.data()
                figures += [(int(last), bool(final)) for last, final in zip(table["number_last"], table["final"], strict=True)]
            for last, _ in figures[before : self._complete(update.run_uid)]:
                self.seen.append((update.run_uid, now, last))
            finished = sum(bool(self._complete(run)) and self._figures[run][self._complete(run) - 1][1] for run in self._figures)
            if finished == self._count:
                self.ended.set()

    def _complete(self, run: str) -> int:
        """Number of images of a run that are there together with their figures."""
        return min(len(self._figures[run]), self._images.get(run, 0))


def main() -> None:
    """Watch until all have ended."""
    uri, count, seconds, image = sys.argv[1:]
    with connect(uri, os.environ[API_KEY_VARIABLE]) as catalog:
        images = Images(int(count), image, set(catalog.processed))
        subscription = subscribe_to_streams(
            catalog.processed, images.take, streams={"primary": (image, "number_last", "final")}, max_size=_LARGEST_MESSAGE
        )
        print("ready", flush=True)
        if not images.ended.wait(float(seconds)):
            raise TimeoutError("the reconstructions did not end")
        subscription.disconnect()
        for uid in {run for run, _, _ in images.seen}:
            stored = catalog.processed[uid]["primary"].base[image].read()
            if len(stored) < sum(run == uid for run, _, _ in images.seen) or not np.isfinite(stored).any(axis=(1, 2)).all():
                raise AssertionError(f"images of {uid} are not all there")
    print(json.dumps(images.seen), flush=True)


if __name__ == "__main__":
    main()
