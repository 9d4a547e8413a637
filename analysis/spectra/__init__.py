"""X-ray fluorescence spectra: energy calibration, and the counts of each chemical element with their errors.

Arrays in, arrays out. Energies are in keV; cross sections and line energies come from xraylib (Schoonjans et al., Spectrochim.
Acta B 66, 776, 2011).
"""
