"""Python imports this first in every process that has its folder on PYTHONPATH: so services know the third technique."""

from mean_of_frames import register

register()
