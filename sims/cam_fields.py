"""The records of an areaDetector camera (`cam1:`), as ADBase and NDArrayBase have them."""

from __future__ import annotations

from sims.asyn_group import DISABLE_ENABLE, OFF_ON, Record, inert

DATA_TYPES = ("Int8", "UInt8", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64", "Float32", "Float64")
COLOR_MODES = ("Mono", "Bayer", "RGB1", "RGB2", "RGB3", "YUV444", "YUV422", "YUV421")
_STATES = (
    "Idle",
    "Acquire",
    "Readout",
    "Correct",
    "Saving",
    "Aborting",
    "Error",
    "Waiting",
    "Initializing",
    "Disconnected",
    "Aborted",
)
_SECONDS = {"units": "s"}

POOL = (
    *inert("PoolAllocBuffers PoolFreeBuffers PoolMaxBuffers PoolUsedBuffers", 0, "Buffers of arrays; none are kept", "one"),
    *inert("PoolMaxMem PoolUsedMem", 0.0, "Memory for arrays, MB; none is kept", "one", units="MB"),
)

CAM_RECORDS = (
    Record("PortName", "PIX", "Name of the camera's asyn port", "read"),
    Record("Manufacturer", "Simulated", "Who made the detector", "read"),
    Record("Model", "ultra-fast pixel detector", "What it is called", "read"),
    Record(
        "Acquire",
        ("Done", "Acquire"),
        "Write 1 to take frames, or to wait for triggers; falls back to 0 when NumImages were taken, or after 0 is written",
    ),
    Record("AcquireTime", 0.0005, "Exposure of a frame, s", options=_SECONDS),
    Record("AcquirePeriod", 0.0005, "Time between frames that the detector triggers itself, s", options=_SECONDS),
    Record("NumImages", 1, "Frames to take in Multiple mode"),
    Record("NumExposures", 1, "Exposures summed into a frame; only 1 is simulated"),
    Record("ImageMode", ("Single", "Multiple", "Continuous"), "One frame, NumImages frames, or frames until it is stopped"),
    Record(
        "TriggerMode",
        ("Internal", "External"),
        "Internal: frames each AcquirePeriod. External: one for each trigger of the box TRIG:, with its number",
    ),
    Record("ArrayCounter", 0, "Frames taken since 0 was written"),
    Record("ArrayCallbacks", DISABLE_ENABLE, "Whether frames are passed on to plugins"),
    Record("NumImagesCounter", 0, "Frames taken since Acquire", "read"),
    Record("NumExposuresCounter", 0, "Exposures of the present frame", "read"),
    Record("ArrayRate", 0.0, "Frames per second; not measured", "read", options={"units": "Hz"}),
    Record("TimeRemaining", 0.0, "Time left of the exposure, s; not simulated", "read", options=_SECONDS),
    Record("DetectorState", _STATES, "Idle; Acquire while it takes frames; Waiting for triggers", "read"),
    Record("StatusMessage", "", "Its state, in words", "read", long=True),
    Record("DataType", DATA_TYPES, "UInt16; others are not simulated"),
    Record("DataType_RBV.DISA", 0, "Whether the record of the data type is disabled", "one"),
    Record("ColorMode", COLOR_MODES, "Mono; others are not simulated"),
    *inert("ArraySizeX ArraySizeY ArraySizeZ MaxSizeX MaxSizeY", 0, "Size of a frame, pixels", "read"),
    Record("ArraySize", 0, "Size of a frame, bytes", "read"),
    *inert("SizeX SizeY", 0, "Size of the region that is read, pixels; always all of it"),
    *inert("MinX MinY", 0, "First pixel of the region that is read; always 0"),
    *inert("BinX BinY", 1, "Pixels binned together; always 1"),
    *inert("ReverseX ReverseY", OFF_ON, "Mirrored readout; not simulated"),
    Record("FrameType", ("Normal", "Background", "FlatField"), "Purpose of a frame; has no effect"),
    Record("Gain", 1.0, "Gain; has no effect: the detector counts photons"),
    Record("Temperature", 20.0, "Setpoint of the cooling, degrees C; has no effect", options={"units": "C"}),
    Record("TemperatureActual", 20.0, "Temperature of the sensor, degrees C", "one", options={"units": "C"}),
    Record("ReadStatus", 0, "Write 1 to read the status; it is always up to date", "one"),
    Record("StringToServer", "", "Last command to the detector; there is none", "read", long=True),
    Record("StringFromServer", "", "Last answer of the detector; there is none", "read", long=True),
    Record("NDAttributesFile", "", "File of attributes to store; not read", "one", long=True),
    Record("AsynIO", 0, "Whether the port is connected; it always is", "one"),
    *POOL,
    *inert("ShutterOpenDelay ShutterCloseDelay", 0.0, "Delay of a shutter of the detector, s; it has none", units="s"),
    Record("ShutterMode", ("None", "EPICS PV", "Detector output"), "The detector's own shutter; it has none"),
    Record("ShutterControl", ("Close", "Open"), "The detector's own shutter; it has none"),
    Record("ShutterStatus", ("Closed", "Open"), "The detector's own shutter; it has none", "read"),
    Record("ShutterStatusEPICS", ("Closed", "Open"), "The detector's own shutter; it has none", "read"),
    *inert("ShutterOpenEPICS ShutterCloseEPICS ShutterControlEPICS ShutterFanout", 0, "A shutter's link; there is none", "one"),
)
