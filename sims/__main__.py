"""``python -m sims``: the simulated beamline as a soft IOC."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from dataclasses import replace

from beamline.mask_designs import copper_plate, gold_plate
from beamline.mask_plate import MaskPlate
from sims.counting import Counting
from sims.diffraction import FrameOptions
from sims.emission import capillary
from sims.etched_plate import COPPER, GOLD, EtchedPlate, Etching
from sims.experiment import Experiment
from sims.frame_pairs import PairOptions
from sims.manual import DESCRIPTION, EPILOG
from sims.pair_scenes import SCENES
from sims.phase_samples import PHASE_SAMPLES
from sims.physics import BUCKET, MONITOR, Beam, open_beam_ratio
from sims.radiograph_scenes import SCENES as RADIOGRAPH_SCENES
from sims.samples import SAMPLES, make_sample
from sims.xray_frames import XrayOptions
from sims.zone_plate import Optics

CAPILLARY = "capillary"
"""The sample that is made of voxels: its absorption depends on the energy."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        "python -m sims",
        description=DESCRIPTION,
        epilog=EPILOG.format(ratio=open_beam_ratio()),
        formatter_class=_Help,
    )
    serve = made.add_argument_group("serving")
    serve.add_argument("--prefix", default="GB:", help="prefix of all PV names (default: %(default)s)")
    serve.add_argument("--port", type=int, default=5064, help="Channel Access server port (default: %(default)s)")
    serve.add_argument(
        "--speed",
        type=float,
        default=1.0,
        help="divide the times that devices take by this; counts remain those of the full exposure (default: 1)",
    )
    serve.add_argument("--seed", type=int, default=0, help="seed of all random numbers, 0 or more (default: 0)")
    what = made.add_argument_group("what is in the beam")
    what.add_argument(
        "--sample",
        default="CAS",
        metavar="NAME|FILE",
        help=f"{', '.join(SAMPLES)}, {CAPILLARY}, or an image file: white transmits (default: %(default)s)",
    )
    what.add_argument(
        "--plate",
        default="gold",
        metavar="NAME|FILE.npz",
        help="gold (4096 Hadamard masks of 64x64 pixels of 10 um, depth 83 %%), copper (1024 of 32x32 pixels of "
        "150 um, depth 75 %%), or a file that MaskPlate.save wrote (default: %(default)s)",
    )
    what.add_argument(
        "--slope",
        type=float,
        metavar="PIXELS",
        help=f"width of the masks' etched edges (default: {COPPER.slope} for copper, else {GOLD.slope})",
    )
    what.add_argument(
        "--unevenness",
        type=float,
        metavar="PART",
        help="relative error of the metal's thickness, up to three times as much in fine structure "
        f"(default: {COPPER.unevenness} for copper, else {GOLD.unevenness})",
    )
    photons = made.add_argument_group("photons and counters")
    photons.add_argument(
        "--photons",
        type=float,
        default=Beam().photons,
        help="photons per second on one open mask pixel (default: %(default)g)",
    )
    photons.add_argument("--steady", action="store_true", help="a beam that neither decays, drifts nor flickers")
    photons.add_argument(
        "--energy", type=float, default=11.1, metavar="KEV", help="photon energy of the beam, keV (default: %(default)s)"
    )
    photons.add_argument("--gain", type=float, default=BUCKET.gain, help="diode counts per quantum (default: %(default)g)")
    photons.add_argument(
        "--dark", type=float, default=BUCKET.dark_hz, metavar="HZ", help="diode dark counts (default: %(default)g)"
    )
    photons.add_argument(
        "--ceiling",
        type=float,
        default=BUCKET.ceiling_hz,
        metavar="HZ",
        help="highest frequency of the diode's converter (default: %(default)g)",
    )
    frames = made.add_argument_group("pixel detector")
    frames.add_argument(
        "--coherent-sample",
        default=FrameOptions().sample,
        metavar="NAME",
        help=f"what it looks at: {', '.join(PHASE_SAMPLES)} (default: %(default)s)",
    )
    frames.add_argument(
        "--flux",
        type=float,
        default=FrameOptions().flux,
        help="photons per second in the zone plate's cone; a frame of 0.5 ms gets 20 000 of the default %(default)g",
    )
    frames.add_argument(
        "--frames",
        default=FrameOptions().mode,
        metavar="MODE",
        help="diffraction: of the sample where it is. pattern: frame n is number n modulo 64 of 64 frames drawn at the "
        "start, at many thousand a second, for tests of speed (default: %(default)s)",
    )
    frames.add_argument(
        "--source-um",
        type=float,
        default=FrameOptions().source_um,
        help="standard deviation of the source's image on the sample, um: partial coherence (default: %(default)g)",
    )
    frames.add_argument(
        "--defocus-mm",
        type=float,
        default=Optics().defocus_mm,
        help="distance of the sample behind the zone plate's focus; below 0: before it (default: %(default)g)",
    )
    frames.add_argument(
        "--pixel-dead-time",
        type=float,
        default=1e9 * Counting().dead_time_s,
        metavar="NS",
        help="dead time of a pixel after each count, ns (default: %(default).3g)",
    )
    frames.add_argument("--dead-pixels", type=int, default=0, metavar="NUM", help="pixels that count nothing (default: 0)")
    frames.add_argument(
        "--hot-pixels",
        type=int,
        default=0,
        metavar="NUM",
        help="pixels that count 1e5 per second in the dark (default: 0)",
    )
    pairs = made.add_argument_group("dual camera")
    pairs.add_argument(
        "--pair-scene",
        default=PairOptions().scene,
        metavar="NAME",
        help=f"what it looks at: {', '.join(SCENES)}; flow moves (default: %(default)s)",
    )
    pairs.add_argument(
        "--pair-photons",
        type=float,
        default=PairOptions().photons,
        help="mean photons per second and pixel in each half (default: %(default)g)",
    )
    pairs.add_argument(
        "--dual-sensor",
        type=int,
        nargs=2,
        default=PairOptions().sensor,
        metavar=("ROWS", "COLUMNS"),
        help="size of a frame, both halves together (default: 512 1024)",
    )
    pairs.add_argument(
        "--scintillator",
        action="store_true",
        help="X-rays make the light, 20 photons each, before it is split: their noise is common to both halves",
    )
    xray = made.add_argument_group("X-ray camera")
    xray.add_argument(
        "--xray-scene",
        default=XrayOptions().scene,
        metavar="NAME",
        help=f"what it looks at: {', '.join(RADIOGRAPH_SCENES)} (default: %(default)s)",
    )
    xray.add_argument(
        "--xray-photons",
        type=float,
        default=XrayOptions().photons,
        help="X-ray photons per second and pixel without a sample (default: %(default)g)",
    )
    xray.add_argument(
        "--xray-sensor",
        type=int,
        nargs=2,
        default=XrayOptions().sensor,
        metavar=("ROWS", "COLUMNS"),
        help="size of a frame (default: 256 256)",
    )
    xray.add_argument(
        "--xray-pixel-um",
        type=float,
        default=XrayOptions().pixel_um,
        help="edge of a pixel, on the sample or the masks, um (default: %(default)g)",
    )
    mechanics = made.add_argument_group("mechanics of the mask stage")
    mechanics.add_argument(
        "--play-um",
        type=float,
        default=0.3,
        help="lost motion after a move downwards; a larger BDST of the motor takes it up (default: %(default)s)",
    )
    mechanics.add_argument(
        "--jitter-um", type=float, default=0.1, help="standard deviation of the encoder's error (default: %(default)s)"
    )
    return made


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help in which each line names its default, and texts keep their line breaks."""

    def __init__(self, prog: str):
        super().__init__(prog, max_help_position=28, width=118)


def make_experiment(options: argparse.Namespace) -> Experiment:
    """Build the experiment that the options describe; a ValueError says which option is impossible."""
    if options.seed < 0:
        raise ValueError(f"--seed must be 0 or more, not {options.seed}")
    plate, etching = _plate(options.plate)
    if options.slope is not None:
        etching = replace(etching, slope=options.slope)
    if options.unevenness is not None:
        etching = replace(etching, unevenness=options.unevenness)
    if not 2.0 < options.energy < 100.0:
        raise ValueError(f"--energy must be 2 to 100 keV, not {options.energy}")
    emission = capillary(plate.shape, plate.pixel_size_um, options.energy) if options.sample.lower() == CAPILLARY else None
    return Experiment(
        EtchedPlate(plate, etching, options.seed),
        make_sample(options.sample, plate.shape, options.seed) if emission is None else emission.transmission,
        beam=Beam.steady(options.photons) if options.steady else Beam(photons=options.photons),
        bucket=replace(BUCKET, gain=options.gain, dark_hz=options.dark, ceiling_hz=options.ceiling),
        monitor=MONITOR,
        seed=options.seed,
        energy_kev=options.energy,
        emission=emission,
    )


def make_frames(options: argparse.Namespace) -> FrameOptions:
    """Return the options of the pixel detector: its sample and its counting. A ValueError says what is impossible."""
    return FrameOptions(
        options.coherent_sample,
        options.frames,
        options.flux,
        options.seed,
        optics=Optics(defocus_mm=options.defocus_mm),
        counting=Counting(options.pixel_dead_time / 1e9, options.dead_pixels, options.hot_pixels),
        source_um=options.source_um,
    )


def _plate(name: str) -> tuple[MaskPlate, Etching]:
    if name == "gold":
        return gold_plate(), GOLD
    if name == "copper":
        return copper_plate(), COPPER
    return MaskPlate.load(name), GOLD


def main(arguments: list[str] | None = None) -> int:
    """Serve until asked to stop; return the exit status."""
    options = parser().parse_args(arguments)
    # caproto reads its settings when it is imported. It would hold back updates that follow one another within
    # 10 ms, to bundle them: that is longer than a whole move of a fast simulation.
    os.environ.update(
        EPICS_CA_SERVER_PORT=str(options.port),
        EPICS_CAS_AUTO_BEACON_ADDR_LIST="NO",
        EPICS_CAS_BEACON_ADDR_LIST="127.0.0.1",
        CAPROTO_SERVER_HIGH_LOAD_TIMEOUT_SEC="0.0005",
    )
    from sims.ioc import Stage, serve

    def announce() -> None:
        print(f"ready: {options.prefix} on 127.0.0.1:{options.port}", flush=True)

    try:
        stage = Stage(options.play_um, options.jitter_um)
        experiment = make_experiment(options)
        frames = make_frames(options)
        pairs = PairOptions(
            options.pair_scene, options.pair_photons, tuple(options.dual_sensor), options.scintillator, options.seed
        )
        plate = experiment.plate if options.xray_scene == "masks" else None
        sensor = tuple(options.xray_sensor)
        xray = XrayOptions(
            options.xray_scene, options.xray_photons, sensor, options.xray_pixel_um, seed=options.seed, plate=plate
        )
        devices = {"stage": stage, "speed": options.speed, "frames": frames, "pairs": pairs, "xray": xray}
        asyncio.run(serve(options.prefix, options.port, experiment, announce=announce, **devices))
    except (ValueError, OSError) as error:
        print(f"python -m sims: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
