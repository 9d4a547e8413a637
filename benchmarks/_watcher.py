"""A client of Tiled in a separate process: subscribes to a run, polls it, or just reads it.

`python -m benchmarks._watcher KIND URI RUN ROWS` prints a line when it is ready and a JSON object when it ends, after the
last of `ROWS` rows (or, for "read", when its standard input is closed). The key to the server is in the environment.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from tiled.client.utils import ClientError

from analysis.archive.catalog import Catalog, connect
from analysis.archive.server_settings import API_KEY_VARIABLE

POLL_S = 0.15
READ_S = 0.5
_LONGEST_S = 240.0


class Watcher:
    """A watcher's process.

    Parameters
    ----------
    kind : str
        "subscribe", "poll" or "read".
    uri, key : str
        The server and the key to it.
    run : str
        Uid of the raw run, which need not exist yet.
    rows : int
        Number of its events.
    """

    def __init__(self, kind: str, uri: str, key: str, run: str, rows: int) -> None:
        command = [sys.executable, "-m", "benchmarks._watcher", kind, uri, run, str(rows)]
        environment = {**os.environ, API_KEY_VARIABLE: key}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)

    def wait_until_ready(self) -> None:
        """Wait until it is watching."""
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise RuntimeError(f"a watcher ended with code {self._process.wait()}: see above")

    def result(self) -> dict[str, Any]:
        """Wait for its end and return its results."""
        printed, _ = self._process.communicate(timeout=_LONGEST_S)
        found: dict[str, Any] = json.loads(printed)
        return found

    def kill(self) -> None:
        """Kill it, if it is still running."""
        self._process.kill()
        self._process.communicate()


def subscribe(catalog: Catalog, run: str, rows: int, ready: Callable[[], None]) -> dict[str, Any]:
    """Latency of each row that Tiled pushes (ms)."""
    from bluesky_tiled_plugins import subscribe_to_streams

    latency: dict[int, float] = {}
    complete = threading.Event()

    def take(update: Any) -> None:
        now = time.time()
        table = update.update.data()
        for seq_num, measured in zip(table["seq_num"], table["time"], strict=True):
            latency.setdefault(int(seq_num), 1e3 * (now - measured))
        if len(latency) >= rows:
            complete.set()

    subscription = subscribe_to_streams(
        catalog.raw, take, streams={"primary": "diode"}, metadata_filter=lambda start: start.get("uid") == run
    )
    ready()
    complete.wait(_LONGEST_S)
    subscription.disconnect()
    return {"latency_ms": list(latency.values())}


def poll(catalog: Catalog, run: str, rows: int, ready: Callable[[], None]) -> dict[str, Any]:
    """Latency of each row for a reader that polls every 150 ms (ms)."""
    latency: list[float] = []
    ready()
    table = _table(catalog, run)
    while len(latency) < rows:
        began = time.monotonic()
        try:
            measured = table.read(["time"])["time"].to_numpy()
        except ClientError:  # the run is being written again
            table = _table(catalog, run)
            continue
        latency.extend(1e3 * (time.time() - measured[len(latency) :]))
        time.sleep(max(0.0, began + POLL_S - time.monotonic()))
    return {"latency_ms": latency}


def read(catalog: Catalog, run: str, rows: int, ready: Callable[[], None]) -> dict[str, Any]:
    """Read the whole table twice a second, and note errors in the result."""
    reads = wrong = gone = 0
    ready()
    table = _table(catalog, run)
    while not select.select([sys.stdin], [], [], READ_S)[0]:
        try:
            seq_nums = table.read()["seq_num"].to_numpy()
        except ClientError:
            gone += 1
            table = _table(catalog, run)
            continue
        reads += 1
        wrong += not np.array_equal(seq_nums, 1 + np.arange(len(seq_nums)))
    return {"reads": reads, "wrong": wrong, "gone": gone}


def _table(catalog: Catalog, run: str) -> Any:
    deadline = time.monotonic() + _LONGEST_S
    while time.monotonic() < deadline:
        try:
            return catalog.raw[run]["primary"].base["internal"]
        except (KeyError, IndexError):
            time.sleep(POLL_S)
    raise TimeoutError(f"run {run} does not come")


def main() -> None:
    """Watch."""
    kind, uri, run, rows = sys.argv[1:]
    with connect(uri, os.environ[API_KEY_VARIABLE]) as catalog:
        watch = {"subscribe": subscribe, "poll": poll, "read": read}[kind]
        print(json.dumps(watch(catalog, run, int(rows), lambda: print("ready", flush=True))), flush=True)


if __name__ == "__main__":
    main()
