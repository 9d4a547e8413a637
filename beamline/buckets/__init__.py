"""Bucket detectors: what gives one value for all the light of an exposure."""
