"""Copies references, such as mask sets, to Tiled, beside the runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from analysis.archive.stored_references import store_reference
from analysis.documents.references import ReferenceName, ReferenceStore

logger = logging.getLogger("ghostbeam.archiver")

_LOOK_EVERY_S = 1.0
_WAIT_AT_MOST_S = 60.0


class ReferenceArchive:
    """Copies the references of a store to the containers of their kinds.

    A reference that cannot be stored is tried again, at increasing intervals, until it is stored.

    Parameters
    ----------
    store : ReferenceStore
        The references.
    is_gone : callable
        Tells whether an error means that the server is gone.
    """

    def __init__(self, store: ReferenceStore, is_gone: Callable[[BaseException], bool]) -> None:
        self._store = store
        self._is_gone = is_gone
        self._stored: set[ReferenceName] = set()
        self._failures: dict[ReferenceName, int] = {}
        self._not_before: dict[ReferenceName, float] = {}
        self._next_look = 0.0
        self.problems: dict[str, str] = {}
        """Why a reference is not in Tiled, by its identity."""

    def step(self, root: Any) -> bool:
        """Copy one reference that is due; return whether there was one. Raises only errors that mean that the server is gone."""
        now = time.monotonic()
        if now < self._next_look:
            return False
        due = [one for one in self._store.names() if one not in self._stored and now >= self._not_before.get(one, 0.0)]
        if not due:
            self._next_look = now + _LOOK_EVERY_S
            return False
        name = due[0]
        try:
            store_reference(root, self._store.load(name))
        except Exception as error:
            if self._is_gone(error):
                raise
            self._failures[name] = self._failures.get(name, 0) + 1
            self._not_before[name] = now + min(2.0 ** self._failures[name], _WAIT_AT_MOST_S)
            self.problems[name.identity] = f"{type(error).__name__}: {error}"
            logger.warning("%s %s could not be stored, and is tried again: %s", name.kind, name.identity, error)
        else:
            self._stored.add(name)
            self.problems.pop(name.identity, None)
        return True
