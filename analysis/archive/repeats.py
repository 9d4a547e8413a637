"""How often a request to Tiled is repeated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import stamina

_ATTEMPTS = 3
"""A server that answers with an internal error closes the connection, which shows with the next request alone. So what the server
cannot do takes three attempts until that is what the client says, and not that the server is gone."""


@contextmanager
def few_repeats() -> Iterator[None]:
    """Let requests of this process be repeated twice, and at once; Tiled's client would go on for more than a minute."""
    with stamina.set_testing(True, attempts=_ATTEMPTS):
        yield
