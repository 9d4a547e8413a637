"""Reconstructions of what is stored already: replay and verification of runs, and data measured elsewhere."""
