"""Checks of single configuration values, and of the environment's variables."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from beamline.config.errors import ConfigError

PREFIX = "GHOSTBEAM_"


def expanded(path: Path) -> Path:
    """Return a path with its `~` replaced."""
    try:
        return path.expanduser()
    except RuntimeError:
        raise ValueError(f"there is no home directory for {path.parts[0]!r}: write the whole path") from None


def http_uri(uri: str) -> str:
    """Return an address, which must begin with http:// or https:// and name a host."""
    if not uri.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    parts = urlsplit(uri)
    if not parts.hostname or parts.port == 0:  # a port that is not a number is a ValueError of its own
        raise ValueError("must name a host, as in http://tiled.example.org:8000")
    return uri


def json_options(options: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the options of each method, which must be what JSON can hold: they go into documents."""
    for method, values in options.items():
        for key, value in values.items():
            try:
                json.dumps(value, allow_nan=False)
            except (TypeError, ValueError):
                raise ValueError(f"{method}.{key} must be a finite number, text, true or false, or made of these") from None
    return options


def check_variables(environment: Mapping[str, str], keys: Iterable[str], others: Iterable[str]) -> None:
    """Raise ConfigError if a GHOSTBEAM_... variable would have no effect.

    Parameters
    ----------
    environment : mapping
        Such as `os.environ`.
    keys : iterable of str
        Keys at the top of the file.
    others : iterable of str
        Variables that set no key.
    """
    known = {PREFIX + key.upper() for key in keys} | set(others)
    for name in sorted(environment):
        top = name.upper().partition("__")[0]
        if top.startswith(PREFIX) and top not in known:
            close = difflib.get_close_matches(top, sorted(known), n=1)
            cure = f"did you mean {close[0]}? " if close else ""
            raise ConfigError(
                f"the environment variable {name} sets nothing; {cure}Unset it or correct it; a key in a section needs two "
                "underscores, as in GHOSTBEAM_TILED__PORT"
            )
