"""What holds of the batcher whatever cameras, groups, rates and delays there are."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streamer.batcher import LONGEST_WAIT, Batcher, BatchLimits
from streamer.frames import Pace
from tests.streamer.virtual_time import VirtualTime

NAMES = st.sampled_from("abcdefg")
GROUPS = st.sampled_from([None, "base", "fitted"])


class BatcherMachine(RuleBasedStateMachine):
    """Cameras come, give, change and go in any order; the model keeps what was put with the group it had."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = VirtualTime()
        self.limits = BatchLimits(most=4, quota=2)
        self.batcher: Batcher[int] = Batcher(self.limits, clock=self.clock, changed=self.clock)
        self.paces: dict[str, Pace] = {}
        self.groups: dict[str, object] = {}
        self.put: dict[str, list[tuple[int, object]]] = {}
        self.last_taken: dict[str, int] = {}
        self.taken: dict[str, int] = {}
        self.ended: set[str] = set()
        self.unserved: dict[str, int] = defaultdict(int)
        self.ever_added = 0

    @rule(name=NAMES, group=GROUPS, pace=st.sampled_from(Pace), most=st.integers(0, 6))
    def add(self, name: str, group: object, pace: Pace, most: int) -> None:
        if name in self.paces:
            return
        self.batcher.add(name, group=group, pace=pace, most_waiting=most)
        self.paces[name], self.groups[name], self.put[name], self.taken[name] = pace, group, [], 0
        self.last_taken[name] = -1
        self.ever_added += 1

    @precondition(lambda self: self.paces)
    @rule(data=st.data(), number=st.integers(1, 5), size=st.sampled_from([0, 10**6, 10**8]))
    def give(self, data: st.DataObject, number: int, size: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.paces)))
        for _ in range(number):
            waiting = self.batcher.counts(name).waiting
            if name in self.ended or (self.paces[name] is Pace.EVERY_FRAME and waiting):
                return  # a recording's reader would wait for room, and there is one thread here
            item = len(self.put[name])
            self.put[name].append((item, self.groups[name]))
            self.batcher.put(name, item, size)

    @precondition(lambda self: self.paces)
    @rule(data=st.data(), group=GROUPS)
    def regroup(self, data: st.DataObject, group: object) -> None:
        name = data.draw(st.sampled_from(sorted(self.paces)))
        self.batcher.regroup(name, group)
        self.groups[name] = group

    @precondition(lambda self: self.paces)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.paces)))
        self.batcher.end(name)
        self.ended.add(name)

    @precondition(lambda self: len(self.paces) > 2)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.paces)))
        counts = self.batcher.remove(name)
        assert counts.put == len(self.put[name]) == counts.taken + sum(counts.dropped.values())
        del self.paces[name]
        self.ended.discard(name)
        self.unserved.pop(name, None)

    @rule(seconds=st.sampled_from([0.001, 0.05, 0.3, 0.7]))
    def time_passes(self, seconds: float) -> None:
        self.clock.pass_by(seconds)

    @rule()
    def take(self) -> None:
        began = self.clock.now
        batch = self.batcher.take(2 * LONGEST_WAIT)
        waiting = {name for name in self.paces if self.batcher.counts(name).waiting}
        if batch is None:
            assert not waiting
            return
        assert self.clock.now - began <= LONGEST_WAIT + 1e-9
        assert 1 <= len(batch) <= self.limits.most
        names = [name for name, _ in batch.parts]
        assert len(names) == len(set(names))
        for name, items in batch.parts:
            assert 1 <= len(items) <= self.limits.quota
            assert {self.put[name][item][1] for item in items} == {batch.group}
            assert all(earlier < later for earlier, later in pairwise((self.last_taken[name], *items)))
            if self.paces[name] is Pace.EVERY_FRAME:
                assert items[0] == self.last_taken[name] + 1
            self.last_taken[name] = items[-1]
            self.taken[name] += len(items)
        for name in list(self.unserved):
            if name not in waiting or name in names:
                del self.unserved[name]
        for name in waiting - set(names):
            self.unserved[name] += 1
            # Every group has its turn in one round of them, every camera of it in one round of the cameras.
            assert self.unserved[name] <= 3 * (1 + self.ever_added)

    @invariant()
    def counts_add_up(self) -> None:
        for name, pace in self.paces.items():
            counts = self.batcher.counts(name)
            assert counts.put == len(self.put[name])
            assert counts.taken == self.taken[name]
            assert counts.put == counts.taken + counts.waiting + sum(counts.dropped.values())
            assert pace is Pace.LATEST or not any(counts.dropped.values())


TestBatcherMachine = BatcherMachine.TestCase
TestBatcherMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


@settings(max_examples=60, deadline=None)
@given(
    periods=st.lists(st.sampled_from([0.04, 0.1, 0.3, 1.0]), min_size=1, max_size=12),
    groups=st.integers(1, 3),
    most=st.integers(1, 8),
    quota=st.integers(1, 4),
    takes=st.sampled_from([0.001, 0.03, 0.2, 0.7]),
)
def test_no_camera_starves_at_any_load(periods: list[float], groups: int, most: int, quota: int, takes: float) -> None:
    """At a constant load every camera is served again within two rounds of all groups and cameras."""
    clock = VirtualTime()
    batcher: Batcher[int] = Batcher(BatchLimits(most=most, quota=quota), clock=clock, changed=clock)
    for number, period in enumerate(periods):
        name = f"camera-{number}"
        batcher.add(name, group=number % groups, pace=Pace.LATEST, most_waiting=4)
        for item in range(int(20 / period)):
            clock.at(0.003 * number + item * period, lambda name=name, item=item: batcher.put(name, item))
    served: dict[str, list[tuple[int, float]]] = defaultdict(list)
    count = 0
    while clock.now < 19:
        batch = batcher.take(0.5)
        if batch is not None:
            count += 1
            for name, _ in batch.parts:
                served[name].append((count, clock.now))
            clock.pass_by(takes)
    rounds = min(groups, len(periods)) * -(-len(periods) // most)
    for number, period in enumerate(periods):
        turns = [(0, 0.0), *served[f"camera-{number}"], (count, clock.now)]
        for (earlier, before), (later, after) in pairwise(turns):
            assert later - earlier <= 2 * rounds + 2 or after - before <= 2 * period + LONGEST_WAIT + 2 * takes


class Readers:
    """Recordings of some lengths, read as far as there is room: the batcher would make real readers wait."""

    def __init__(self, batcher: Batcher[int], clock: VirtualTime, lengths: list[int], room: int) -> None:
        self.batcher, self.clock, self.lengths, self.room = batcher, clock, lengths, room
        self.given = [0] * len(lengths)

    def __call__(self) -> None:
        for number, length in enumerate(self.lengths):
            name = f"clip-{number}"
            while self.given[number] < length and self.batcher.counts(name).waiting < self.room:
                self.batcher.put(name, self.given[number])
                self.given[number] += 1
            if self.given[number] == length:
                self.batcher.end(name)
        self.clock.at(self.clock.now + 0.01, self)


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 25), min_size=1, max_size=5),
    most=st.integers(1, 8),
    quota=st.integers(1, 4),
    room=st.integers(1, 6),
    takes=st.sampled_from([0.0, 0.02, 2.0]),
)
def test_recordings_beside_a_live_camera_come_whole_and_in_order(
    lengths: list[int], most: int, quota: int, room: int, takes: float
) -> None:
    clock = VirtualTime()
    batcher: Batcher[int] = Batcher(BatchLimits(most=most, quota=quota), clock=clock, changed=clock)
    batcher.add("live", group="base", pace=Pace.LATEST, most_waiting=3)
    for item in range(50):
        clock.at(item / 10, lambda item=item: batcher.put("live", item))
    clock.at(5.0, lambda: batcher.end("live"))
    read = Readers(batcher, clock, lengths, room)
    for number in range(len(lengths)):
        batcher.add(f"clip-{number}", group="base", pace=Pace.EVERY_FRAME, most_waiting=room)
    read()
    found: dict[str, list[int]] = defaultdict(list)
    for _ in range(3000):
        batch = batcher.take(0.5)
        for name, items in () if batch is None else batch.parts:
            found[name].extend(items)
        if batcher.finished:
            break
        clock.pass_by(takes)
    assert batcher.finished
    for number, length in enumerate(lengths):
        assert found[f"clip-{number}"] == list(range(length))
    assert found["live"] == sorted(found["live"])
