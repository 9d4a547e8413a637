"""A session at the beamline: `ghostbeam session`, `ipython -i profile_collection/startup.py`, or a queueserver's worker.

Configured by `beamline.toml` (see `beamline.config`). `qserver-list-plans-devices` only looks at what is defined here:
for it nothing is started or connected.
"""

# ruff: noqa: E402, F401 - the configuration must be applied before ophyd is imported; people type bp and bps
import atexit
import os
import sys
from pathlib import Path
from typing import Any

if "" in sys.path:
    sys.path.remove("")  # a file of yours called analysis.py, in the folder that you work in, must not take the place of ours

from beamline.config import apply_epics_environment, config_file, load_config

config = load_config()
apply_epics_environment(config)  # before anything imports ophyd

import bluesky.plan_stubs as bps
import bluesky.plans as bp
from bluesky import RunEngine
from bluesky.callbacks.best_effort import BestEffortCallback
from bluesky.plan_stubs import mv
from bluesky.plans import count, grid_scan, rel_scan, scan
from bluesky.preprocessors import SupplementalData
from IPython import InteractiveShell, get_ipython

import plans
from analysis.archive import catalog
from analysis.documents.log import LogWriter, log_paths
from analysis.techniques.ghost import OPTIONS as GHOST_OPTIONS
from analysis.techniques.ghost import check_recipe as check_ghost_recipe
from analysis.techniques.ghost.mask_sets import MaskStore
from analysis.techniques.pairs import OPTIONS as PAIRS_OPTIONS
from analysis.techniques.pairs import check_recipe as check_pairs_recipe
from analysis.techniques.ptychography import OPTIONS as PTYCHOGRAPHY_OPTIONS
from analysis.techniques.ptychography import check_recipe as check_ptychography_recipe
from analysis.techniques.radiographs import OPTIONS as RADIOGRAPHS_OPTIONS
from analysis.techniques.radiographs import check_recipe as check_radiographs_recipe
from analysis.techniques.raster import OPTIONS as RASTER_OPTIONS
from analysis.techniques.raster import check_recipe as check_raster_recipe
from analysis.views.live import Live
from analysis.views.runs import runs_table
from beamline.factory import connect, make_devices
from beamline.plates import make_plate
from ghostbeam import reprocess
from ghostbeam.control import ensure_up
from ghostbeam.now import Now
from ghostbeam.prompt.banner import banner
from ghostbeam.prompt.catalogue import LoggedCatalogue
from ghostbeam.prompt.errors import keep_log_short, tell_in_one_line
from ghostbeam.prompt.facts import session_facts
from ghostbeam.prompt.magics import add_magics
from ghostbeam.prompt.plots import NowAndThen, choose_plots, is_notebook
from ghostbeam.prompt.progress import ScanProgress
from ghostbeam.scan_lock import ScanLock
from plans.preprocessors import use_devices, use_methods
from plans.queue_devices import with_devices_named
from plans.session_metadata import SessionMetadata
from plans.suspenders import beam_suspenders

LISTING = Path(sys.argv[0]).name == "qserver-list-plans-devices"
shell = get_ipython()
if not isinstance(shell, InteractiveShell):  # in a script; in a queueserver's worker, which has a dummy of its own
    shell = None

if not LISTING:
    if shell is not None:
        tell_in_one_line(shell)
    services = ensure_up(config, progress=print)
    os.environ.update(services.environment)  # for databroker.catalog["ghostbeam"]

devices = make_devices(config)
mask_stage, sample_stage, shutter = devices.mask_stage, devices.sample_stage, devices.shutter
diode, electrometer, camera_sum = devices.diode, devices.electrometer, devices.camera_sum
ring_current = devices.ring_current
pixel_detector, trigger_box = devices.pixel_detector, devices.trigger_box
dual_camera, xray_camera = devices.dual_camera, devices.xray_camera
rotation_stage, angle_box = devices.rotation_stage, devices.angle_box
pinhole = devices.pinhole
xrf_spectrometer = devices.xrf_spectrometer
masks = make_plate(config)
mask_stage.mount(masks)

ghost_scan = use_methods(use_devices(plans.ghost_scan, shutter=shutter), GHOST_OPTIONS, check_ghost_recipe)
fly_scan, ptycho_scan = (
    use_methods(use_devices(plan, trigger_box=trigger_box, shutter=shutter), PTYCHOGRAPHY_OPTIONS, check_ptychography_recipe)
    for plan in (plans.fly_scan, plans.ptycho_scan)
)
frame_pair_series = use_methods(
    use_devices(plans.frame_pair_series, sample_stage=sample_stage, shutter=shutter), PAIRS_OPTIONS, check_pairs_recipe
)
static_series = use_methods(
    use_devices(plans.static_series, sample_stage=sample_stage, shutter=shutter),
    {**PAIRS_OPTIONS, **RADIOGRAPHS_OPTIONS},
    lambda recipe: (check_pairs_recipe if recipe["method"] in PAIRS_OPTIONS else check_radiographs_recipe)(recipe),
)
radiograph_series = use_methods(
    use_devices(plans.radiograph_series, sample_stage=sample_stage, shutter=shutter),
    RADIOGRAPHS_OPTIONS,
    check_radiographs_recipe,
)
tomo_scan = use_methods(
    use_devices(plans.tomo_scan, sample_stage=sample_stage, angle_box=angle_box, shutter=shutter),
    RADIOGRAPHS_OPTIONS,
    check_radiographs_recipe,
)
dark_flat_series = use_devices(plans.dark_flat_series, sample_stage=sample_stage, shutter=shutter)
mask_calibration = use_devices(plans.mask_calibration, shutter=shutter)
raster_scan = use_methods(use_devices(plans.raster_scan, pinhole=pinhole, shutter=shutter), RASTER_OPTIONS, check_raster_recipe)
dark_scan = use_devices(plans.dark_scan, shutter=shutter)
open_beam_scan = use_devices(plans.open_beam_scan, shutter=shutter)
open_shutter = use_devices(plans.open_shutter, shutter=shutter)
close_shutter = use_devices(plans.close_shutter, shutter=shutter)
bucket_names = [detector.name for detector in devices.buckets]
with_devices_named(ghost_scan, lists={"detectors": bucket_names}, mask_stage=["mask_stage"], shutter=["shutter"])
for plan in (fly_scan, ptycho_scan):
    with_devices_named(
        plan, pixel_detector=["pixel_detector"], sample_stage=["sample_stage"], trigger_box=["trigger_box"], shutter=["shutter"]
    )
with_devices_named(frame_pair_series, dual_camera=["dual_camera"], sample_stage=["sample_stage"], shutter=["shutter"])
for plan in (static_series, dark_flat_series):
    with_devices_named(plan, camera=["dual_camera", "xray_camera"], sample_stage=["sample_stage"], shutter=["shutter"])
with_devices_named(radiograph_series, xray_camera=["xray_camera"], sample_stage=["sample_stage"], shutter=["shutter"])
with_devices_named(
    tomo_scan,
    xray_camera=["xray_camera"],
    rotation_stage=["rotation_stage"],
    sample_stage=["sample_stage"],
    angle_box=["angle_box"],
    shutter=["shutter"],
)
with_devices_named(
    mask_calibration,
    camera=["xray_camera", "dual_camera"],
    mask_stage=["mask_stage"],
    monitor=bucket_names,
    shutter=["shutter"],
)
with_devices_named(
    raster_scan, lists={"detectors": bucket_names}, sample_stage=["sample_stage"], pinhole=["pinhole"], shutter=["shutter"]
)
for plan in (dark_scan, open_beam_scan):
    with_devices_named(plan, lists={"detectors": bucket_names}, shutter=["shutter"])
for plan in (open_shutter, close_shutter):
    with_devices_named(plan, shutter=["shutter"])
del plan

if not LISTING:
    connect(devices, config.epics.connection_timeout_s)
    MaskStore(config.state_dir).save(masks)

    md = SessionMetadata(config.state_dir / "session.json", session_facts(config))
    RE = RunEngine(md, scan_id_source=md.next_scan_id)
    RE.subscribe(LogWriter(log_paths(config.state_dir).raw))
    baseline = [device for device in (sample_stage, rotation_stage, ring_current, shutter) if device is not None]
    RE.preprocessors.append(SupplementalData(baseline=baseline))
    for suspender in beam_suspenders(ring_current, devices.buckets, shutter, config.beam):
        RE.install_suspender(suspender)
    conditions = {"ring current": ring_current, "shutter": None if shutter is None else shutter.status}
    RE.subscribe(Now(RE, config.state_dir, {name: signal for name, signal in conditions.items() if signal is not None}))
    scan_lock = ScanLock(config.state_dir)
    RE.preprocessors.append(scan_lock.holds)

    plots_off = choose_plots(shell)
    bec = BestEffortCallback()  # draws
    bec.disable_heading()
    bec.disable_table()
    bec.disable_baseline()
    if plots_off is not None:
        bec.disable_plots()
    table = BestEffortCallback(use_teleporter=False)  # prints
    table.disable_plots()
    if shell is None:
        RE.subscribe(table)
    else:
        if is_notebook(shell):
            table.disable_table()  # the line that counts would stand between the rows
        progress = ScanProgress(table, Live(config.state_dir).doubts)
        RE.subscribe(progress)
        RE.waiting_hook = progress.waiting
    RE.subscribe(NowAndThen(bec))

    catalogue = catalog.connect(services.uri, services.key)
    atexit.register(catalogue.close)
    cat = LoggedCatalogue(catalogue.raw, log_paths(config.state_dir).raw)
    processed = LoggedCatalogue(catalogue.processed, log_paths(config.state_dir).processed)
    live = Live(config.state_dir)

    def runs(most: int = 10) -> None:
        """Print the last runs, newest first: scan number, plan, sample, time, how each ended, and its reconstructions."""
        print(runs_table(config.state_dir, most))

    def replay(run: Any, method: str | None = None, seed: int | None = None, **options: Any) -> Any:
        """Reconstruct a stored run again, and return the new derived run. Existing runs are kept.

        Parameters
        ----------
        run : run of the catalogue, or str
            Such as `cat[-1]`, or a uid, or five or more of its first characters.
        method : str, optional
            Such as "tv". Default: the first method that the run asks for.
        seed : int, optional
            Seed of the reconstruction's random choices.
        **options
            The method's options, such as weight=0.01.
        """
        return reprocess.replay(run, method=method, seed=seed, config=config, **options)

    def break_scan_lock() -> None:
        """Take over the beamline from another session, or the queue: its plan ends at its next step."""
        print(scan_lock.break_())

    if shell is not None:
        keep_log_short(RE)
        stages = [stage for stage in (mask_stage, sample_stage, rotation_stage) if stage is not None]
        add_magics(shell, scan_lock, motors=stages, detectors=devices.buckets)
        print(banner(config, config_file(), (device.name for device in devices), (bucket_names or ["diode"])[0], plots_off))

sys.path.append("")  # your own modules in that folder come behind all that is installed
