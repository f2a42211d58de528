"""Video in: recordings, folders of numbered pictures and camera devices behind one contract."""

from streamer.sources.opening import SUPPORTED, open_source, source_name

__all__ = ["SUPPORTED", "open_source", "source_name"]
