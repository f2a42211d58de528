"""A small RTSP camera on loopback, for tests: GStreamer's server, run with Debian's /usr/bin/python3.

    /usr/bin/python3 tests/rtsp_server.py --port 8554 --size 320x240 --fps 10 --user me --password secret

Prints ``ready PORT`` once it listens. Pictures: a moving ball, or a file played over and over. Over TCP and UDP.
"""

from __future__ import annotations

import argparse
import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402 - versions must be named first


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--path", default="/stream")
    parser.add_argument("--size", default="320x240")
    parser.add_argument("--fps", type=int, default=10)
    parser.add_argument("--gop", type=int, default=10, help="pictures from one key picture to the next")
    parser.add_argument("--codec", choices=("h264", "h265", "mjpeg"), default="h264")
    parser.add_argument("--bitrate", type=int, default=1000, help="kbit/s")
    parser.add_argument("--pattern", default="ball", help="one of videotestsrc's")
    parser.add_argument("--motion", default="wavy", help="of the ball: wavy, sweep or hsweep")
    parser.add_argument("--file", help="an MP4 (H.264, or H.265 with --codec h265) to play over and over instead")
    parser.add_argument("--black-after", type=float, help="seconds after which the pictures are black")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--digest", action="store_true", help="digest instead of basic authentication")
    parser.add_argument("--certificate", help="a PEM file with certificate and key: rtsps instead of rtsp")
    parser.add_argument("--resize-after", type=float, help="seconds after which the pictures have another size")
    parser.add_argument("--resize-to", default="160x120")
    parser.add_argument("--seconds", type=float, help="end after so long")
    return parser.parse_args()


ENCODERS = {
    "h264": "x264enc name=encoder tune=zerolatency speed-preset=ultrafast bitrate={bitrate} key-int-max={gop} "
    "sliced-threads=false option-string=scenecut=0 "
    "! video/x-h264,profile=baseline ! rtph264pay name=pay0 pt=96 config-interval=-1 mtu=1400",
    "h265": "x265enc tune=zerolatency speed-preset=ultrafast bitrate={bitrate} key-int-max={gop} "
    "! rtph265pay name=pay0 pt=96 config-interval=-1",
    "mjpeg": "jpegenc quality=80 ! rtpjpegpay name=pay0 pt=26",
}


def pipeline(given: argparse.Namespace) -> str:
    if given.file:
        payloader = "h265parse ! rtph265pay" if given.codec == "h265" else "h264parse ! rtph264pay"
        return f"( filesrc location={given.file} ! qtdemux ! {payloader} name=pay0 pt=96 config-interval=-1 )"
    width, height = given.size.split("x")
    encoder = ENCODERS[given.codec].format(bitrate=given.bitrate, gop=given.gop)
    return (
        f"( videotestsrc name=camera is-live=true pattern={given.pattern} motion={given.motion} ! videoscale ! "
        f"capsfilter name=size caps=video/x-raw,format=I420,width={width},height={height},framerate={given.fps}/1 ! "
        f"{encoder} )"
    )


class Factory(GstRtspServer.RTSPMediaFactory):
    """One shared picture for everybody who looks, as a camera has."""

    def __init__(self, given: argparse.Namespace) -> None:
        super().__init__()
        self.given = given
        self.set_launch(pipeline(given))
        self.set_shared(True)
        self.set_latency(0)

    def do_configure(self, media: GstRtspServer.RTSPMedia) -> None:
        element = media.get_element()
        given = self.given
        if given.resize_after:
            GLib.timeout_add(int(given.resize_after * 1000), self.resize, element)
        if given.black_after:
            GLib.timeout_add(int(given.black_after * 1000), self.blacken, element)

    def resize(self, element: Gst.Element) -> bool:
        width, height = self.given.resize_to.split("x")
        caps = Gst.Caps.from_string(
            f"video/x-raw,format=I420,width={width},height={height},framerate={self.given.fps}/1"
        )
        element.get_by_name("size").set_property("caps", caps)
        return False

    def blacken(self, element: Gst.Element) -> bool:
        element.get_by_name("camera").set_property("pattern", "black")
        return False


class LoopingFactory(Factory):
    """A recording that begins again when it is over: the whole media is made anew by seeking back."""

    def do_configure(self, media: GstRtspServer.RTSPMedia) -> None:
        pad = media.get_element().get_by_name("pay0").get_static_pad("sink")
        pad.add_probe(Gst.PadProbeType.EVENT_DOWNSTREAM, self.at_event, media.get_element())

    def at_event(self, _pad: Gst.Pad, info: Gst.PadProbeInfo, element: Gst.Element) -> Gst.PadProbeReturn:
        if info.get_event().type == Gst.EventType.EOS:
            GLib.idle_add(
                lambda: element.seek_simple(Gst.Format.TIME, Gst.SeekFlags.FLUSH, 0) and False  # not again
            )
            return Gst.PadProbeReturn.DROP
        return Gst.PadProbeReturn.OK


def protect(server: GstRtspServer.RTSPServer, factory: Factory, user: str, password: str, *, digest: bool) -> None:
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    if digest:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(user, password, token)
    else:
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    factory.set_permissions(permissions)


def main() -> None:
    given = arguments()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(given.port))
    factory = LoopingFactory(given) if given.file else Factory(given)
    if given.user:
        protect(server, factory, given.user, given.password or "", digest=given.digest)
    if given.certificate:
        auth = server.get_auth() or GstRtspServer.RTSPAuth()
        auth.set_tls_certificate(Gio.TlsCertificate.new_from_file(given.certificate))
        server.set_auth(auth)
    server.get_mount_points().add_factory(given.path, factory)
    if not server.attach(None):
        sys.exit(f"port {given.port} is taken")
    sys.stdout.write(f"ready {server.get_bound_port()}\n")
    sys.stdout.flush()
    loop = GLib.MainLoop()
    if given.seconds:
        GLib.timeout_add(int(given.seconds * 1000), loop.quit)
    loop.run()


if __name__ == "__main__":
    main()
