"""The route that stores what is new of a run in one request: what it costs, what it refuses, and what it says."""

import uuid

import httpx
import msgpack
import numpy as np
import pytest

from analysis.archive.catalog import connect
from analysis.archive.columns import ColumnFailed
from analysis.archive.read_key import read_key
from analysis.archive.run_archive import RunArchive
from analysis.archive.write_request import write_url

pytestmark = pytest.mark.e2e

ARRAY = {"dtype": "array", "shape": [6, 5], "source": "x", "dtype_numpy": "<f4"}
NUMBER = {"dtype": "number", "shape": [], "source": "x"}
KEYS = {"image": ARRAY, "spread": ARRAY, "loss": NUMBER, "used": NUMBER}


class Estimates:
    """A derived run that grows by one estimate at a time."""

    def __init__(self, container, uid: str | None = None) -> None:
        self.uid, self._descriptor, self._number = uid or str(uuid.uuid4()), str(uuid.uuid4()), 0
        self.archive = RunArchive(container, self.uid)
        self.archive.write("start", {"uid": self.uid, "time": 0.0})
        head = {"uid": self._descriptor, "run_start": self.uid, "time": 0.0, "name": "primary"}
        self.archive.write("descriptor", {**head, "data_keys": KEYS, "object_keys": {}, "configuration": {}, "hints": {}})

    def store(self) -> None:
        self._number += 1
        image = np.full((6, 5), self._number, np.float32)
        data = {"image": image, "spread": -image, "loss": 1 / self._number, "used": float(self._number)}
        head = {"uid": str(uuid.uuid4()), "descriptor": self._descriptor, "seq_num": self._number, "time": float(self._number)}
        self.archive.write("event", {**head, "data": data, "timestamps": dict.fromkeys(data, 0.0), "filled": {}})
        self.archive.flush()


@pytest.fixture
def catalog(tiled_server):
    with connect(tiled_server.uri, tiled_server.key) as catalog:
        yield catalog


def test_a_further_estimate_is_one_request_and_comes_back(catalog):
    estimates = Estimates(catalog.processed)
    estimates.store()
    requests = []
    catalog.root.context.http_client.event_hooks["request"].append(requests.append)
    for _ in range(3):
        estimates.store()
    assert [request.method for request in requests] == ["POST"] * 3
    stream = catalog.processed[estimates.uid]["primary"].base
    np.testing.assert_array_equal(stream["image"].read()[:, 0, 0], [1, 2, 3, 4])
    np.testing.assert_array_equal(stream["spread"].read()[:, 5, 4], [-1, -2, -3, -4])
    np.testing.assert_array_equal(stream["internal"].read()["used"], [1, 2, 3, 4])


def test_a_run_begins_with_one_request_and_replaces_what_was_there_of_it(catalog):
    estimates = Estimates(catalog.processed)
    estimates.store()
    estimates.store()
    again = Estimates(catalog.processed, uid=estimates.uid)
    requests = []
    catalog.root.context.http_client.event_hooks["request"].append(requests.append)
    again.store()
    assert [request.method for request in requests] == ["POST"]
    assert (estimates.archive.replaced, again.archive.replaced) == (0, 1)
    assert len(catalog.processed[estimates.uid]["primary"].base["image"].read()) == 1


def test_a_column_that_is_gone_is_named(catalog):
    estimates = Estimates(catalog.processed)
    estimates.store()
    catalog.processed[estimates.uid]["primary"].base.delete_contents("spread", external_only=False)
    with pytest.raises(ColumnFailed, match="primary/spread: NoEntry"):
        estimates.store()


def test_the_read_only_key_appends_nothing(catalog, tiled_server):
    estimates = Estimates(catalog.processed)
    estimates.store()
    node, data = [estimates.uid, "primary", "image"], np.ones((6, 5), np.float32).tobytes()
    body = [
        {"do": "further_entries", "node": node, "offset": 1, "shape": [1, 6, 5], "data": data},
        {"do": "remove", "node": [estimates.uid]},
    ]
    keys = [{"Authorization": f"Bearer {read_key(tiled_server.state_dir)}"}, {"Authorization": "Apikey 00"}, {}]
    for headers in keys:
        response = httpx.post(write_url(catalog.processed.item["links"]["self"]), content=msgpack.packb(body), headers=headers)
        assert response.status_code in (401, 403), response.text
    assert len(catalog.processed[estimates.uid]["primary"].base["image"].read()) == 1
