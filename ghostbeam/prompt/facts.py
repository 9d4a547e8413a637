"""What every start document says of the session that made it."""

from __future__ import annotations

import getpass
import socket
from typing import Any

from analysis.documents.software import software
from beamline.config import GhostbeamConfig


def session_facts(config: GhostbeamConfig) -> dict[str, Any]:
    """Where, by whom, with what, and whether it is real: `beamline_id`, `simulated`, `login_id`, `hostname`, `versions`."""
    code = software()
    return {
        "beamline_id": config.beamline_id,
        "simulated": config.simulated,
        "login_id": getpass.getuser(),
        "hostname": socket.gethostname(),
        # The RunEngine adds those of bluesky and ophyd.
        "versions": {"ghostbeam": code["ghostbeam"], "ghostbeam_commit": code["commit"], "ghostbeam_code": code["code"]},
    }
