"""bluesky's magics for moving by hand, under the lock that keeps two from moving the same motors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bluesky.magics import BlueskyMagics

from ghostbeam.scan_lock import ScanLock


def add_magics(shell: Any, lock: ScanLock, *, motors: Iterable[Any], detectors: Iterable[Any]) -> None:
    """Give the shell %wa, %mov, %movr and %ct.

    Parameters
    ----------
    shell : IPython's shell
    lock : ScanLock
        They hold it while they move or count.
    motors : iterable of devices
        What %wa lists.
    detectors : iterable of devices
        What %ct counts.
    """
    for device in motors:
        device._ophyd_labels_ = {"motors"}
    for device in detectors:
        device._ophyd_labels_ = {"detectors"}
    # Their RunEngine is one of their own, which logs nothing: "This data will not be saved".
    BlueskyMagics.RE.preprocessors.append(lock.holds)
    shell.register_magics(BlueskyMagics)
