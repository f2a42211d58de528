"""What a person sees: alarms, heat map, regions and the score strip, drawn on the source's pictures."""

from streamer.overlay.drawing import Overlay, snapshot

__all__ = ["Overlay", "snapshot"]
