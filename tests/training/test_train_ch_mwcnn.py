"""The training script writes weights that the method takes, the same ones for the same seed."""

import json
import sys

import numpy as np
import pytest
import torch

from analysis.ghost import reconstruct
from training import ch_mwcnn
from training.examples import make_examples
from training.objects import make_object


@pytest.fixture
def little(monkeypatch):
    """As much data as a test can afford."""
    for name, value in {"SIZES": (16,), "SHARES": (1.0,), "BATCH": 4, "PLATES": 1, "EACH": 8, "JUDGED_PLATES": 2}.items():
        monkeypatch.setattr(ch_mwcnn, name, value)


@pytest.fixture
def trained(little, tmp_path, monkeypatch):
    def trained(name, *options):
        monkeypatch.setattr(sys, "argv", ["ch_mwcnn", "--steps", "3", "--out", str(tmp_path / name), *options])
        ch_mwcnn.main()
        return tmp_path / name

    return trained


def test_a_short_training_writes_weights_that_can_be_used(trained):
    first, again, other = trained("first.npz"), trained("again.npz"), trained("other.npz", "--seed", "6")
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()
    rng = np.random.default_rng(0)
    result = reconstruct(rng.random((50, 16, 16)), rng.random(50) + 128, "ch_mwcnn", weights=str(first))
    assert np.isfinite(result.image).all()
    assert result.options["sha256"] == json.loads(first.with_suffix(".json").read_text())["sha256"]


def test_training_can_go_on_from_weights_and_says_so(trained):
    first = trained("first.npz")
    second = trained("second.npz", "--start", str(first), "--seed", "6")
    assert second.read_bytes() != trained("other.npz", "--seed", "6").read_bytes()
    card, before = (json.loads(file.with_suffix(".json").read_text()) for file in (second, first))
    assert card["started_from"] == before
    assert (before["steps"], before["seed"], before["started_from"]) == (3, 0, None)


def test_objects_are_transmissions_of_many_kinds():
    objects = np.stack([make_object(32, np.random.default_rng(seed)) for seed in range(60)])
    assert objects.dtype == np.float32
    assert objects.min() >= 0 and objects.max() <= 1
    assert len(np.unique(objects.mean(axis=(1, 2)))) == 60


def test_examples_know_what_is_behind_their_inputs():
    examples = make_examples(16, 200, np.random.default_rng(2))
    assert examples.inputs.shape == (200, 3, 16, 16)
    assert examples.inputs.isfinite().all() and examples.targets.isfinite().all()
    empty = (examples.targets == 0).all(dim=2).all(dim=1)
    assert 5 < int(empty.sum()) < 40
    seen, behind = examples.inputs[~empty, 1].flatten(1), examples.targets[~empty].flatten(1)
    assert float(torch.cosine_similarity(seen, behind).median()) > 0.4
