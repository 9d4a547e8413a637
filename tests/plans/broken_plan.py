"""A plan that fails at one of its messages."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import Any


class Broken(Exception):
    """The failure."""


def breaking(plan: Generator[Any, Any, Any], at: int) -> Generator[Any, Any, Any]:
    """Run a plan, and raise Broken in it at message number `at`, from 1."""
    message, number = next(plan), 0
    while True:
        number += 1
        try:
            if number == at:
                raise Broken
            response = yield message
        except Exception as error:
            step = partial(plan.throw, error)
        else:
            step = partial(plan.send, response)
        try:
            message = step()
        except StopIteration as end:
            return end.value
