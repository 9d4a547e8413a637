"""Reconstructions during a scan, each in a separate process."""
