"""AVID on still pictures: its own preset, for grids of digits in which one kind was never shown."""
