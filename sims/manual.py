"""What `python -m sims --help` says beside its options: the PVs, the faults, and what is simulated."""

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
