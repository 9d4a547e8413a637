"""Configuration errors that name the key and the cure."""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo


class ConfigError(ValueError):
    """The configuration cannot be used."""


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    ConfigError
        If it is absent, cannot be read or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(
            f"there is no configuration file {path}: correct the path, or name none for a simulated beamline"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the configuration file {path}: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}. Text needs quotes, sections stand in [brackets]") from None


def explain(error: ValidationError, model: type[BaseModel], source: str) -> str:
    """Put a validation error into words: each key, what is wrong with it, and what it should be."""
    lines = [_explain_one(details, model) for details in error.errors()]
    return "\n  ".join([f"{source} cannot be used:", *lines])


def _explain_one(details: Any, model: type[BaseModel]) -> str:
    location = [str(part) for part in details["loc"]]
    section, field = _find(model, location)
    key = _spelled(location)
    if details["type"] == "extra_forbidden":
        if "key" in location[-1].lower() or "password" in location[-1].lower():
            return f"{key}: keys never stand in this file; set the environment variable GHOSTBEAM_TILED_API_KEY"
        known = sorted(section.model_fields)
        close = difflib.get_close_matches(location[-1], known, n=1)
        cure = f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(known)}"
        return f"{key}: unknown key; {cure}"
    message = details["msg"].removeprefix("Value error, ")
    got = details.get("input")
    shown = f", not {got!r}" if isinstance(got, (bool, int, float, str)) and len(str(got)) <= 60 else ""
    meaning = f". {field.description}" if field is not None and field.description else ""
    return f"{key}: {message[:1].lower()}{message[1:]}{shown}{meaning}"


def _find(model: type[BaseModel], location: list[str]) -> tuple[type[BaseModel], FieldInfo | None]:
    """Follow a location down to the section that holds its last part, and to the field if there is one."""
    section, field = model, None
    for part in location:
        field = section.model_fields.get(part)
        if field is None:
            break
        inner = [kind for kind in (field.annotation, *get_args(field.annotation)) if isinstance(kind, type)]
        section = next((kind for kind in inner if issubclass(kind, BaseModel)), section)
    return section, field


def _spelled(location: list[str]) -> str:
    if len(location) < 2:
        return location[0] if location else "the file"
    return f"[{location[0]}] {'.'.join(location[1:])}"
