"""Measured masks: from frames of each mask to transmission patterns on the image grid. Arrays in, arrays out."""
