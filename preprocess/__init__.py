"""Pixels to network inputs: luma, three-channel windows, geometry. Knows no network, no file and no clock."""
