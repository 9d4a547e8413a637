"""The read-only key to the catalogue: an access token as Tiled makes them, with the scopes to read and no others.

Tiled checks it by its signature alone, so it stands in no file and no table. Whoever has it can look at data and change nothing.
Removing the file with the secret, and starting the services again, makes every key useless that was handed out before.
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import jwt

from analysis.documents.private import private_secret

SCOPES = ("read:metadata", "read:data")
_LIFETIME_S = 365 * 86400
_NOBODY = uuid.UUID(int=0)  # Tiled wants a name for whoever holds a token


def token_secret(state_dir: Path | str) -> str:
    """What the server signs tokens with; made on first use, in a file that only its owner can read."""
    return private_secret(Path(state_dir).absolute() / "tiled" / "token_secret")


def read_key(state_dir: Path | str) -> str:
    """A read-only key, good for a year: for the header `Authorization: Bearer KEY`, and for the page's link."""
    token = {"type": "access", "exp": int(time.time()) + _LIFETIME_S, "scp": list(SCOPES)}
    token |= {"sub": _NOBODY.hex, "sub_typ": "service", "ids": []}
    return jwt.encode(token, token_secret(state_dir), algorithm="HS256")
