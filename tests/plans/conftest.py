"""Chooses the Channel Access port before a test module loads libca."""

import soft_ioc  # noqa: F401
