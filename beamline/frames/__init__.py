"""The detector that writes frames into files, and the box that triggers it and captures positions."""
