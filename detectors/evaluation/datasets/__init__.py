"""Data sets in their published layouts: each reader names files and knows their truth; none opens a video."""

from detectors.evaluation.datasets.opening import SET_NAMES, read_set

__all__ = ["SET_NAMES", "read_set"]
