"""The one thread that runs the networks for all cameras."""

from __future__ import annotations

import threading
import time
from itertools import groupby
from typing import TYPE_CHECKING

from detectors.joint_scoring import score_together
from preprocess.temporal import window_of
from streamer.metrics import Queue, Stage
from streamer.turns import NETWORKS_STEP_BACK, step_back

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from detectors.base import Verdict
    from detectors.scorer import Evidence, Scorer
    from preprocess.pictures import Window
    from streamer.batcher import Batch, Batcher
    from streamer.live.camera import LiveCamera, LiveItem
    from streamer.metrics import Metrics
    from streamer.sinks.worker import Worker

LOOK = 0.25
"""Seconds after which the thread gives a sign of life although there is nothing to do."""


class Judging:
    """Takes batches, runs the networks once for each, and hands every camera its own."""

    def __init__(
        self,
        batcher: Batcher[LiveItem],
        cameras: Mapping[str, LiveCamera],
        writer: Worker,
        metrics: Metrics,
        failed: Callable[[Exception], None],
    ) -> None:
        """Prepare.

        Args:
            batcher: where windows wait.
            cameras: by name; they may come and go meanwhile.
            writer: behind this thread, for its queue's depth.
            metrics: counts.
            failed: told what ended the thread, which nothing should.
        """
        self._batcher = batcher
        self._cameras = cameras
        self._writer = writer
        self._metrics = metrics
        self._failed = failed
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="avid-networks", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self, seconds: float) -> None:
        """End after the batch that is being judged."""
        self._ending.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        step_back(NETWORKS_STEP_BACK)
        try:
            while not self._ending.is_set():
                self._metrics.beat()
                batch = self._batcher.take(LOOK)
                self._metrics.queue_depth(Queue.VERDICTS, self._writer.waiting)
                if batch is not None:
                    self._judge(batch)
                elif self._batcher.finished:
                    self._ending.wait(LOOK)
        except Exception as error:  # noqa: BLE001 - told to the run, which ends with it
            self._failed(error)

    def _judge(self, batch: Batch[LiveItem]) -> None:
        runs: list[tuple[str, list[LiveItem]]] = []
        for name, items in batch.parts:
            runs += [(name, list(run)) for _, run in groupby(items, key=lambda item: id(item.watching))]
        parts: list[tuple[Scorer, list[Window]]] = [
            (items[0].watching.scorer, [window_of(item.pictures) for item in items if item.pictures is not None])
            for _, items in runs
        ]
        heard: dict[int, list[Evidence]] = {}
        began = time.monotonic()
        verdicts: list[list[Verdict]] = score_together(
            parts, hear=lambda part, evidence: heard.setdefault(part, []).append(evidence)
        )
        took = time.monotonic() - began
        windows = sum(len(part) for _, part in parts)
        if windows:
            self._metrics.batch(windows)
        for number, (name, run) in enumerate(runs):
            camera = self._cameras.get(name)
            if camera is None:
                continue
            for item in run:
                self._metrics.stage(Stage.WAIT, began - item.made)
                self._metrics.stage(Stage.NETWORK, took)
            camera.judged(run, verdicts[number], heard.get(number, []))
