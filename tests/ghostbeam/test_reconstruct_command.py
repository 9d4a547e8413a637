"""`ghostbeam reconstruct` as a user runs it, on files and on runs in a document log; no service runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from click.testing import Result
from logged import derived_runs, log_run, write_raw
from made_runs import MadeRun, mask_set, picture
from PIL import Image
from typer.testing import CliRunner

from analysis.documents.recipe import Recipe
from analysis.ghost import METHODS
from analysis.offline.ingest import ingest
from analysis.techniques.ghost.mask_sets import MaskStore
from analysis.worker.job import Job, run_job
from ghostbeam.cli import app

MEASURED = Path(__file__).resolve().parents[3] / "shared" / "data" / "jaszczak_haar.npz"
MASKS = mask_set(100)
BUCKETS = np.tensordot(MASKS.patterns, picture(), 2) + np.random.default_rng(1).normal(0, 0.05, 100)
QUICK_N2G = ("--options", '{"steps": 5, "features": 4, "levels": 1}')


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, where the state directory is too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GHOSTBEAM_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


@pytest.fixture
def file(folder: Path) -> str:
    np.savez("block.npz", masks=MASKS.patterns, buckets=BUCKETS, pixel_size_um=10.0)
    return "block.npz"


def reconstruct(*arguments: Any) -> Result:
    return CliRunner().invoke(app, ["reconstruct", *(str(argument) for argument in arguments)])


def succeed(*arguments: Any) -> str:
    done = reconstruct(*arguments)
    assert done.exit_code == 0, (done.output, done.exception)
    assert done.stderr == ""
    return done.stdout


def figures(*arguments: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(succeed(*arguments, "--json"))
    return told


def refusal(*arguments: Any) -> str:
    done = reconstruct(*arguments)
    assert done.exit_code == 1, done.output
    assert done.stdout == ""
    assert isinstance(done.exception, SystemExit)  # and not an error that nobody foresaw
    assert done.stderr.startswith("ghostbeam: ") and done.stderr.count("\n") == 1
    return done.stderr


def pictures() -> list[str]:
    return sorted(path.name for path in Path("reconstructed").glob("*"))


def test_a_file_gives_a_table_a_picture_and_what_to_do_next(file: str) -> None:
    out = succeed(file, "--method", "n2g", *QUICK_N2G, "--compare", "tv,differential")
    assert "block: 100 realizations for 8x8 pixels (compression 0.64)" in out
    lines = out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith(("n2g ", "tv ", "differential "))] == [
        "n2g",
        "tv",
        "differential",
    ]
    assert all(heading in out for heading in ("held-out", "FRC", "(um)", "contrast", "spread"))
    assert "n2g: weight" in out and "steps 5" in out
    assert "ghostbeam ingest block.npz --method n2g" in out
    assert pictures() == ["block_n2g_tv_differential.png"]
    with Image.open("reconstructed/block_n2g_tv_differential.png") as drawn:
        assert min(drawn.size) > 500


def test_names_with_signs_of_markup_are_printed_and_drawn_as_they_are(folder: Path) -> None:
    name = "d[bold] $x^{ %s \\a.npz"
    np.savez(name, masks=MASKS.patterns, buckets=-BUCKETS)
    out = succeed(name, "-m", "differential")
    assert "Reconstructed d[bold] $x^{ %s \\a: 100 realizations" in out
    assert "ATTENTION: 100 % of the buckets are negative" in out and "--mend negate" in out
    mended = succeed(name, "-m", "differential", "--mend", "negate")
    assert "ATTENTION" not in mended and "--method differential --mend negate" in mended


def test_a_narrow_terminal_cuts_nothing_off(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    np.save("truth.npy", picture())
    out = succeed(file, "-m", "least_squares", "-c", "tv", "--reference", "truth.npy")
    assert "least_squares" in out and "reference" in out and "…" not in out
    assert all(len(line) <= 80 for line in out.splitlines() if line.startswith(("method", "tv")))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_drawn(file: str, method: str) -> None:
    steps = {"steps": 3} if "steps" in METHODS[method].defaults else {}
    told = figures(file, "-m", method, "--options", json.dumps(steps))
    assert Path(told["picture"]).exists()
    assert told["methods"][method]["options"].items() >= steps.items()


def test_json_holds_every_figure(file: str) -> None:
    np.save("truth.npy", np.kron(picture(), np.ones((3, 3))))
    told = figures(file, "-m", "tv", "-c", "correlation", "--reference", "truth.npy", "--seed", 3)
    assert told["realizations"] == 100 and told["shape"] == [8, 8] and told["pixel_size_um"] == 10.0
    assert list(told["methods"]) == ["tv", "correlation"] and told["failed"] == {}
    tv = told["methods"]["tv"]
    assert tv["seed"] == 3 and tv["options"]["weight"] > 0
    assert tv["psnr_db"] > 20 and tv["ssim"] > 0.9 and tv["frc_resolution_reference_px"] == 2.0
    assert tv["heldout_loss"] < 0.2 and tv["elapsed_s"] > 0 and tv["contrast"] > 0.5
    assert tv["relative_spread"] < told["methods"]["correlation"]["relative_spread"]


@pytest.mark.parametrize("name", ["result.npz", "result.h5"])
def test_images_and_spreads_can_be_saved(file: str, name: str) -> None:
    told = figures(file, "-m", "tv", "-c", "least_squares", "--save", name)
    assert told["saved"] == name
    with np.load(name) if name.endswith("npz") else h5py.File(name) as saved:
        for method in ("tv", "least_squares"):
            image, spread = np.asarray(saved[f"{method}_image"]), np.asarray(saved[f"{method}_spread"])
            assert image.dtype == spread.dtype == np.float32 and image.shape == spread.shape == (8, 8)
        np.testing.assert_allclose(np.asarray(saved["tv_image"]), picture(), atol=0.25)
        assert float(np.asarray(saved["pixel_size_um"])) == 10.0
        options = saved["tv_options"][()]
        assert json.loads(options if isinstance(options, bytes) else str(options)) == told["methods"]["tv"]["options"]
    succeed(file, "-m", "tv", "--save", name)  # its own file it may replace


def test_nothing_of_others_is_overwritten(file: str) -> None:
    succeed(file, "-m", "differential")
    succeed(file, "-m", "differential")  # its own picture it may replace
    for name in ("mine.png", "mine.npz", "mine.h5"):
        Path(name).write_text("precious")
    Image.new("L", (4, 4)).save("photo.png")
    assert "choose another --output" in refusal(file, "-m", "differential", "-o", "mine.png")
    assert "choose another --output" in refusal(file, "-m", "differential", "-o", "photo.png")
    for name in ("mine.npz", "mine.h5"):
        assert "choose another name" in refusal(file, "-m", "differential", "--save", name)
        assert Path(name).read_text() == "precious"


def test_a_compared_method_that_cannot_leaves_the_others_their_images(folder: Path) -> None:
    np.savez("signed.npz", masks=MASKS.patterns - 0.5, buckets=BUCKETS)
    done = reconstruct("signed.npz", "-m", "tv", "-c", "normalised,differential")
    assert done.exit_code == 1
    assert "normalised computed no image: normalised ghost imaging divides by each mask's sum" in done.stdout
    assert "differential" in done.stdout and pictures() == ["signed_tv_normalised_differential.png"]
    assert "divides by each mask's sum" in refusal("signed.npz", "-m", "normalised", "-c", "tv")


def test_buckets_that_are_missing_are_left_out_and_told(folder: Path) -> None:
    buckets = BUCKETS.copy()
    buckets[[3, 8]] = np.nan, np.inf
    errors = np.where(np.isfinite(buckets), 0.05, np.nan)
    np.savez("gaps.npz", masks=MASKS.patterns, buckets=buckets, errors=errors)
    assert "2 realizations left out: bucket missing" in succeed("gaps.npz", "-m", "tv")
    assert figures("gaps.npz", "-m", "tv", "--fraction", 0.5)["realizations"] == 48


def test_a_run_in_the_log_is_reconstructed_as_the_worker_does_it(folder: Path) -> None:
    run = MadeRun(MASKS, values={7: {"diode": float("nan")}}, md={"recipes": [Recipe("tv", {"weight": 0.02}, seed=5).to_doc()]})
    log_run(folder / "state", run)
    run_job(Job(folder / "state", run.uid, Recipe("tv", {"weight": 0.02}, seed=5)))
    (stored,) = derived_runs(folder / "state")
    for named in (run.uid, run.uid[:5], "last", stored.start["uid"][:8]):
        told = figures(named, "-m", "tv", "--save", "result.npz")
        assert told["uid"] == run.uid and told["pixel_size_um"] == 10.0 and told["realizations"] == 95
        assert told["methods"]["tv"]["seed"] == 5 and told["methods"]["tv"]["options"]["weight"] == 0.02
        with np.load("result.npz") as saved:
            assert saved["tv_image"].tobytes() == stored.final.tobytes()
    out = succeed("last", "-m", "tv")
    assert f"letters ({run.uid[:8]}): 95 realizations" in out
    assert "1 realization left out: bucket missing" in out
    assert f"ghostbeam replay {run.uid[:8]} --method tv  (nothing has been stored in Tiled)" in out
    assert len(derived_runs(folder / "state")) == 1


def test_a_run_that_goes_on_is_reconstructed_from_what_has_come(folder: Path) -> None:
    run = MadeRun(MASKS)
    MaskStore(folder / "state").save(MASKS)
    write_raw(folder / "state", run.documents()[:60])
    out = succeed("last", "-m", "differential")
    assert "the run has not ended: these are the realizations so far" in out


def test_an_ingested_run_brings_its_reference(folder: Path) -> None:
    np.savez("block.npz", masks=MASKS.patterns, buckets=BUCKETS, reference=np.kron(picture(), np.ones((2, 2))))
    ingest("block.npz", folder / "state")
    told = figures("last", "-m", "tv")
    assert told["methods"]["tv"]["ssim"] > 0.9 and told["pixel_size_um"] is None
    np.savez("block.npz", masks=MASKS.patterns, buckets=BUCKETS, reference=np.ones((5, 7)))
    assert "ssim" not in figures("block.npz", "-m", "tv")["methods"]["tv"]  # shown only: it has other pixels


def test_options_of_the_configuration_are_kept(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GHOSTBEAM_RECONSTRUCTION__OPTIONS", '{"tv": {"weight": 0.5, "tolerance": 0.001}}')
    assert figures(file, "-m", "differential", "-c", "tv")["methods"]["tv"]["options"]["weight"] == 0.5
    options = figures(file, "-m", "tv", "--options", '{"weight": 0.1}')["methods"]["tv"]["options"]
    assert options["weight"] == 0.1 and options["tolerance"] == 0.001


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["absent.npz"], "there is no file absent.npz"),
        (["folder/absent"], "there is no file folder/absent"),
        (["state"], "state is a folder"),
        (["notes.txt"], "cannot be read as a table of numbers"),
        (["maskless.npz"], "has no `masks`: it must hold"),
        (["abcdef"], "begins with 'abcdef': 'last' is the newest"),
        (["abc"], "'abc' is too short"),
        (["dddddddd"], "is not a ghost-imaging run"),
        (["eeeeeeee"], "is not in"),
        (["last", "-m", "tvv"], "unknown method 'tvv'; the methods are correlation"),
        (["last", "-m", "tv", "-c", "diferential"], "did you mean differential?"),
        (["last", "-m", "tv", "--options", "weight=1"], "is not JSON"),
        (["last", "-m", "tv", "--options", "[1]"], "must be a JSON object"),
        (["last", "-m", "tv", "--options", '{"wieght": 1}'], "did you mean weight?"),
        (["last", "-m", "tv", "--options", '{"weight": "much"}'], "weight must be a number"),
        (["last", "-m", "tv", "--options", '{"shape": [1, 1]}'], "tv has no option shape"),
        (["last", "-m", "tv", "--time-budget", "-1"], "time_budget_s must be above 0"),
        (["last", "-m", "n2g", "--time-budget", "0.001"], "is too short"),
        (["last", "-m", "tv", "--fraction", "1.5"], "fraction of the realizations must be"),
        (["last", "-m", "n2g", "--device", "banana"], "device 'banana' can't be used"),
        (["last", "-m", "tv", "--reference", "absent.tif"], "there is no file absent.tif"),
        (["last", "-m", "tv", "--reference", "notes.txt"], "cannot be read as a picture"),
        (["last", "-m", "tv", "--reference", "other.npy"], "a whole multiple"),
        (["last", "-m", "tv", "--reference", "flat.npy"], "one value alone"),
        (["last", "-m", "tv", "--save", "result.mat"], "ends in none of .npz"),
        (["last", "-m", "tv", "--save", "absent/result.npz"], "there is no folder absent"),
    ],
)
def test_what_makes_no_sense_is_named_in_one_line(folder: Path, arguments: list[str], words: str) -> None:
    dark = MadeRun(MASKS, uid="dddddddd-0000-4000-8000-000000000000", md={"ghost": None})
    maskless = MadeRun(mask_set(50, seed=9), uid="eeeeeeee-0000-4000-8000-000000000000")
    write_raw(folder / "state", [*dark.documents(), *maskless.documents()])
    log_run(folder / "state", MadeRun(MASKS))
    Path("notes.txt").write_text("nothing")
    np.savez("maskless.npz", buckets=BUCKETS)
    np.save("other.npy", np.eye(12))
    np.save("flat.npy", np.ones((8, 8)))
    assert words in refusal(*arguments)
    assert not Path("reconstructed").exists() or pictures() == []


def test_without_a_log_it_says_how_to_get_one(folder: Path) -> None:
    assert "holds no run: scan, or choose another log with --config" in refusal("last", "-m", "tv")


def test_a_folder_that_cannot_be_written_to_is_named(file: str) -> None:
    os.mkdir("closed", 0o500)
    if os.access("closed", os.W_OK):
        pytest.skip("this user may write everywhere")
    done = reconstruct(file, "-m", "differential", "-o", "closed/pictures")
    assert isinstance(done.exception, PermissionError) and done.exception.filename  # `main` makes a line of it


@pytest.mark.skipif(not MEASURED.exists(), reason=f"the measured data are not here: {MEASURED}")
def test_a_real_acquisition_looks_like_its_camera_picture() -> None:
    told = figures(MEASURED, "-m", "tv", "-c", "differential", "--fraction", 0.25)
    assert told["realizations"] == 1024
    assert told["methods"]["tv"]["ssim"] > 0.8 and told["methods"]["tv"]["psnr_db"] > 20
