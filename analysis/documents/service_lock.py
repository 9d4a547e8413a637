"""One service of each kind for each state directory."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from analysis.documents.private import private_folder
from analysis.documents.status import read_status


class ServiceBusy(RuntimeError):
    """Another process of this kind serves the state directory."""


@contextmanager
def service_lock(state_dir: Path | str, name: str) -> Iterator[None]:
    """Hold the lock `services/<name>.lock` below the state directory; the system releases it when the process dies.

    Parameters
    ----------
    state_dir : Path
        The state directory.
    name : str
        The service, e.g. "archiver".

    Raises
    ------
    ServiceBusy
        If another process holds it.
    """
    path = Path(state_dir) / "services" / f"{name}.lock"
    private_folder(path.parent)
    with path.open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            other = (read_status(state_dir, name) or {}).get("pid", "unknown")
            raise ServiceBusy(
                f"another {name} (process {other}) serves {state_dir}: stop it first, or choose another --state-dir"
            ) from error
        yield
