"""Headers found inside the streams of real encoders."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from streamer.sources.parameter_sets import parameter_sets, sequence_headers


def encoded(codec: str, size: tuple[int, int]) -> list[bytes]:
    encoder = av.CodecContext.create(codec, "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height = size
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 25)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency"} | (
        {"x265-params": "log-level=0:pools=1"} if codec == "libx265" else {}
    )
    packets = []
    for number in range(3):
        picture = np.full((size[1] * 3 // 2, size[0]), 60 + number, np.uint8)
        frame = av.VideoFrame.from_ndarray(picture, "yuv420p")
        frame.pts = number
        packets += encoder.encode(frame)
    return [bytes(packet) for packet in [*packets, *encoder.encode(None)]]


@pytest.mark.parametrize(("encoder", "codec"), [("libx264", "h264"), ("libx265", "hevc")])
def test_a_decoder_can_begin_with_the_headers_of_a_key_picture(encoder: str, codec: str) -> None:
    small, large = encoded(encoder, (128, 96)), encoded(encoder, (160, 128))
    sets = parameter_sets(codec, small[0])
    assert sets
    assert parameter_sets(codec, small[1]) == b""
    assert sequence_headers(codec, sets) == sequence_headers(codec, parameter_sets(codec, small[0] + small[0]))
    assert sequence_headers(codec, sets) != sequence_headers(codec, parameter_sets(codec, large[0]))
    decoder = av.CodecContext.create(codec, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.extradata = sets
    frames = [*decoder.decode(av.Packet(small[0])), *decoder.decode(None)]
    assert (frames[0].width, frames[0].height) == (128, 96)


def test_codecs_and_packets_without_headers_have_none() -> None:
    assert parameter_sets("mjpeg", b"\x00\x00\x01\x67\x42") == b""
    assert parameter_sets("h264", b"\x00\x00\x00\x05\x67\x42\x00\x1e\x95") == b""
    assert parameter_sets("h264", b"\x00\x00\x00\x01\x67\x42\x00\x1e") == b""
    assert sequence_headers("mjpeg", b"") == frozenset()
