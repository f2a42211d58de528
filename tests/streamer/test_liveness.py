"""When a live run counts as doing its work."""

from __future__ import annotations

from streamer.live.notices import CameraState
from streamer.liveness import LivenessBoard, LivenessSettings, Overall


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def board(*cameras) -> tuple[LivenessBoard, Clock]:
    clock = Clock()
    made = LivenessBoard(LivenessSettings(start_up=60, stale=30, stuck=20), clock=clock)
    for camera in cameras:
        made.add(camera)
    return made, clock


def overall(made: LivenessBoard) -> Overall:
    return made.read().overall


def test_a_run_without_a_camera_does_no_work() -> None:
    assert overall(board()[0]) is Overall.DOWN


def test_a_camera_counts_during_its_start_up_and_no_longer() -> None:
    made, clock = board("gate")
    assert overall(made) is Overall.OK
    made.state("gate", CameraState.OFFLINE)
    clock.now += 60
    made.beat()
    assert overall(made) is Overall.OK
    clock.now += 1
    assert overall(made) is Overall.DOWN


def test_a_camera_that_was_there_has_no_second_start_up() -> None:
    made, _ = board("gate")
    made.state("gate", CameraState.WATCHING)
    made.state("gate", CameraState.OFFLINE)
    assert overall(made) is Overall.DOWN
    made.state("gate", CameraState.CONNECTING)
    assert overall(made) is Overall.DOWN


def test_learning_is_work_and_a_covered_camera_is_none() -> None:
    made, _ = board("gate")
    made.state("gate", CameraState.LEARNING)
    assert overall(made) is Overall.OK
    made.state("gate", CameraState.DEGRADED)
    assert overall(made) is Overall.DOWN


def test_one_good_camera_of_two_is_degraded() -> None:
    made, clock = board("gate", "yard")
    made.state("gate", CameraState.WATCHING)
    clock.now += 61
    made.beat()
    made.frame("gate")
    read = made.read()
    assert read.overall is Overall.DEGRADED
    assert [(camera.name, camera.fine, camera.age) for camera in read.cameras] == [
        ("gate", True, 0.0),
        ("yard", False, None),
    ]


def test_a_watching_camera_without_frames_is_not_fine() -> None:
    made, clock = board("gate")
    made.frame("gate")
    made.state("gate", CameraState.WATCHING)
    clock.now += 30
    made.beat()
    assert overall(made) is Overall.OK
    clock.now += 1
    assert overall(made) is Overall.DOWN
    assert made.read().cameras[0].age == 31


def test_networks_that_stand_still_are_told_whatever_the_cameras_say() -> None:
    made, clock = board("gate")
    made.state("gate", CameraState.WATCHING)
    clock.now += 21
    made.frame("gate")
    assert not made.read().working
    assert overall(made) is Overall.DOWN
    made.beat()
    assert overall(made) is Overall.OK


def test_a_removed_camera_counts_no_more() -> None:
    made, _ = board("gate", "yard")
    made.state("gate", CameraState.WATCHING)
    made.state("yard", CameraState.DEGRADED)
    made.remove("yard")
    made.state("yard", CameraState.WATCHING)
    made.frame("yard")
    made.remove("never there")
    assert made.cameras == ("gate",)
    assert overall(made) is Overall.OK
