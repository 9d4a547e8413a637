"""A session at the beamline: `ghostbeam session`, `ipython -i profile_collection/startup.py`, or a queueserver's worker.

Configured by `beamline.toml` (see `beamline.config`). `qserver-list-plans-devices` only looks at what is defined here:
for it nothing is started or connected.
"""

# ruff: noqa: E402, F401 - the configuration must be applied before ophyd is imported; people type bp and bps
import atexit
import os
import sys
from functools import partial
from pathlib import Path

if "" in sys.path:
    sys.path.remove("")  # a file of yours called analysis.py, in the folder that you work in, must not take the place of ours

from beamline.config import apply_epics_environment, load_config

config = load_config()
apply_epics_environment(config)  # before anything imports ophyd

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import matplotlib
from bluesky import RunEngine
from bluesky.callbacks.best_effort import BestEffortCallback
from bluesky.plans import count, scan
from bluesky.preprocessors import SupplementalData
from bluesky.utils import ProgressBarManager

import plans
from analysis.archive import catalog
from analysis.documents.log import LogWriter, log_paths
from analysis.techniques.ghost import OPTIONS
from analysis.techniques.ghost.mask_sets import MaskStore
from analysis.views.live import Live
from beamline.factory import connect, make_devices
from beamline.plates import make_plate
from ghostbeam.control import ensure_up
from ghostbeam.reprocess import replay
from plans.preprocessors import use_devices, use_methods
from plans.session_metadata import SessionMetadata
from plans.suspenders import beam_suspenders

LISTING = Path(sys.argv[0]).name == "qserver-list-plans-devices"

if not LISTING:
    services = ensure_up(config, progress=print)
    os.environ.update(services.environment)  # for databroker.catalog["ghostbeam"]

devices = make_devices(config)
mask_stage, sample_stage, shutter = devices.mask_stage, devices.sample_stage, devices.shutter
diode, ring_current = devices.diode, devices.ring_current
pixel_detector, trigger_box = devices.pixel_detector, devices.trigger_box
masks = make_plate(config)
mask_stage.mount(masks)

ghost_scan = use_methods(use_devices(plans.ghost_scan, shutter=shutter), OPTIONS)
fly_scan = use_devices(plans.fly_scan, trigger_box=trigger_box, shutter=shutter)
dark_scan = use_devices(plans.dark_scan, shutter=shutter)

if not LISTING:
    connect(devices, config.epics.connection_timeout_s)
    MaskStore(config.state_dir).save(masks)

    md = SessionMetadata(config.state_dir / "session.json")
    RE = RunEngine(md, scan_id_source=md.next_scan_id)
    RE.subscribe(LogWriter(log_paths(config.state_dir).raw))
    RE.preprocessors.append(SupplementalData(baseline=[sample_stage, ring_current, shutter]))
    for suspender in beam_suspenders(ring_current, diode, shutter, config.beam):
        RE.install_suspender(suspender)

    bec = BestEffortCallback()
    if matplotlib.get_backend().lower() == "agg":
        bec.disable_plots()  # nobody would see them, and each costs a drawing an event
    RE.subscribe(bec)
    RE.waiting_hook = ProgressBarManager()

    catalogue = catalog.connect(services.uri, services.key)
    atexit.register(catalogue.close)
    cat, processed = catalogue.raw, catalogue.processed
    live = Live(config.state_dir)
    replay = partial(replay, config=config)

sys.path.append("")  # your own modules in that folder come behind all that is installed
