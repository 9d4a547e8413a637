"""Metadata that outlive a session, such as the scan number."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class SessionMetadata(MutableMapping[str, Any]):
    """A dict kept in a JSON file, for `RunEngine(md, scan_id_source=md.next_scan_id)`.

    Several sessions may share the file: each number is given out once, and nothing else that another session has written
    is lost.

    Parameters
    ----------
    path : Path
        The file; it need not exist yet.

    Raises
    ------
    ValueError
        If the file is there but is no JSON object.
    """

    def __init__(self, path: Path):
        self._path = Path(path)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._values = self._read()

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        json.dumps(value)  # before anything is changed
        with self._locked() as stored:
            # next_scan_id has stored the number already, and another session may have gone on from there.
            if key != "scan_id" or value > stored.get("scan_id", 0):
                stored[key] = value
        self._values[key] = value

    def __delitem__(self, key: str) -> None:
        del self._values[key]
        with self._locked() as stored:
            stored.pop(key, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<SessionMetadata {self._values!r} in {self._path}>"

    def next_scan_id(self, _: Any = None) -> int:
        """Return a scan number that no session that shares the file has had."""
        with self._locked() as stored:
            number = stored["scan_id"] = int(stored.get("scan_id", 0)) + 1
        return number

    @contextmanager
    def _locked(self) -> Iterator[dict[str, Any]]:
        """Hold the lock, and write back what was changed, whole or not at all."""
        with open(self._path.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            stored = self._read()
            yield stored
            try:
                self._write(stored)
            except OSError as error:
                raise OSError(
                    f"{self._path} could not be stored ({error.strerror}): the disk is full or not writable. "
                    "Free space, scan again"
                ) from None

    def _write(self, stored: dict[str, Any]) -> None:
        draft = self._path.with_suffix(".tmp")
        with open(draft, "w", encoding="utf-8") as file:
            json.dump(stored, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, self._path)

    def _read(self) -> dict[str, Any]:
        if not self._path.exists():
            return {}
        try:
            values = json.loads(self._path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(
                f"{self._path} is not JSON ({error}): repair it or move it away; scan numbers then start anew"
            ) from None
        if not isinstance(values, dict):
            raise ValueError(f"{self._path} holds no JSON object: move it away; scan numbers then start anew")
        return values
