"""Live cameras: many at once, one network, for weeks."""
