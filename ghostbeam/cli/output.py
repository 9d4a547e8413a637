"""What all commands say in the same way: progress, results as JSON, and errors."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

console = Console(highlight=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON.")]


def fail(message: str) -> NoReturn:
    """End with an error in one line."""
    Console(stderr=True, highlight=False).print(f"[red]ghostbeam:[/red] {escape(message)}", soft_wrap=True)
    sys.exit(1)


def print_json(result: dict[str, Any]) -> None:
    """Print the result for another program."""
    typer.echo(json.dumps(result))


def quiet(as_json: bool) -> Console:
    """Where to print progress: nowhere, if the result is JSON."""
    return Console(quiet=True) if as_json else console
