"""Problems too large for systems of M x M: the same images by products with the masks alone, and masks read block by block."""

import h5py
import numpy as np
import pytest
import torch
from ghost_scans import blobs, hadamard_masks, scan_of

from analysis.ghost import make_reconstructor, reconstruct, store
from analysis.ghost.conjugate_gradients import least_squares_images
from analysis.ghost.mask_product import mask_product
from analysis.ghost.masks import MaskRows, Masks
from analysis.ghost.splits import pseudo_inverse, split
from analysis.metrics import psnr

SMALL = {
    "n2g": {"steps": 60, "live_steps": 5, "features": 4, "levels": 2},
    "gidc": {"steps": 60, "live_steps": 5, "features": 4, "levels": 2, "weight": 1.0},
    "inr": {"steps": 10, "live_steps": 5, "features": 16, "embeddings": 8, "weight": 1.0},
    "n2i": {"steps": 10, "live_steps": 5, "features": 4, "levels": 2},
}
METHODS = ["least_squares", "tv", *SMALL]


@pytest.fixture
def all_large(monkeypatch):
    monkeypatch.setattr(store, "MOST_REALIZATIONS", 0)


def both(monkeypatch, *data, **options):
    direct = reconstruct(*data, **options)
    with monkeypatch.context() as patch:
        patch.setattr(store, "MOST_REALIZATIONS", 0)
        return direct, reconstruct(*data, **options)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(("kind", "number"), [("gaussian", 200), ("binary", 250), ("binary", 1500)])
def test_least_squares_images_agree(monkeypatch, kind, number, known):
    data = scan_of(blobs((24, 24), seed=4), number, photons=300, seed=5, kind=kind)
    errors = data.errors if known else None
    direct, iterated = both(monkeypatch, data.masks, data.buckets, "least_squares", errors=errors)
    np.testing.assert_allclose(iterated.image, direct.image, atol=1e-3 * direct.image.std())
    np.testing.assert_allclose(iterated.spread, direct.spread, rtol=0.01)
    assert iterated.heldout_loss == pytest.approx(direct.heldout_loss, rel=1e-3)
    assert iterated.figures["frc_resolution_px"] == pytest.approx(direct.figures["frc_resolution_px"], rel=1e-2, nan_ok=True)


@pytest.mark.parametrize(("kind", "number", "photons"), [("gaussian", 200, 300), ("binary", 250, 5), ("binary", 1500, 300)])
def test_total_variation_images_agree(monkeypatch, kind, number, photons):
    data = scan_of(blobs((24, 24), seed=4), number, photons=photons, seed=5, kind=kind)
    direct, iterated = both(monkeypatch, data.masks, data.buckets, "tv")
    # not their weights: with little noise the optimum is so flat that rounding decides, another way on each processor
    assert iterated.heldout_loss == pytest.approx(direct.heldout_loss, rel=0.1)
    direct, iterated = both(monkeypatch, data.masks, data.buckets, "tv", weight=direct.options["weight"])
    assert np.sqrt(np.mean((iterated.image - direct.image) ** 2)) < 5e-3
    assert iterated.heldout_loss == pytest.approx(direct.heldout_loss, rel=0.02)
    assert np.corrcoef(iterated.spread.ravel(), direct.spread.ravel())[0, 1] > 0.99


def test_sub_reconstructions_agree():
    data = scan_of(blobs((16, 15), seed=1), 130, photons=100)
    flat = data.masks.reshape(130, -1)
    kept = Masks(flat.shape[1])
    kept.append(flat)
    rows = MaskRows(kept, np.arange(130))
    dense, compact = (split(masks, data.buckets, 4, 3, np.random.default_rng(0)) for masks in (flat, rows))
    np.testing.assert_array_equal(compact.targets, dense.targets)
    np.testing.assert_allclose(compact.images, dense.images, atol=1e-3 * dense.images.std())
    expected = pseudo_inverse(flat, data.buckets)
    np.testing.assert_allclose(pseudo_inverse(rows, data.buckets), expected, atol=1e-3 * expected.std())


@pytest.mark.parametrize("method", ["n2g", "gidc", "inr"])
def test_training_begins_with_the_same_steps(monkeypatch, method):
    data = scan_of(blobs((16, 16), seed=4), 150, photons=200, seed=1)
    options = SMALL[method] | {"steps": 3, "weight": 1.0}
    direct, compact = both(monkeypatch, data.masks, data.buckets, method, **options)
    np.testing.assert_allclose(compact.image, direct.image, atol=0.05 * direct.image.std())


def test_torch_differentiates_products_with_compact_masks():
    flat = scan_of(blobs((5, 6), seed=1), 40).masks.reshape(40, -1)
    kept = Masks(30)
    kept.append(flat)
    products = [mask_product(masks, torch.device("cpu")) for masks in (flat[3:], MaskRows(kept, np.arange(3, 40)))]
    torch.testing.assert_close(products[0].sums, products[1].sums)
    for shape in ((30,), (2, 30)):
        slopes = []
        for product in products:
            images = torch.linspace(-1, 2, int(np.prod(shape))).reshape(shape).requires_grad_()
            product(images).square().sum().backward()
            slopes.append(images.grad)
        torch.testing.assert_close(*slopes, rtol=1e-4, atol=1e-2)


def test_training_of_a_large_problem_beats_least_squares(all_large):
    data = scan_of(blobs((16, 16), seed=4), 150, photons=200, seed=1, kind="binary")
    result = reconstruct(data.masks, data.buckets, "n2g", steps=150, features=8, levels=2)
    linear = reconstruct(data.masks, data.buckets, "least_squares")
    assert psnr(result.image, data.image, 1) > psnr(linear.image, data.image, 1) + 4
    assert result.heldout_loss < 0.5


@pytest.mark.parametrize("method", METHODS)
def test_bits_depend_neither_on_batch_cuts_nor_on_earlier_results(all_large, method, scan):
    options = SMALL.get(method, {"max_iterations": 30} if method == "tv" else {})
    whole = reconstruct(scan.masks[:150], scan.buckets[:150], method, seed=3, **options)
    stream = make_reconstructor(method, shape=scan.image.shape, seed=3, **options)
    for start, stop in ((0, 1), (1, 97), (97, 130), (130, 150)):
        stream.update(scan.masks[start:stop], scan.buckets[start:stop])
        if start:
            assert np.isfinite(stream.result().image).all()
    for estimate in (stream.finish(), stream.finish()):
        assert estimate.image.tobytes() == whole.image.tobytes()
        assert estimate.spread.tobytes() == whole.spread.tobytes()


@pytest.mark.parametrize("method", ["least_squares", "tv"])
def test_scan_that_becomes_large_goes_on(monkeypatch, method):
    monkeypatch.setattr(store, "MOST_REALIZATIONS", 200)
    data = scan_of(blobs((24, 24), seed=4), 400, photons=300, seed=5, kind="binary")
    stream = make_reconstructor(method, shape=(24, 24))
    for start in range(0, 400, 40):
        stream.update(data.masks[start : start + 40], data.buckets[start : start + 40])
        live = stream.result()
    final = stream.finish()
    assert np.corrcoef(live.image.ravel(), final.image.ravel())[0, 1] > 0.99
    assert final.image.tobytes() == reconstruct(data.masks, data.buckets, method).image.tobytes()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("number", [1, 2, 30])
def test_few_and_dark_and_equal_masks_do_no_harm(all_large, method, number):
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 2, size=(number, 6, 5))
    for these in (masks, np.concatenate([masks, masks, np.zeros_like(masks)]), np.ones_like(masks)):
        result = reconstruct(these, rng.integers(0, 9, size=len(these)), method, **SMALL.get(method, {}))
        assert np.isfinite(result.image).all()
        assert np.abs(result.image).max() < 100


def test_orthogonal_masks_need_few_passes(all_large, monkeypatch):
    masks, image = hadamard_masks(32), blobs((32, 32), seed=2)
    kept = Masks(1024)
    kept.append(masks.reshape(1024, -1))
    buckets = kept.forward(image.reshape(1, -1))[0]
    passes, forward = [], kept.forward
    monkeypatch.setattr(kept, "forward", lambda images: passes.append(None) or forward(images))
    found = least_squares_images(kept, buckets, np.ones((1, 1024)), 1e-3)
    np.testing.assert_allclose(found.reshape(32, 32), image, atol=1e-3)
    assert len(passes) < 6


class OnDisk:
    """Masks that are only read in slices, and remember how much at once."""

    def __init__(self, masks):
        self._masks, self.most = masks, 0
        self.shape, self.dtype, self.ndim = masks.shape, masks.dtype, masks.ndim

    def __len__(self):
        return len(self._masks)

    def __getitem__(self, part):
        rows = self._masks[part]
        self.most = max(self.most, rows.size)
        return rows


@pytest.mark.parametrize("method", ["differential", "least_squares", "tv"])
def test_masks_are_read_block_by_block(method):
    rng = np.random.default_rng(0)
    masks = rng.integers(0, 2, size=(300, 160, 160), dtype=np.uint8)
    disk, buckets = OnDisk(masks), rng.random(300)
    options = {"weight": 1.0, "max_iterations": 2} if method == "tv" else {}
    result = reconstruct(disk, buckets, method, **options)
    assert 0 < disk.most <= 2**22
    assert result.image.tobytes() == reconstruct(masks, buckets, method, **options).image.tobytes()


def test_masks_may_lie_in_files(tmp_path):
    data = scan_of(blobs((12, 12), seed=1), 100, kind="binary")
    np.save(tmp_path / "masks.npy", data.masks)
    with h5py.File(tmp_path / "masks.h5", "w") as file:
        file["masks"] = data.masks > 0.5
    expected = reconstruct(data.masks, data.buckets, "tv").image
    mapped = reconstruct(np.load(tmp_path / "masks.npy", mmap_mode="r"), data.buckets, "tv").image
    assert mapped.tobytes() == expected.tobytes()
    with h5py.File(tmp_path / "masks.h5") as file:
        assert np.isfinite(reconstruct(file["masks"], data.buckets, "least_squares").image).all()
