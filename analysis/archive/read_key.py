"""The read-only key to the catalogue: an access token of Tiled's kind with only the scopes for reading.

Tiled checks only its signature, so it is stored in no file and no table. Its holder can look at data but not change them.
Removing the file with the secret and restarting the services invalidates all keys handed out before.
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path

import jwt

from analysis.documents.private import private_secret

SCOPES = ("read:metadata", "read:data")
_LIFETIME_S = 365 * 86400
_NOBODY = uuid.UUID(int=0)  # Tiled requires a name for the holder of a token


def token_secret(state_dir: Path | str) -> str:
    """The secret with which the server signs tokens; made on first use, in a file that only its owner can read."""
    return private_secret(Path(state_dir).absolute() / "tiled" / "token_secret")


def read_key(state_dir: Path | str) -> str:
    """A read-only key, valid for a year: for the header `Authorization: Bearer KEY`, and for the link to the live page."""
    token = {"type": "access", "exp": int(time.time()) + _LIFETIME_S, "scp": list(SCOPES)}
    token |= {"sub": _NOBODY.hex, "sub_typ": "service", "ids": []}
    return jwt.encode(token, token_secret(state_dir), algorithm="HS256")
