"""Network inputs to scores: networks, training, calibration and model files. Knows no video file and no camera."""
