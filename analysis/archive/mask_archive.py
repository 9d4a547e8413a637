"""Bringing mask sets into Tiled, beside the runs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from analysis.documents.mask_store import MaskStore

logger = logging.getLogger("ghostbeam.archiver")

_LOOK_EVERY_S = 1.0
_WAIT_AT_MOST_S = 60.0


class MaskArchive:
    """The mask sets of a store, on their way into the container `masks`.

    A set that cannot be stored is tried again, less and less often, for as long as it isn't there.

    Parameters
    ----------
    store : MaskStore
        Where they are.
    is_gone : callable
        Says whether an error means that the server is gone.
    """

    def __init__(self, store: MaskStore, is_gone: Callable[[BaseException], bool]) -> None:
        self._store = store
        self._is_gone = is_gone
        self._stored: set[str] = set()
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._next_look = 0.0
        self.problems: dict[str, str] = {}
        """Why a mask set isn't in Tiled, by its identity."""

    def step(self, container: Any) -> bool:
        """Bring in one mask set that is due; returns whether there was one. Raises only what means that the server is gone."""
        now = time.monotonic()
        if now < self._next_look:
            return False
        due = [one for one in self._store.identities() if one not in self._stored and now >= self._not_before.get(one, 0.0)]
        if not due:
            self._next_look = now + _LOOK_EVERY_S
            return False
        identity = due[0]
        try:
            if not _is_there(container, identity):
                _write(container, self._store, identity)
        except Exception as error:
            if self._is_gone(error):
                raise
            self._failures[identity] = self._failures.get(identity, 0) + 1
            self._not_before[identity] = now + min(2.0 ** self._failures[identity], _WAIT_AT_MOST_S)
            self.problems[identity] = f"{type(error).__name__}: {error}"
            logger.warning("mask set %s could not be stored, and is tried again: %s", identity, error)
        else:
            self._stored.add(identity)
            self.problems.pop(identity, None)
        return True


def _is_there(container: Any, identity: str) -> bool:
    if identity not in container:
        return False
    if "patterns" in container[identity]:  # written last
        return True
    container.delete_contents([identity], recursive=True, external_only=False)
    return False


def _write(container: Any, store: MaskStore, identity: str) -> None:
    masks = store.load(identity)
    metadata = {"name": masks.name, "pixel_size_um": masks.pixel_size_um, "identity": identity}
    node = container.create_container(identity, metadata=metadata)
    node.write_array(masks.positions_mm, key="positions_mm")
    node.write_array(masks.patterns, key="patterns")
