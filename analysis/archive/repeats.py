"""How often a request to Tiled is repeated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import stamina

_ATTEMPTS = 3
"""A server with an internal error closes the connection, which is noticed only at the next request. So three attempts are
needed until the client reports the internal error rather than a lost server.
"""


@contextmanager
def few_repeats() -> Iterator[None]:
    """Limit this process to two immediate retries per request; Tiled's client would retry for more than a minute."""
    with stamina.set_testing(True, attempts=_ATTEMPTS):
        yield
