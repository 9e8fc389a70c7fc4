"""Replay-spoofing detection with spatially differentiated auditory features."""

__version__ = "0.1.0"
