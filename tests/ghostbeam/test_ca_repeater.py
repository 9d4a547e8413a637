"""The Channel Access repeater, by what libca and an IOC send it."""

import os
import socket
import struct
import subprocess
import sys

import pytest

HEADER = struct.Struct(">HHHHI4s")


@pytest.fixture
def port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(port):
    command = [sys.executable, "-m", "ghostbeam.ca_repeater"]
    return subprocess.Popen(command, env={**os.environ, "EPICS_CA_REPEATER_PORT": str(port)})


@pytest.fixture
def repeater(port):
    process = start(port)
    yield ("127.0.0.1", port)
    process.kill()
    process.wait()


@pytest.fixture
def client():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.settimeout(0.3)
        yield made


def register(client, repeater, datagram=b""):
    for _ in range(40):  # until the process is up
        client.sendto(datagram, repeater)
        try:
            return client.recv(1000)
        except OSError:
            continue
    raise AssertionError("no answer")


@pytest.mark.parametrize("datagram", [b"", HEADER.pack(24, 0, 0, 0, 0, bytes(4))])
def test_both_ways_to_register_are_confirmed(client, repeater, datagram):
    assert HEADER.unpack(register(client, repeater, datagram))[0] == 17


def test_a_beacon_reaches_every_client_with_the_address_of_its_sender(client, repeater):
    register(client, repeater)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ioc:
        ioc.bind(("127.0.0.1", 0))
        ioc.sendto(HEADER.pack(13, 0, 13, 5064, 7, bytes(4)), repeater)
    command, _, _, server_port, number, address = HEADER.unpack(client.recv(1000))
    assert (command, server_port, number, address) == (13, 5064, 7, socket.inet_aton("127.0.0.1"))


def test_nonsense_is_ignored(client, repeater):
    register(client, repeater)
    client.sendto(b"x", repeater)
    client.sendto(HEADER.pack(13, 0, 0, 0, 0, bytes(4))[:7], repeater)
    assert register(client, repeater)


def test_a_second_repeater_ends_without_an_error(client, repeater, port):
    register(client, repeater)
    second = start(port)
    assert second.wait(20) == 0
