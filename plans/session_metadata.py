"""Metadata that outlive a session, such as the scan number."""

from __future__ import annotations

import fcntl
import json
import os
import weakref
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from analysis.documents.plain import plain, plain_metadata
from analysis.documents.private import private_file, private_folder


class SessionMetadata(MutableMapping[str, Any]):
    """A dict kept in a JSON file, for `RunEngine(md, scan_id_source=md.next_scan_id)`.

    Values are what `md=` of a plan takes, without bytes; what is set is stored at once. A change inside a value, such as
    `RE.md["proposal"]["id"] = 2`, is stored with the next scan, the next value that is set, or at the end of the session
    (bluesky's own PersistentDict keeps such changes too). Several sessions may share the file: each number is given out once, and
    nothing else that another session has written is lost.

    Parameters
    ----------
    path : Path
        The file; it need not exist yet.
    of_this_session : mapping, optional
        What describes this session alone, such as who is logged in and where: never stored, unless it is set again.

    Raises
    ------
    ValueError
        If the file is there but is no JSON object.
    """

    def __init__(self, path: Path, of_this_session: Mapping[str, Any] | None = None):
        private_folder(Path(path).parent)
        self._file = _File(Path(path))
        self._values = self._file.read() | dict(of_this_session or {})
        # As they are in the file, or need not be there; what is equal to this is not stored.
        self._texts = {key: _text(key, value) for key, value in self._values.items()}
        self._given: int | None = None  # by next_scan_id, and not yet set by the RunEngine
        weakref.finalize(self, _store_changes, self._file, self._values, self._texts)

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"RE.md has the key {key!r} of type {type(key).__name__}: keys must be text")
        plain_metadata({key: value}, "RE.md")  # before anything is changed
        text = _text(key, value)
        self._values[key] = value
        if key == "scan_id" and value == self._given:
            # next_scan_id has stored the number already, and another session may have gone on from there.
            self._texts[key], self._given = text, None
        else:
            self._texts.pop(key, None)
        self.flush()

    def __delitem__(self, key: str) -> None:
        del self._values[key]
        with self._file.locked() as stored:
            stored.pop(key, None)
            self._texts.pop(key, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<SessionMetadata {self._values!r} in {self._file.path}>"

    def next_scan_id(self, _: Any = None) -> int:
        """Return a scan number that no session that shares the file has had since it was last set by hand."""
        self.flush()
        with self._file.locked() as stored:
            number = stored["scan_id"] = int(stored.get("scan_id", 0)) + 1
        self._given = number
        return number

    def flush(self) -> None:
        """Store what was changed inside values.

        Raises
        ------
        TypeError
            If there is something in a value now that is not data; the message says where.
        """
        _store_changes(self._file, self._values, self._texts)


class _File:
    """The JSON file, read and replaced under a lock that all sessions share."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def locked(self) -> Iterator[dict[str, Any]]:
        """Hold the lock, and write back what was changed, whole or not at all."""
        with open(private_file(self.path.with_suffix(".lock")), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            stored = self.read()
            yield stored
            try:
                self._write(stored)
            except OSError as error:
                raise OSError(
                    f"{self.path} could not be stored ({error.strerror}): the disk is full or not writable. "
                    "Free space, scan again"
                ) from None

    def _write(self, stored: dict[str, Any]) -> None:
        draft = self.path.with_suffix(".tmp")
        with open(private_file(draft), "w", encoding="utf-8") as file:
            json.dump(stored, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, self.path)

    def read(self) -> dict[str, Any]:
        if not self.path.exists():
            return {}
        try:
            values = json.loads(self.path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(
                f"{self.path} is not JSON ({error}): repair it or move it away; scan numbers then start from 1"
            ) from None
        if not isinstance(values, dict):
            raise ValueError(f"{self.path} holds no JSON object: move it away; scan numbers then start from 1")
        return values


def _store_changes(file: _File, values: dict[str, Any], texts: dict[str, str]) -> None:
    """Store the values whose JSON is not as in `texts`, and note it there."""
    now = {key: _text(key, value) for key, value in values.items()}
    changed = {key: text for key, text in now.items() if texts.get(key) != text}
    if changed:
        with file.locked() as stored:
            stored.update({key: json.loads(text) for key, text in changed.items()})
        texts.update(changed)


def _text(key: str, value: Any) -> str:
    name = f'RE.md["{key}"]'
    try:
        return json.dumps(plain(value, name), default=_listed)
    except ValueError as error:
        raise TypeError(f"{name} {error}") from None


def _listed(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise ValueError(f"holds {value!r:.80}, which cannot be kept between sessions: write text")
