"""Tomography with parallel rays: from radiographs at many angles to slices. Arrays in, arrays out."""
