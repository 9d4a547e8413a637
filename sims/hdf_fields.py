"""The records of areaDetector's HDF5 plugin (`HDF1:`), as NDPluginBase, NDFile and NDFileHDF5 have them."""

from __future__ import annotations

from sims.asyn_group import DISABLE_ENABLE, OFF_ON, Record, inert
from sims.cam_fields import COLOR_MODES, DATA_TYPES, POOL
from sims.frame_writer import CHUNK


def _axes(stem: str, axes: str = "NXY3456789") -> str:
    return " ".join(stem + axis for axis in axes)


_PLUGIN = (
    Record("PortName", "HDF1", "Name of the plugin's asyn port", "read"),
    Record("PluginType", "NDFileHDF5", "What plugin this is", "read"),
    Record("ADCoreVersion", "3.4.0", "Version of areaDetector whose records these are", "read"),
    Record("DriverVersion", "3.4.0", "Version of the plugin", "read"),
    Record("EnableCallbacks", DISABLE_ENABLE, "Whether the plugin receives frames of the camera"),
    Record("BlockingCallbacks", OFF_ON, "Whether the camera waits for the plugin; has no effect"),
    Record("NDArrayPort", "PIX", "Port of the source of frames; only the camera's"),
    Record("NDArrayAddress", 0, "Address of that port"),
    Record("ArrayCallbacks", DISABLE_ENABLE, "Whether frames are passed on; there is no further plugin"),
    Record("ArrayCounter", 0, "Frames received since 0 was written"),
    Record("ArrayRate", 0.0, "Frames per second; not measured", "read", options={"units": "Hz"}),
    Record("DroppedArrays", 0, "Frames taken but not written, since 0 was written"),
    *inert("DroppedOutputArrays DisorderedArrays", 0, "Frames lost, or out of order, on the way out; none"),
    *inert("MinCallbackTime SortTime", 0.0, "Time between frames, s; not simulated", units="s"),
    Record("ExecutionTime", "0", "Time that the last frame took, ms; not measured", "read"),
    Record("QueueSize", 2000, "Nominal length of the queue; longer queues are possible here, and no frame is dropped"),
    Record("QueueUse", 0, "Frames received that cannot be read yet", "one"),
    *inert("QueueFree QueueFreeLow QueueUseHIGH QueueUseHIHI", 2000, "Limits of the queue, frames; have no effect", "one"),
    *inert("NumQueuedArrays EmptyFreeList ProcessPlugin NDAttributesMacros", "0", "Not simulated", "one"),
    Record("NDAttributesStatus", ("Attributes file OK", "File not found", "XML syntax error"), "Of NDAttributesFile", "one"),
    Record("NDAttributesFile", "", "File of attributes to store; not read", "one", long=True),
    Record("AsynIO", 0, "Whether the port is connected; it always is", "one"),
    Record("UniqueId", 0, "Number of the last frame that is in the file", "read"),
    Record("TimeStamp", 0.0, "When it was taken, s since 1990-01-01 UTC", "read", options={"units": "s"}),
    *inert("EpicsTSSec EpicsTSNsec", 0, "Time stamp of the last frame in s and ns; not kept", "read"),
    *inert("ArraySize0 ArraySize1 ArraySize2", 0, "Size of a frame, pixels: columns, rows, 0"),
    *inert(" ".join(f"ArraySize{number}" for number in range(3, 10)), 0, "Size along a further dimension; there is none"),
    *inert("ArraySizeX ArraySizeY ArraySizeZ", 0, "Size of a frame, pixels", "read"),
    Record("ArraySize", 0, "Size of a frame, bytes", "read"),
    Record("NDimensions", 2, "Dimensions of a frame"),
    Record("Dimensions", 0, "Size of a frame; see ArraySize0 to ArraySize2"),
    *inert(" ".join(f"Dim{number}SA" for number in range(10)), 0, "Sub-arrays; not simulated"),
    Record("DataType", DATA_TYPES, "UInt16"),
    Record("ColorMode", COLOR_MODES, "Mono"),
    Record("BayerPattern", 0, "Of colour detectors", "read"),
    *(record for record in POOL if record.name != "PoolMaxBuffers"),
    Record("MaxThreads", 1, "Threads of the plugin", "read"),
    Record("NumThreads", 1, "Threads of the plugin; always 1"),
    *inert("SortMode", ("Unsorted", "Sorted"), "Order of frames; they always arrive in order"),
    Record("SortSize", 0, "Frames that may wait to be sorted; none does"),
    *inert("SortFree SortFreeLow", 0, "Of the queue that sorts; there is none", "one"),
    *inert("MaxArrayRate MaxByteRate", 0.0, "Limit of the rate, frames/s or bytes/s; none"),
    Record("MaxArrayRate_COUT", 0.0, "Limit of the rate, frames/s; none", "one"),
)

_FILE = (
    Record("FilePath", "", "Folder to write to; ends with a slash when it is read back", long=True),
    Record("FilePathExists", OFF_ON, "Whether that folder exists", "read"),
    Record("CreateDirectory", 0, "Number of levels at the end of FilePath that are made if missing; the sign is ignored"),
    Record("FileName", "frames", "Name of the file, the second argument of FileTemplate", long=True),
    Record("FileNumber", 0, "Number of the next file, the third argument of FileTemplate"),
    Record("FileTemplate", "%s%s_%6.6d.h5", "C format that makes the full name of path, name and number", long=True),
    Record("AutoIncrement", OFF_ON, "Whether FileNumber grows by 1 with each file"),
    Record("AutoSave", OFF_ON, "Whether each frame is saved in Single mode; only Stream is simulated"),
    Record("FileFormat", ("HDF5",), "HDF5"),
    Record("FileWriteMode", ("Single", "Capture", "Stream"), "Only Stream is simulated: Capture is refused in the others"),
    Record("NumCapture", 1, "Frames after which the file is closed; 0: when 0 is written to Capture"),
    Record("NumCaptured", 0, "Frames of this file that are flushed: a reader finds them", "read"),
    Record(
        "Capture",
        ("Done", "Capture"),
        "Write 1 to open a file and write the incoming frames. Write 0 to close it, once waiting frames are written",
    ),
    Record("FullFileName", "", "Name of the present or the last file", "read", long=True),
    Record("WriteStatus", ("Write OK", "Write error"), "Whether the last write succeeded", "one"),
    Record("WriteMessage", "", "Why it did not", "one", long=True),
    *inert("WriteFile ReadFile", ("Done", "Now"), "One frame by hand; not simulated"),
    Record("DeleteDriverFile", OFF_ON, "Whether the camera's own file is deleted; it has none"),
    Record("LazyOpen", OFF_ON, "Whether the file is opened with the first frame, instead of at once"),
    Record("TempSuffix", "", "Suffix of the file while it is written; not simulated, write an empty one"),
)

_HDF5 = (
    Record("SWMRMode", ("Off", "On"), "Whether others can read while the file is written; always on"),
    Record("SWMRActive", ("Off", "Active"), "Whether a file is open that others can read", "read"),
    Record("SWMRSupported", ("Not Supported", "Supported"), "Whether the library supports that", "read"),
    Record("SWMRCbCounter", 0, "Flushes since the file was opened", "read"),
    Record("FlushNow", ("Done", "Flush"), "Write 1 to flush", "one"),
    Record("NumFramesFlush", 0, "Frames between flushes; has no effect: frames are flushed within 0.1 s, or after a line"),
    Record("NumFramesChunks", CHUNK, "Frames in a chunk; always the same for a detector"),
    *inert("NumRowChunks NumColChunks", 0, "Rows and columns of a chunk, pixels; always the whole frame"),
    Record("NDAttributeChunk", CHUNK, f"Frames in a chunk of attributes; always {CHUNK}"),
    Record("Compression", ("None", "N-bit", "szip", "zlib", "Blosc", "BSLZ4"), "Always BSLZ4 (bitshuffle and LZ4)"),
    Record("BloscCompressor", ("BloscLZ", "LZ4", "LZ4HC", "SNAPPY", "ZLIB", "ZSTD"), "Of Blosc; not used"),
    Record("BloscShuffle", ("None", "Byte Shuffle", "Bit Shuffle"), "Of Blosc; not used"),
    Record("BloscLevel", 0, "Of Blosc; not used"),
    *inert("SZipNumPixels NumDataBits DataBitsOffset ZLevel", 0, "Of compressions that are not used"),
    *inert("BoundaryAlign BoundaryThreshold", 0, "Alignment in the file, bytes; none"),
    Record("FillValue", 0.0, "Value of pixels that were not written; always 0"),
    Record("StoreAttr", OFF_ON, "Whether NDArrayUniqueId and NDArrayTimeStamp are stored; always"),
    Record("StorePerform", OFF_ON, "Whether the speed is stored; never"),
    Record("DimAttDatasets", OFF_ON, "Attributes that follow the dimensions; never"),
    Record("IOSpeed", 0.0, "Speed of the last file, Mbit/s; not measured", "one"),
    Record("RunTime", 0.0, "Time of the last file, s; not measured", "one", options={"units": "s"}),
    Record("XMLFileName", "", "Layout of the file; not read, it is always the standard one", long=True),
    Record("XMLValid", OFF_ON, "Whether the layout is valid", "read"),
    Record("XMLErrorMsg", "", "Why it is not", "read", long=True),
    Record("NumExtraDims", 0, "Extra dimensions; none"),
    *inert(_axes("ExtraDimSize"), 1, "Size of an extra dimension; there is none"),
    *inert(_axes("ExtraDimName"), "", "Name of an extra dimension; there is none", "read"),
    *inert(_axes("ExtraDimChunk", "XY3456789"), 1, "Chunks of an extra dimension; there is none"),
    *inert(_axes("PosNameDim") + " " + _axes("PosIndexDim"), "", "Place of a frame in extra dimensions; there are none"),
    Record("PositionMode", ("Off", "On"), "Place of frames by attributes; never"),
)

HDF_RECORDS = (*_PLUGIN, *_FILE, *_HDF5)
