"""The pages say what the code does: every key, command, reason and link in them is checked against it.

Tables are compared line by line with what the code says of itself; a failure shows the line that the page should hold.
"""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import numpy as np
import pytest
import typer
from bluesky import RunEngine
from fly_runs import FlyRun
from mask_frames import calibration, designs
from pair_runs import PairSeries
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from radiograph_runs import RadiographRun, tomography_streams
from raster_runs import raster_run
from soft_devices import SoftBeamline

from analysis.documents.derived import DerivedRun, Standing, derived_start
from analysis.documents.ledger import Ledger
from analysis.documents.log import LogReader, log_paths
from analysis.documents.recipe import Recipe
from analysis.documents.references import ReferenceStore
from analysis.estimate import Estimate
from analysis.ghost import METHODS
from analysis.offline.ingest import ingest
from analysis.offline.ingest_pairs import Pairing
from analysis.techniques import TECHNIQUES, technique_of
from analysis.techniques.ghost.mask_sets import MaskSet, MaskStore
from beamline.config import GhostbeamConfig
from ghostbeam.cli import app
from plans import dark_scan, fly_scan, frame_pair_series, ghost_scan, ptycho_scan

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMING: set[str] = set()


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def part(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of the same or a higher level."""
    lines = text.splitlines()
    assert heading in lines, f"there is no heading {heading!r}"
    level = heading.split(" ", maxsplit=1)[0]
    begin = lines.index(heading)
    for end in range(begin + 1, len(lines)):
        found = re.match(r"#+(?= )", lines[end])
        if found and len(found[0]) <= len(level):
            return "\n".join(lines[begin:end])
    return "\n".join(lines[begin:])


def code_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def missing_keys(keys: Any, text: str) -> list[str]:
    return sorted(key for key in keys if f"| `{key}` |" not in text)


# The configuration


def sections() -> dict[str, type[BaseModel]]:
    kinds = {name: field.annotation for name, field in GhostbeamConfig.model_fields.items()}
    return {name: kind for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, BaseModel)}


def config_row(name: str, field: FieldInfo) -> str:
    return f"| `{name}` | {_default(field.default)} | {_allowed(field)} | {field.description} |"


def _default(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return f"`{value:g}`"
    if isinstance(value, tuple):
        return f"`{list(value)}`"
    return f'`"{value}"`' if isinstance(value, str | Path) else f"`{value}`".replace("'", '"')


def _allowed(field: FieldInfo) -> str:
    kinds = [kind for kind in get_args(field.annotation) or (field.annotation,) if kind is not type(None)]
    if get_origin(field.annotation) is Literal:
        return ", ".join(f'`"{kind}"`' for kind in kinds)
    names = {bool: "true or false", int: "whole number", float: "number", Path: "path"}
    kind = "whole number or text" if kinds == [int, str] else "text" if str in kinds else names.get(kinds[0], "")
    origins = {get_origin(field.annotation), *map(get_origin, kinds)}
    if origins & {list, tuple, dict}:
        kind = "table" if get_origin(field.annotation) is dict else "list"
    words = {"gt": "above", "ge": "from", "lt": "below", "le": "to"}
    limits = [f"{words[name]} {getattr(one, name):g}" for one in field.metadata for name in words if hasattr(one, name)]
    return " ".join([kind, *limits])


def test_every_configuration_key_is_listed_as_the_model_has_it():
    text = page("docs/reference_configuration.md")
    plain = {name: field for name, field in GhostbeamConfig.model_fields.items() if name not in sections()}
    listed = [("## At the top of the file", plain), *((f"## [{name}]", kind.model_fields) for name, kind in sections().items())]
    for heading, fields in listed:
        rows = part(text, heading).splitlines()
        for name, field in fields.items():
            assert config_row(name, field) in rows, f"{heading} should hold\n{config_row(name, field)}"


def test_no_configuration_key_is_listed_that_is_gone():
    text = page("docs/reference_configuration.md")
    for name, kind in sections().items():
        listed = re.findall(r"^\| `(\w+)` \|", part(text, f"## [{name}]"), re.MULTILINE)
        assert set(listed) == set(kind.model_fields)


def test_every_method_and_its_options_are_listed():
    text = page("docs/reference_configuration.md")
    for method in METHODS.values():
        text_of_method = part(text, f"### {method.name}")
        for option, default in method.defaults.items():
            assert f"| `{option}` | {_default(default)} |" in text_of_method, f"{method.name}: {option} = {default}"


# Documents


@pytest.fixture(scope="module")
def scanned() -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """Documents of a ghost scan and of a dark scan with every key that they can have."""
    here = SoftBeamline(size=2)
    plans = {
        "ghost_scan": ghost_scan(
            [here.diode], here.mask_stage, here.plate, dark_num=1, shutter=here.shutter, recipes=["tv"], md={"sample": "CAS"}
        ),
        "dark_scan": dark_scan([here.diode], num=1, shutter=here.shutter),
    }
    documents: dict[str, list[tuple[str, dict[str, Any]]]] = {name: [] for name in plans}
    for name, plan in plans.items():
        RunEngine({})(plan, lambda kind, doc, found=documents[name]: found.append((kind, doc)))
    return documents


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("ingested")
    masks = np.random.default_rng(0).random((3, 2, 2))
    np.savez(
        folder / "data.npz", masks=masks, buckets=np.ones(3), errors=np.ones(3), reference=np.ones((2, 2)), pixel_size_um=1.0
    )
    uid = ingest(folder / "data.npz", folder, recipes=[Recipe("tv")])
    return [(record.name, record.doc) for record in LogReader(log_paths(folder).raw).documents(uid)]


@pytest.fixture(scope="module")
def raw_starts(scanned, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, dict[str, Any]]]:
    """A start document of each technique, and a state directory with what they need."""
    folder = tmp_path_factory.mktemp("state")
    ghost = scanned["ghost_scan"][0][1]
    masks = MaskSet("made", np.ones((4, *ghost["ghost"]["shape"]), dtype=np.float32), np.zeros((4, 2)), 1.0)
    ghost = {**ghost, "mask_set": MaskStore(folder).save(masks)}
    _, fly = FlyRun(folder / "frames" / "one.h5").start()[0]
    _, pairs = PairSeries(folder / "frames" / "pairs.h5", 2).start()[0]
    angles = np.arange(3.0)
    _, radiographs = RadiographRun(folder / "frames" / "three.h5", tomography_streams(angles), angles=angles).documents()[0]
    _, calibrated = calibration(folder / "frames" / "masks.h5", folder, designs(1, 12), portions=1)[0]
    starts = {"ghost": ghost, "ptychography": fly, "pairs": pairs, "radiographs": radiographs, "masks": calibrated}
    starts["raster"] = raster_run(1, spectra=False)[0][1]
    return folder, starts


@pytest.fixture(scope="module", params=list(TECHNIQUES))
def derived(request: pytest.FixtureRequest, raw_starts) -> dict[str, dict[str, Any]]:
    state_dir, starts = raw_starts
    raw = starts[request.param]
    run = technique_of(raw).open(raw, ReferenceStore(state_dir))
    recipe = Recipe(TECHNIQUES[request.param].default[0])
    about = {"rows": run.rows, "metadata": run.metadata(recipe), "remarks": run.remarks}
    start = derived_start(raw, recipe, uid="0" * 32, purpose="live", recipes=[recipe], refused="mask_set", **about)
    documents: dict[str, dict[str, Any]] = {}
    written = DerivedRun(documents.__setitem__, start, run.quantities(recipe))
    written.estimate(Estimate({}), Standing(), final=True, elapsed_s=0.1)
    written.close(Ledger(), options={})
    return documents


@pytest.mark.parametrize("plan", ["ghost_scan", "dark_scan"])
def test_every_key_of_a_scan_is_explained(scanned, plan):
    text = page("docs/reference_documents.md")
    start = scanned[plan][0][1]
    described = part(text, f"## The start document of `{plan}`")
    assert missing_keys(start, described) == []
    assert missing_keys(start["plan_args"], part(text, f"### `plan_args` of `{plan}`")) == []
    if plan == "ghost_scan":
        assert missing_keys(start["ghost"], part(text, "### `ghost`")) == []
        assert missing_keys(["method", "options", "seed", "device"], part(text, "### `recipes`")) == []
    streams = part(text, "## The streams of a scan")
    for name, doc in scanned[plan]:
        if name == "descriptor":
            assert f"`{doc['name']}`" in streams
            assert missing_keys(doc["data_keys"], streams) == []
        if name in ("descriptor", "event", "stop"):
            assert missing_keys(doc, part(text, f"### Every {name}")) == []


def test_every_key_of_a_fly_scan_is_explained(raw_starts):
    text = page("docs/reference_documents.md")
    start = raw_starts[1]["ptychography"]
    assert missing_keys(start, part(text, "## The start document of `fly_scan`")) == []
    assert missing_keys(start["ptychography"], part(text, "### `ptychography`")) == []
    arguments = set(inspect.signature(fly_scan).parameters) - {"md"}
    assert missing_keys(arguments, part(text, "### `plan_args` of `fly_scan`")) == []
    arguments = set(inspect.signature(ptycho_scan).parameters) - {"md"}
    assert missing_keys(arguments, part(text, "### `plan_args` of `ptycho_scan`")) == []


def test_every_key_of_an_ingested_run_is_explained(ingested):
    text = part(page("docs/reference_documents.md"), "## The start document of an ingested run")
    start = ingested[0][1]
    assert missing_keys(start, text) == []
    assert missing_keys(start["ghost"], text) == []
    for name, doc in ingested:
        if name == "descriptor":
            assert missing_keys(doc["data_keys"], text) == []


def test_every_key_of_an_ingested_scan_is_explained(tmp_path):
    frames, places = np.ones((3, 4, 4), np.uint16), np.arange(6.0).reshape(3, 2)
    np.savez(tmp_path / "scan.npz", frames=frames, positions_um=places)
    uid = ingest(tmp_path / "scan.npz", tmp_path, recipes=[Recipe("sums")])
    documents = [(record.name, record.doc) for record in LogReader(log_paths(tmp_path).raw).documents(uid)]
    text = part(page("docs/reference_documents.md"), "## The start document of an ingested scan")
    start = documents[0][1]
    assert missing_keys(start, text) == [] and missing_keys(start["ptychography"], text) == []
    for name, doc in documents:
        if name == "descriptor":
            assert missing_keys(doc["data_keys"], text) == []


def test_every_key_of_a_series_of_frame_pairs_is_explained(raw_starts, tmp_path):
    text = page("docs/reference_documents.md")
    start = raw_starts[1]["pairs"]
    assert missing_keys(start, part(text, "## The start document of `frame_pair_series`")) == []
    assert missing_keys([*start["pairs"], "kind"], part(text, "### `pairs`")) == []
    arguments = set(inspect.signature(frame_pair_series).parameters) - {"md"}
    assert missing_keys(arguments, part(text, "### `plan_args` of `frame_pair_series`")) == []
    np.savez(tmp_path / "series.npz", frames=np.ones((3, 4, 8), np.uint16))
    uid = ingest(tmp_path / "series.npz", tmp_path, recipes=[Recipe("gaussian")], pairing=Pairing("halves"))
    documents = [(record.name, record.doc) for record in LogReader(log_paths(tmp_path).raw).documents(uid)]
    text = part(text, "## The start document of an ingested series")
    start = documents[0][1]
    assert missing_keys(start, text) == [] and missing_keys(start["pairs"], text) == []


def test_every_key_of_ingested_radiographs_is_explained(tmp_path):
    np.savez(tmp_path / "scan.npz", projections=np.ones((3, 4, 4)), darks=np.zeros((1, 4, 4)), theta_deg=np.arange(3.0))
    uid = ingest(tmp_path / "scan.npz", tmp_path, recipes=[Recipe("fbp")])
    documents = [(record.name, record.doc) for record in LogReader(log_paths(tmp_path).raw).documents(uid)]
    text = part(page("docs/reference_documents.md"), "## The start document of ingested radiographs")
    start = documents[0][1]
    assert missing_keys(start, text) == [] and missing_keys(start["radiographs"], text) == []
    for name, doc in documents:
        if name == "descriptor":
            assert missing_keys(doc["data_keys"], text) == []


def test_every_key_of_a_derived_run_is_explained(derived):
    text = part(page("docs/reference_documents.md"), "## Derived runs")
    assert missing_keys(derived["start"], part(text, "### The start document of a derived run")) == []
    for key in ("image", "software"):
        assert missing_keys(derived["start"][key], part(text, "### The start document of a derived run")) == []
    assert missing_keys(derived["event"]["data"], part(text, "### An estimate")) == []
    assert missing_keys(derived["stop"], part(text, "### The stop document of a derived run")) == []
    assert missing_keys(derived["stop"]["ledger"], part(text, "### The gap ledger")) == []


def test_what_the_buckets_were_corrected_with_is_explained(scanned):
    from analysis.techniques.ghost.intake import Realizations

    ledger = Realizations(scanned["ghost_scan"][0][1], 4).ledger()
    assert missing_keys(ledger.normalisation, part(page("docs/reference_documents.md"), "### `normalisation`")) == []


def test_every_reason_of_the_gap_ledger_is_listed_in_its_own_words():
    rows = part(page("docs/reference_documents.md"), "### Reasons").splitlines()
    for technique in TECHNIQUES.values():
        for reason, meaning in technique.reasons.items():
            assert f"| `{reason}` | {meaning} |" in rows


# Commands


def commands() -> dict[str, set[str]]:
    """Every command with its options."""
    group: Any = typer.main.get_command(app)
    listed = {"": group, **group.commands}
    of_all = {
        name: [command, *getattr(command, "commands", {}).values()] if name else [command] for name, command in listed.items()
    }
    return {
        name: {opt for command in several for param in command.params for opt in param.opts if opt.startswith("-")}
        for name, several in of_all.items()
    }


def test_every_command_and_option_is_listed():
    text = page("docs/reference_commands.md")
    for name, options in commands().items():
        described = part(text, f"## ghostbeam {name}".rstrip())
        assert missing_keys(options, described) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_command_that_a_page_shows_exists(path):
    text = path.read_text(encoding="utf-8")
    shown = [line for block in code_blocks(text, "sh") for line in block.splitlines()] + re.findall(r"`([^`\n]+)`", text)
    known, targets = commands(), re.findall(r"^(\w+):", page("Makefile"), re.MULTILINE)
    for line in shown:
        if made := re.match(r"make (\w+)", line):
            assert made[1] in targets, line
        if called := re.match(r"(?:\w+=\S+ )*(?:eval \"\$\()?(?:\S+/)?ghostbeam(?: --config \S+)? ([a-z]+)(.*)", line):
            assert called[1] in known, line
            assert set(re.findall(r" (--[a-z]+)", called[2])) <= known[called[1]], line


# Links and examples


def slugs(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_and_picture_is_there(path):
    text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?:", target):
            continue
        file, _, anchor = target.partition("#")
        found = (path.parent / file).resolve() if file else path
        assert found.exists() or str(found.relative_to(ROOT)) in COMING, target
        if anchor:
            assert anchor in slugs(found.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_examples_can_be_read(path):
    text = path.read_text(encoding="utf-8")
    for block in code_blocks(text, "toml"):
        GhostbeamConfig(**tomllib.loads(block))
    for block in code_blocks(text, "python"):
        compile(block, str(path), "exec")


def test_every_page_can_be_reached_from_the_readme():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        reached.add(path)
        for target in re.findall(r"\]\(([^)\s#]+\.md)", path.read_text(encoding="utf-8")):
            found = (path.parent / target).resolve()
            if found.exists() and found not in reached:
                waiting.append(found)
    assert reached == set(PAGES)
