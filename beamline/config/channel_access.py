"""What Channel Access needs to know before libca is loaded."""

from __future__ import annotations

import os
import sys

from beamline.config.errors import ConfigError
from beamline.config.model import GhostbeamConfig


def epics_environment(config: GhostbeamConfig) -> dict[str, str]:
    """Say which environment variables make libca find the PVs; simulated ones are looked for on loopback only."""
    repeater = {}
    if config.simulated:
        addresses, auto = [f"127.0.0.1:{config.simulation.ca_port}"], False
        # A repeater of its own: a shared one ends with the program that started it, and libca then complains.
        repeater = {"EPICS_CA_REPEATER_PORT": str(config.simulation.ca_port + 1)}
    else:
        addresses, auto = config.epics.addresses, config.epics.auto_addresses
    environment = {
        **repeater,
        "EPICS_CA_AUTO_ADDR_LIST": "YES" if auto else "NO",
        "EPICS_CA_MAX_ARRAY_BYTES": str(config.epics.max_array_bytes),
    }
    # Without a list of our own, what the machine's administrators have set stays in force.
    if addresses:
        environment["EPICS_CA_ADDR_LIST"] = " ".join(addresses)
    return environment


def apply_epics_environment(config: GhostbeamConfig) -> None:
    """Set EPICS_CA_* for this process; to be called before ophyd is imported.

    Raises
    ------
    ConfigError
        If libca has already been loaded with other settings, which it would continue to use.
    """
    environment = epics_environment(config)
    changes = {name for name, value in environment.items() if os.environ.get(name) != value}
    if changes and "epics.ca" in sys.modules:
        raise ConfigError(
            f"Channel Access is already in use with another {' and '.join(sorted(changes))}: "
            "call apply_epics_environment before anything imports ophyd"
        )
    os.environ.update(environment)
