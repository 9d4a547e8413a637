"""Options of a reconstruction method as the command line takes them."""

from __future__ import annotations

import json
from typing import Any


def parsed_options(text: str) -> dict[str, Any]:
    """Return the options in a JSON object.

    Raises
    ------
    ValueError
        If it is none; the message shows how one looks.
    """
    try:
        options = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"--options {text!r} is not JSON ({error}): write it as '{{\"weight\": 0.01}}'") from error
    if not isinstance(options, dict):
        raise ValueError(f"--options {text!r} must be a JSON object such as '{{\"weight\": 0.01}}'")
    return options
