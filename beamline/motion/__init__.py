"""Stages that move in lines at constant velocity."""
