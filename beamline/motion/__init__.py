"""Stages that move, or turn, at constant velocity."""
