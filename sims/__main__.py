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
from sims.pair_scenes import SCENES
from sims.phase_samples import PHASE_SAMPLES
from sims.physics import BUCKET, MONITOR, Beam, open_beam_ratio
from sims.radiograph_scenes import SCENES as RADIOGRAPH_SCENES
from sims.samples import SAMPLES, make_sample
from sims.xray_frames import XrayOptions
from sims.zone_plate import Optics

DESCRIPTION = """\
A simulated imaging beamline: a soft IOC that serves, over Channel Access on the loopback interface, the records of
a mask stage, a sample stage, a rotation, a shutter, a scaler, a storage ring, a pixel detector that writes HDF5,
the box that triggers it, a camera for frame pairs and one for radiographs, with the photons that such a beamline
would count. It prints one line that begins with "ready" when everything is served, and ends on SIGTERM.
"""

EPILOG = """\
process variables, after the prefix:
  MASK:Y MASK:X              motor records, mm: the mask stage; velocity, limits, play, encoder jitter
  SAMPLE:Y SAMPLE:X          motor records, mm: the sample stage; the sample is centred at 0, 0
  ROT:A                      motor record, degrees, without limits: the rotation that carries the sample
  SHUTTER:Cmd:Opn-Cmd        write 1 to open; falls back to 0 when the blade has arrived, or has failed to
  SHUTTER:Cmd:Cls-Cmd        write 1 to close; likewise
  SHUTTER:Pos-Sts            0 Open, 1 Not Open
  SHUTTER:Sts:FailOpn-Sts    1: the last command to open had no effect
  SHUTTER:Sts:FailCls-Sts    1: the last command to close had no effect
  SCALER                     scaler record: S1 10 MHz clock, S2 incident-beam monitor, S3 bucket diode;
                             TP seconds to count, CNT starts and completes when counted, T seconds counted
  BLADE:Close BLADE:Closed   a second shutter, with inverted logic: write 1 to close, 0 to open; open at first
  EM:                        quadEM electrometer: Acquire, AcquireMode (Single), AveragingTime, CurrentOffset1; mean
                             currents Current1:MeanValue_RBV (the bucket diode) and Current2: (the monitor), A
  SUM:                       areaDetector camera cam1: (Single, Internal) with statistics plugins: Stats1:Total_RBV
                             is what the bucket diode would count, Stats2:Total_RBV the monitor
  XRF:                       DXP system of a fluorescence detector with four elements:
    EraseStart StopAll       write 1 to erase and count, completes when counted; write 1 to stop early
    PresetReal DeadTime      seconds to count; mean dead time of the last exposure, %
    mca1 ... mca4            MCA records: 4096 bins of 5 eV; PRTM, ERTM, ELTM seconds; R0 ... R31 regions of interest
    dxp1:InputCountRate      ... dxp4:, and OutputCountRate: photons per second, incoming and counted
  RING:Current               storage ring current, mA
  PIX:cam1:                  areaDetector camera, 192x192 pixels of 100 um: Acquire, AcquireTime, AcquirePeriod,
                             NumImages, ImageMode, ArrayCounter, TriggerMode (External: a frame at each trigger)
  PIX:HDF1:                  areaDetector HDF5 plugin: FilePath, FileName, FileTemplate, Capture, NumCapture,
                             NumCaptured_RBV (frames that a reader finds), FullFileName_RBV, WriteStatus, WriteMessage
  TRIG:PC_                   a Zebra's position compare; encoder 1 is SAMPLE:Y, 2 SAMPLE:X (um, dial), 3 ROT:A (deg)
    ENC                      the encoder that opens the gate
    GATE_SEL                 Position: as follows. Time: the gate opens as soon as it is armed
    GATE_START GATE_WID      the gate opens where the encoder passes START, in either direction, and closes WID away
    PULSE_START STEP WID MAX (PC_PULSE_...) s to the first trigger, s between them, exposure in s, most triggers
    ARM DISARM ARM_OUT       arm one gate; end it; 1 until it has closed and the arrays are filled
    NUM_CAP NUM_DOWN         triggers since ARM; triggers that are in the arrays
    COUNTS TIME ENC1 ENC2    arrays: number, s since ARM, mean y and mean x over the exposure in um, of each trigger;
                             ENC3: mean angle, degrees
    COUNT COUNT_RESET        number of the last trigger, which ARM does not reset; write 1 to begin at 1 again
  DUAL:cam1: DUAL:HDF1:      likewise a camera whose sensor sees a scene twice, side by side; it triggers itself
  XRAY:cam1: XRAY:HDF1:      likewise a flat panel behind a scintillator, which triggers itself or is triggered
  PINHOLE:In                 1: a pinhole of one mask pixel replaces the masks in the beam; SAMPLE:Y and SAMPLE:X
                             give the point of the sample in its pencil beam
  SIM:Ready                  1 once everything is served

faults, to be written at any time:
  FAULT:LostTrigger          number of next triggers that do not start counting; CNT stays 1 until 0 is written
  FAULT:LateTrigger          delay of the next trigger in seconds (not divided by --speed)
  FAULT:StalledAxis          1 MASK:Y, 2 MASK:X, 3 SAMPLE:Y, 4 SAMPLE:X or 5 ROT:A is stuck, 0 none; a stuck
                             move ends with STOP, or continues after 0
  FAULT:AxisAlarm            alarm of an axis's readback: 10 times that number, plus 1 MINOR, 2 MAJOR or
                             3 INVALID; 0: none
  FAULT:AxisProblem          the axis whose controller reports a problem (MSTA), 0 none
  FAULT:ShutterStuck         1: the shutter stays where it is and the command's failure is shown
  FAULT:BeamDump             1: no beam in the ring; 0: beam again
  FAULT:DiodeSaturation      1: the diode's converter runs at its highest frequency as soon as there is light
  FAULT:MissedTrigger        number of next triggers at which the pixel detector takes no frame; the box counts them
  FAULT:DroppedFrame         number of next frames that are taken but not written; DroppedArrays counts them
  FAULT:PositionJitter       um: standard deviation of the error of each captured reading; frames are unaffected
  FAULT:FileClosesEarly      number of frames after which the detector's file is closed, and Capture falls to 0
  FAULT:FullDisk             1: writing frames fails for lack of space, see WriteStatus and WriteMessage; 0: space
  FAULT:WriterKilled         write 1: the process that writes frames dies with its file open; Capture starts another
  FAULT:Dual...              DroppedFrame, FileClosesEarly, FullDisk, WriterKilled: likewise, of the dual camera
  FAULT:DualOutOfFocus       pixels: standard deviation of the blur of its right half
  FAULT:DualLag              fraction of each frame's charge that is read with the next frame
  FAULT:Xray...              DroppedFrame, FileClosesEarly, FullDisk, WriterKilled: likewise, of the X-ray camera
  FAULT:XrayLag              fraction of each frame's light that is read with the next frame
  FAULT:XrayDrift            relative amplitude of a beam that fluctuates with a period of 10 frames
  FAULT:DeadElements         elements of the fluorescence detector that count nothing: 1, 2, 4, 8, added up
  FAULT:NoLiveTime           number of next exposures for which the fluorescence detector reports a live time of 0 s

what is simulated:
  The diode counts the quanta that it detects: a Poisson number of mean
      efficiency x photons x exposure x flux x sum over pixels of (mask transmission x sample transmission),
  times its gain, plus dark counts, limited by the converter's highest frequency. The monitor does the same without
  mask and sample. Without either, the diode counts {ratio:g} times as much as the monitor at gain 1 (the open-beam
  ratio). The flux decays with the ring current between top-ups, drifts by a per cent and flickers by two per mille.
  A displaced mask is displaced on the sample by the same distance; its edges slope and its metal is uneven.
  The pixel detector, 10 m downstream, sees a coherent sample on the sample stage in the cone of a zone plate (11.1
  keV, 400 um, outermost zone 200 nm, central stop, 8 mm behind the focus: 4.5 um of beam): the wave times the
  sample, Fourier transformed, Poisson counts. The stage's position (y, x) is the point of the sample in the beam. A
  frame is the sum of the intensities along the path of its exposure, in steps of a pixel of the sample, 58 nm, and
  over nine points of the source if it is extended. A pixel counts at most once in its dead time, and at most 65535
  per frame. Without light, frames are empty. A separate process draws and writes the frames, about 1000 per second
  and core if the stage moves by a pixel during an exposure; frames that are triggered faster wait.
  The dual camera counts a Poisson number of photons per pixel, independently in each half, plus Gaussian read noise
  (2 counts) and an error that the pixels of a row share (0.3). The right half has 4 % less gain and sees the scene
  moved by 0.37 and -0.62 pixels (y, x). Pixels differ in gain by 1 % and in offset by one count; corners receive
  less light. If the sample stage is off by more than the width of the scene (at 6.5 um per pixel), there is no
  sample, for flat fields. Frame n of a series shows the scene n/24 s after its beginning.
  The X-ray camera counts h * Poisson(I0 exp(-mu)) plus Gaussian read noise with a variance of each pixel (2 to 4
  counts): h, the light of a photon in the scintillator, falls off as exp(-(|x|+|y|)/0.645 pixels). Some pixels and
  one column count nothing; corners receive less light. Foam and particles turn with ROT:A around an axis 2.5 pixels
  right of the detector's middle; a bed moves from frame to frame; masks are those of the plate, magnified, without
  a sample. If the sample stage is off by more than the width of the detector, there is no sample, for flat fields;
  nor is there a plate if the mask stage is more than a mask beyond the last one.
  The fluorescence detector sees K lines of the sample (capillary: a glass tube with two wires of copper and one of
  iron, with absorption in them on the way in and out; any other sample: iron), with the strengths and cross
  sections of xraylib, elastic and Compton scattering and a background, through Gaussian peaks that widen with
  energy and have tails; dead time, pile-up and Poisson counts. The sample stage moves its sample only in a pencil
  beam.

repeating a run:
  Random numbers depend on --seed and the number of exposures since the start (for a frame: on the number of
  acquisitions and of its trigger), and the clock of the beam's drift is the sum of the exposures. So two
  simulations with the same arguments give the same counts in the same scan, whatever the pauses and --speed. Only
  faults, and an exposure stopped halfway, depend on the real time.

a client on the same machine needs:
  EPICS_CA_ADDR_LIST=127.0.0.1:PORT  EPICS_CA_AUTO_ADDR_LIST=NO

examples:
  python -m sims --prefix GB: --port 5064 --sample gear
  python -m sims --prefix T1: --port 50640 --sample my_object.png --plate plate.npz --speed 1000 --seed 7
"""


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
