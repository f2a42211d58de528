"""What Prometheus reads: every count, and no series more than the cameras and sinks there are."""

from __future__ import annotations

import threading

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from streamer.camera_queue import BatcherCounts, DropReason
from streamer.frames import SourceCounts
from streamer.live.notices import CameraState
from streamer.liveness import Overall
from streamer.metrics import Metrics, Queue, Stage, Unscored
from streamer.sinks.outbox_worker import SinkCounts


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """All samples by name and label values, in the order of the labels' names."""
    return {
        (sample.name.removeprefix("avid_watch_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
    }


@pytest.fixture
def metrics() -> Metrics:
    made = Metrics()
    made.add_camera("gate")
    return made


def test_every_count_of_a_camera_arrives(metrics) -> None:
    metrics.frame_in("gate", 1_700_000_000.5)
    metrics.frame_in("gate", 1_700_000_001.5)
    metrics.scored("gate", 2)
    metrics.dropped("gate", Unscored.CORRUPT)
    metrics.dropped("gate", Unscored.GAP, 5)
    metrics.glass_to_alarm("gate", 0.4)
    found = samples(metrics)
    assert found["camera_frames_total", "gate"] == 2
    assert found["camera_last_frame_timestamp_seconds", "gate"] == 1_700_000_001.5
    assert found["camera_frames_scored_total", "gate"] == 2
    assert found["camera_frames_dropped_total", "gate", "corrupt"] == 1
    assert found["camera_frames_dropped_total", "gate", "gap"] == 5
    assert found["camera_frames_dropped_total", "gate", "behind"] == 0
    assert found["glass_to_alarm_seconds_count", "gate"] == 1
    assert found["glass_to_alarm_seconds_bucket", "gate", "0.3"] == 0
    assert found["glass_to_alarm_seconds_bucket", "gate", "0.5"] == 1


def test_a_camera_is_in_one_state_at_a_time(metrics) -> None:
    for state in CameraState:
        metrics.state("gate", state)
        found = samples(metrics)
        assert [other for other in CameraState if found["camera_state", "gate", other.value]] == [state]


def test_what_a_source_counts_is_taken_over_also_from_a_new_source(metrics) -> None:
    metrics.source("gate", SourceCounts(decode_errors=3, corrupt=2, dropped=7), 1)
    metrics.source("gate", SourceCounts(decode_errors=4, corrupt=2, dropped=7), 2)
    metrics.source("gate", SourceCounts(decode_errors=1), 0)
    found = samples(metrics)
    assert found["camera_decode_errors_total", "gate"] == 5
    assert found["camera_frames_corrupt_total", "gate"] == 2
    assert found["camera_frames_dropped_total", "gate", "behind"] == 7
    assert found["camera_reconnects_total", "gate"] == 2


def test_what_the_batcher_counts_is_taken_over(metrics) -> None:
    for dropped in (1, 4):
        drops = {DropReason.QUEUE_FULL: dropped, DropReason.TOO_OLD: 2, DropReason.REMOVED: 0}
        metrics.batcher("gate", BatcherCounts(put=20, taken=10, waiting=3, dropped=drops))
    found = samples(metrics)
    assert found["camera_windows_waiting", "gate"] == 3
    assert found["camera_frames_dropped_total", "gate", "queue_full"] == 4
    assert found["camera_frames_dropped_total", "gate", "too_old"] == 2


def test_every_reason_of_the_batcher_has_its_series(metrics) -> None:
    assert {reason.value for reason in DropReason} <= {reason.value for reason in Unscored}


def test_stages_batches_and_queues_arrive(metrics) -> None:
    for stage in Stage:
        metrics.stage(stage, 0.03)
    metrics.batch(8)
    metrics.batch(1)
    metrics.queue_depth(Queue.WINDOWS, 12)
    found = samples(metrics)
    assert all(found["stage_seconds_count", stage.value] == 1 for stage in Stage)
    assert found["stage_seconds_bucket", "0.02", "network"] == 0
    assert found["stage_seconds_bucket", "0.05", "network"] == 1
    assert found["batch_size_sum",] == 9
    assert found["batch_size_bucket", "4.0"] == 1
    assert found["queue_depth", "windows"] == 12
    assert found["queue_depth", "verdicts"] == 0


def test_sinks_are_counted_by_name(metrics) -> None:
    metrics.add_sink("mqtt")
    metrics.sink("mqtt", SinkCounts(queued=4, delivered=10, failed=2, lost=1))
    metrics.sink("mqtt", SinkCounts(queued=0, delivered=14, failed=2, lost=1))
    metrics.sink("stranger", SinkCounts(queued=1, delivered=1, failed=1, lost=1))
    found = samples(metrics)
    assert found["sink_messages_queued", "mqtt"] == 0
    assert found["sink_messages_delivered_total", "mqtt"] == 14
    assert found["sink_messages_failed_total", "mqtt"] == 2
    assert found["sink_messages_lost_total", "mqtt"] == 1
    metrics.remove_sink("mqtt")
    metrics.remove_sink("mqtt")
    assert not any({"mqtt", "stranger"} & set(key) for key in samples(metrics))


def test_the_process_is_measured(metrics) -> None:
    found = samples(metrics)
    assert found["process_resident_memory_bytes",] > 1e6
    assert found["process_open_fds",] > 2
    before = found["threads",]
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    assert samples(metrics)["threads",] >= before + 1
    over.set()
    thread.join()


def test_strangers_get_no_series(metrics) -> None:
    before = set(samples(metrics))
    metrics.frame_in("stranger", 1.0)
    metrics.scored("stranger")
    metrics.dropped("stranger", Unscored.CORRUPT)
    metrics.source("stranger", SourceCounts(corrupt=1), 1)
    metrics.state("stranger", CameraState.WATCHING)
    metrics.batcher("stranger", BatcherCounts(1, 0, 1, {}))
    metrics.glass_to_alarm("stranger", 1.0)
    metrics.remove_camera("stranger")
    assert set(samples(metrics)) == before


def test_a_removed_camera_takes_its_series_along(metrics) -> None:
    before = set(samples(metrics))
    metrics.add_camera("yard")
    assert len(samples(metrics)) > len(before)
    metrics.frame_in("yard", 1.0)
    metrics.remove_camera("yard")
    metrics.frame_in("yard", 2.0)
    assert set(samples(metrics)) == before


def test_a_camera_added_twice_keeps_its_counts(metrics) -> None:
    metrics.scored("gate", 5)
    metrics.add_camera("gate")
    assert samples(metrics)["camera_frames_scored_total", "gate"] == 5


def test_forty_cameras_make_a_bounded_number_of_series(metrics) -> None:
    one = len(samples(metrics))
    for number in range(39):
        metrics.add_camera(f"camera {number}")
    per_camera = (len(samples(metrics)) - one) / 39
    # 8 plain ones, one per state and per reason, and the histogram's buckets, count and sum.
    assert per_camera == 7 + len(CameraState) + len(Unscored) + 14 + 2


@pytest.mark.parametrize("name", ["Hof Süd", 'quote " and \\ and \n', "\udcff"])
def test_odd_names_still_parse(name) -> None:
    metrics = Metrics()
    metrics.add_camera(name)
    metrics.scored(name)
    (value,) = [value for key, value in samples(metrics).items() if key[0] == "camera_frames_scored_total"]
    assert value == 1
    metrics.remove_camera(name)
    assert not any(key[0] == "camera_frames_scored_total" for key in samples(metrics))


def test_two_runs_in_one_process_share_nothing(metrics) -> None:
    other = Metrics()
    other.add_camera("gate")
    metrics.scored("gate")
    assert samples(other)["camera_frames_scored_total", "gate"] == 0
    assert "avid_watch_camera_frames" not in {family.name for family in REGISTRY.collect()}


def test_liveness_hears_what_the_metrics_hear(metrics) -> None:
    metrics.state("gate", CameraState.WATCHING)
    metrics.frame_in("gate", 1.0)
    metrics.beat()
    read = metrics.liveness.read()
    assert read.overall is Overall.OK
    assert read.cameras[0].age is not None
    metrics.remove_camera("gate")
    assert metrics.liveness.read().cameras == ()


def test_cameras_come_and_go_while_others_count_and_read(metrics) -> None:
    over = threading.Event()
    failures = []

    def count() -> None:
        try:
            while not over.is_set():
                metrics.frame_in("yard", 1.0)
                metrics.state("yard", CameraState.WATCHING)
                metrics.dropped("yard", Unscored.CORRUPT)
        except Exception as error:  # noqa: BLE001 - whatever it is
            failures.append(error)

    threads = [threading.Thread(target=count) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(15):
        metrics.add_camera("yard")
        metrics.render()
        metrics.remove_camera("yard")
    over.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert not any("yard" in key for key in samples(metrics))
