"""Reconstructions that run while the scan runs, each in a process of its own."""
