"""A Channel Access repeater: hands the beacons of IOCs to all clients of this machine.

pyepics brings no `caRepeater`, and libca complains where none answers. caproto's repeater does not confirm the empty datagram by
which libca registers, so libca goes on complaining. Run it as `python -m ghostbeam.ca_repeater`.
"""

from __future__ import annotations

import argparse
import os
import socket
import struct

_REGISTER, _CONFIRM, _BEACON = 24, 17, 13  # commands of the Channel Access protocol
_HEADER = struct.Struct(">HHHHI4s")
_DEFAULT_PORT = 5065


def repeat(repeater: socket.socket) -> None:
    """Serve for ever: confirm clients that register, and forward beacons to those that still listen."""
    clients: set[tuple[str, int]] = set()
    while True:
        datagram, sender = repeater.recvfrom(0xFFFF)
        command = int.from_bytes(datagram[:2], "big")
        if not datagram or command == _REGISTER:
            clients.add(sender)
            repeater.sendto(_HEADER.pack(_CONFIRM, 0, 0, 0, 0, socket.inet_aton(sender[0])), sender)
        elif command == _BEACON and len(datagram) >= _HEADER.size:
            clients = {client for client in clients if _listens(client)}
            for client in clients - {sender}:
                repeater.sendto(_with_address(datagram, sender[0]), client)


def _with_address(beacon: bytes, host: str) -> bytes:
    # An IOC may leave its address out; behind the repeater nobody could tell it any more.
    address = beacon[12:16]
    return beacon[:12] + (address if any(address) else socket.inet_aton(host)) + beacon[16:]


def _listens(client: tuple[str, int]) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(client)
        except OSError:
            return True
        return False


def main() -> None:
    """Serve at the port that EPICS_CA_REPEATER_PORT names; end at once, without an error, if another repeater does."""
    parser = argparse.ArgumentParser(prog="python -m ghostbeam.ca_repeater", description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1", help="address to bind to; beacons of other machines need 0.0.0.0")
    arguments = parser.parse_args()
    port = int(os.environ.get("EPICS_CA_REPEATER_PORT", _DEFAULT_PORT))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as repeater:
        try:
            repeater.bind((arguments.host, port))
        except OSError:
            return
        repeat(repeater)


if __name__ == "__main__":
    main()
