"""A small RTMP camera on loopback, for tests: FFmpeg's own server, for one viewer.

    python tests/rtmp_server.py --port 1935 --fps 20 --sound

A process of its own, as FFmpeg waits for the viewer with Python's lock held. Pictures: a moving square.
"""

from __future__ import annotations

import argparse
import time
from fractions import Fraction

import av
import numpy as np

WIDTH, HEIGHT = 128, 96
SOUND_RATE = 44_100


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--fps", type=int, default=20)
    parser.add_argument("--sound", action="store_true", help="silence, from before the first picture")
    return parser.parse_args()


def picture(number: int) -> av.VideoFrame:
    ground = np.full((HEIGHT, WIDTH), 60, np.uint8)
    left = 5 * number % (WIDTH - 32)
    ground[30:60, left : left + 20] = 220
    return av.VideoFrame.from_ndarray(ground, "gray").reformat(format="yuv420p")


def silence(number: int, samples: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 2 * samples), np.int16), format="s16", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, number * samples, Fraction(1, SOUND_RATE)
    return frame


def main() -> None:
    given = arguments()
    # Only through "tee" does PyAV hand "listen" on to the protocol.
    target = f"[f=flv:listen=1]rtmp://127.0.0.1:{given.port}/live/gate"
    with av.open(target, "w", format="tee") as container:
        coding = {"g": "10", "preset": "ultrafast", "tune": "zerolatency"}
        video = container.add_stream("libx264", rate=given.fps, options=coding)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = container.add_stream("aac", rate=SOUND_RATE) if given.sound else None
        began, number = time.monotonic(), 0
        while True:
            if sound is not None:
                container.mux(sound.encode(silence(number, SOUND_RATE // given.fps)))
            if sound is None or number > 3:
                frame = picture(number)
                frame.pts, frame.time_base = number, Fraction(1, given.fps)
                container.mux(video.encode(frame))
            number += 1
            time.sleep(max(0.0, began + number / given.fps - time.monotonic()))


if __name__ == "__main__":
    try:
        main()
    except OSError:  # the viewer went away
        raise SystemExit(0) from None
