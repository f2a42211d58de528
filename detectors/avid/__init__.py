"""AVID: an inpainter edits irregular things away, a detector judges regions, and a decision is where both agree."""
