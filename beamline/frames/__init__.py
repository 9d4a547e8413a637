"""The detectors that write frames into files, and the box that triggers it and captures positions."""
