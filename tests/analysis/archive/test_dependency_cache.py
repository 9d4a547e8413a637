"""What FastAPI found in a signature is kept, and overridden dependencies are still honoured."""

from __future__ import annotations

import asyncio
from typing import Annotated

import fastapi.dependencies.utils
import httpx
import pytest
from fastapi import Depends, FastAPI, Security

from analysis.archive.dependency_cache import remembering


def one() -> str:
    return "one"


def both(first: Annotated[str, Depends(one)]) -> str:
    return f"{first}, both"


def test_signatures_are_read_once_and_overrides_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    app = FastAPI()

    @app.get("/")
    def read(first: Annotated[str, Depends(one)], second: Annotated[str, Security(both, scopes=["read"])]) -> list[str]:
        return [first, second]

    app.dependency_overrides[one] = lambda: "another"
    calls = []

    def counted(original=fastapi.dependencies.utils.get_dependant, **asked: object) -> object:
        calls.append(asked["call"])
        return original(**asked)

    monkeypatch.setattr(fastapi.dependencies.utils, "get_dependant", remembering(counted))
    asked = []

    async def ask_twice() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://here") as client:
            for _ in range(2):
                asked.append(((await client.get("/")).json(), len(calls)))

    asyncio.run(ask_twice())
    (first, calls_then), (second, calls_in_the_end) = asked
    assert first == second == ["another", "another, both"]
    assert calls_in_the_end == calls_then > 0
