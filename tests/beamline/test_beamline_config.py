import subprocess
import sys
from pathlib import Path

import pytest

from beamline.config import ConfigError, GhostbeamConfig, epics_environment, load_config
from beamline.mask_plate import MaskPlateError
from beamline.plates import make_plate

ROOT = Path(__file__).parents[2]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_without_a_file_the_beamline_is_simulated(here):
    config = load_config()
    assert config.simulated
    assert config.state_dir == here / ".ghostbeam"
    assert config.reconstruction.recipes == [{"method": "tv", "options": {}}, {"method": "n2g", "options": {}}]


@pytest.mark.parametrize("name", ["beamline.toml", "docs/beamline_real.toml"])
def test_the_example_files_can_be_loaded_and_name_every_section(name):
    config = load_config(ROOT / name)
    text = (ROOT / name).read_text()
    assert config.simulated == (name == "beamline.toml")
    for section in set(GhostbeamConfig.model_fields) - {"beamline_id", "simulated", "state_dir", "frames_dir", "simulation"}:
        assert f"[{section}]" in text


def test_the_simulation_example_is_the_default(here):
    assert load_config(ROOT / "beamline.toml") == load_config().model_copy(update={"state_dir": ROOT / ".ghostbeam"})


def test_the_file_is_looked_for_in_the_argument_the_environment_and_here(here, monkeypatch):
    (here / "beamline.toml").write_text("[tiled]\nport = 1001\n")
    (here / "sub").mkdir()
    (here / "sub" / "a.toml").write_text("state_dir = 'a'\n[tiled]\nport = 1002\n")
    assert load_config().tiled.port == 1001
    monkeypatch.setenv("GHOSTBEAM_CONFIG", str(here / "sub" / "a.toml"))
    assert load_config().tiled.port == 1002
    assert load_config().state_dir == here / "sub" / "a"
    assert load_config(here / "beamline.toml").tiled.port == 1001


def test_frames_are_written_below_the_state_folder_or_where_the_file_says(here):
    assert load_config().frames_folder == here / ".ghostbeam" / "frames"
    (here / "beamline.toml").write_text("frames_dir = 'elsewhere'")
    assert load_config().frames_folder == here / "elsewhere"


def test_the_environment_beats_the_file(here, monkeypatch):
    (here / "beamline.toml").write_text("[tiled]\nport = 1001\nhost = 'localhost'\n")
    monkeypatch.setenv("GHOSTBEAM_TILED__PORT", "1003")
    monkeypatch.setenv("GHOSTBEAM_TILED_API_KEY", "not a setting")
    config = load_config()
    assert (config.tiled.port, config.tiled.host) == (1003, "localhost")
    monkeypatch.setenv("GHOSTBEAM_TILED__PORT", "many")
    with pytest.raises(ConfigError, match=r"\[tiled\] port"):
        load_config()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("simulatd = true", ["simulatd: unknown key", "did you mean 'simulated'"]),
        ("[tiled]\nprt = 1", ["[tiled] prt: unknown key", "did you mean 'port'"]),
        ("[tiled]\nport = 99999", ["[tiled] port", "65535", "99999"]),
        ("[tiled]\nuri = 'localhost:8000'", ["[tiled] uri", "http://"]),
        ("[tiled]\nuri = 'http://'", ["[tiled] uri", "name a host"]),
        ("[tiled]\nuri = 'http://:8000'", ["[tiled] uri", "name a host"]),
        ("[tiled]\nport = 5964", ["[tiled] port 5964", "ca_port"]),
        ("[tiled]\nport = 5965", ["[tiled] port 5965", "ca_port"]),
        ("[mask_stage]\ny = 'M1'\nx = 'M1'", ["mask_stage", "y and x must differ", "'M1'"]),
        ("state_dir = ''", ["state_dir", "name a folder"]),
        ("frames_dir = ''", ["frames_dir", "name a folder"]),
        ("[sample_stage]\nunits = 'nm'", ["[sample_stage] units", "'um'"]),
        ("[sample_stage]\ny = 'M1'\nx = 'M1'", ["sample_stage", "y and x must differ", "'M1'"]),
        ("state_dir = '~nobody-at-all/x'", ["state_dir", "'~nobody-at-all'"]),
        ("[mask_plate]\nfile = '~nobody-at-all/x'", ["[mask_plate] file", "'~nobody-at-all'"]),
        ("[reconstruction.options.tv]\nsince = 2026-01-01", ["[reconstruction] options", "tv.since must be"]),
        ("[tiled]\ntable_uri = 'duckdb:///x'", ["[tiled] table_uri", "sqlite"]),
        ("[diode]\nbucket_channel = 2", ["diode", "must differ"]),
        ("[mask_plate]\npreset = 'silver'", ["[mask_plate] preset", "'copper'"]),
        ("[simulation]\nspeed = nan", ["[simulation] speed", "finite"]),
        ("[simulation]\nspeed = 0", ["[simulation] speed", "greater than 0"]),
        ("simulated = 'perhaps'", ["simulated", "perhaps"]),
        ("state_dir = 3", ["state_dir"]),
        ("epics = 'GB:'", ["epics"]),
        ("[tiled\nport = 1", ["not valid TOML", "line 1"]),
        ("prefix = GB:", ["not valid TOML", "quotes"]),
    ],
)
def test_a_malformed_file_gives_an_error_that_names_key_and_cure(here, text, says):
    (here / "bad.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(here / "bad.toml")
    for part in [*says, "bad.toml"]:
        assert part in str(caught.value)


def test_the_tiled_port_is_free_where_nothing_is_simulated_or_started(here):
    (here / "beamline.toml").write_text("simulated = false\n[tiled]\nport = 5964\n")
    assert load_config().tiled.port == 5964
    (here / "beamline.toml").write_text("[tiled]\nport = 5964\nuri = 'http://localhost:8000'\n")
    assert load_config().tiled.uri == "http://localhost:8000"


def test_a_file_with_a_byte_order_mark_is_read(here):
    (here / "beamline.toml").write_text("[tiled]\nport = 1001\n", encoding="utf-8-sig")
    assert load_config().tiled.port == 1001


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("GHOSTBEAM_SIMULATE", "did you mean GHOSTBEAM_SIMULATED"),
        ("GHOSTBEAM_TILED_PORT", "GHOSTBEAM_TILED__PORT"),
        ("GHOSTBEAM_TILD__PORT", "did you mean GHOSTBEAM_TILED"),
    ],
)
def test_a_variable_that_would_set_nothing_is_refused(here, monkeypatch, name, says):
    monkeypatch.setenv(name, "false")
    with pytest.raises(ConfigError, match=f"{name} sets nothing.*{says}"):
        load_config()


def test_the_home_directory_of_nobody_is_an_error(here):
    with pytest.raises(ConfigError, match="~nobody-at-all"):
        load_config("~nobody-at-all/beamline.toml")


def test_all_errors_of_a_file_are_told_at_once(here):
    (here / "bad.toml").write_text("[tiled]\nport = 0\n[shutter]\ntimeout_s = -1\n")
    with pytest.raises(ConfigError, match=r"(?s)\[shutter\] timeout_s.*\[tiled\] port|\[tiled\] port.*\[shutter\] timeout_s"):
        load_config(here / "bad.toml")


def test_a_key_in_the_file_is_refused_and_not_repeated(here):
    (here / "bad.toml").write_text("[tiled]\napi_key = 'very secret'\n")
    with pytest.raises(ConfigError, match="GHOSTBEAM_TILED_API_KEY") as caught:
        load_config(here / "bad.toml")
    assert "very secret" not in str(caught.value)


def test_a_file_that_is_not_there_is_an_error_if_it_was_named(here):
    with pytest.raises(ConfigError, match=r"no configuration file .*absent\.toml"):
        load_config("absent.toml")


def test_every_field_says_what_it_is():
    def fields(model):
        for name, field in model.model_fields.items():
            yield f"{model.__name__}.{name}", field
            if hasattr(field.annotation, "model_fields"):
                yield from fields(field.annotation)

    assert [name for name, field in fields(GhostbeamConfig) if not field.description] == []


def test_simulated_pvs_are_looked_for_on_loopback_only():
    config = GhostbeamConfig(simulation={"ca_port": 4321}, epics={"addresses": ["10.0.0.1"]})
    environment = epics_environment(config)
    assert environment["EPICS_CA_ADDR_LIST"] == "127.0.0.1:4321"
    assert environment["EPICS_CA_AUTO_ADDR_LIST"] == "NO"
    real = epics_environment(config.model_copy(update={"simulated": False}))
    assert real["EPICS_CA_ADDR_LIST"] == "10.0.0.1"
    assert real["EPICS_CA_AUTO_ADDR_LIST"] == "YES"
    assert "EPICS_CA_ADDR_LIST" not in epics_environment(GhostbeamConfig(simulated=False))


def test_epics_settings_that_come_too_late_are_an_error():
    late = "from beamline.config import *; import ophyd; apply_epics_environment(GhostbeamConfig())"
    process = subprocess.run([sys.executable, "-c", late], cwd=ROOT, capture_output=True, text=True)
    assert "before anything imports ophyd" in process.stderr
    twice = (
        "import os; from beamline.config import *; c = GhostbeamConfig(); apply_epics_environment(c); import ophyd; "
        "apply_epics_environment(c); print(os.environ['EPICS_CA_ADDR_LIST'])"
    )
    process = subprocess.run([sys.executable, "-c", twice], cwd=ROOT, capture_output=True, text=True)
    assert process.stdout.strip() == f"127.0.0.1:{GhostbeamConfig().simulation.ca_port}"


def test_the_plate_is_a_preset_or_a_file(here):
    assert make_plate(GhostbeamConfig(mask_plate={"num": 16})).name == "gold"
    random = make_plate(GhostbeamConfig(mask_plate={"preset": "gold-random", "num": 8, "seed": 3}))
    random.save(here / "mine.npz")
    (here / "beamline.toml").write_text("[mask_plate]\nfile = 'mine.npz'\n")
    assert make_plate(load_config()).identity == random.identity
    with pytest.raises(MaskPlateError, match="1024"):
        make_plate(GhostbeamConfig(mask_plate={"preset": "copper", "num": 8}))
    (here / "mine.npz").unlink()
    with pytest.raises(MaskPlateError, match=r"mine\.npz"):
        make_plate(load_config())


@pytest.mark.parametrize("module", ["beamline", "beamline.config", "beamline.plates", "plans"])
def test_importing_opens_nothing_and_loads_no_hardware(module):
    code = (
        "import sys; seen = []\n"
        "sys.addaudithook(lambda event, args: seen.append(event) if event == 'socket.__new__' else None)\n"
        f"import {module}\n"
        "assert not seen\n"
        "assert not {'ophyd', 'epics', 'torch', 'caproto', 'sims'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
