"""Generated surveillance scenes with ground truth, the clip a newcomer runs first, and how the base model was made."""
