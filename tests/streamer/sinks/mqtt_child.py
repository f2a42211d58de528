"""A program with an MQTT sink, to be killed: ``python mqtt_child.py PORT``; prints ``up`` once it is connected."""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from streamer.sinks.mqtt import MqttSettings, MqttSink
from tests.streamer.sinks.notices_for_tests import state, told

if __name__ == "__main__":
    sink = MqttSink(MqttSettings("127.0.0.1", int(sys.argv[1]), instance="house"), ["gate"])
    sink.start()
    sink.give(state("watching"))
    sink.give(told("new"))
    while not sink.is_connected:
        time.sleep(0.01)
    sys.stdout.write("up\n")
    sys.stdout.flush()
    time.sleep(60)
