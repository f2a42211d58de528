"""Detectors are known by name before anything of them is imported."""

from __future__ import annotations

import pytest

from detectors import registry
from detectors.registry import DetectorEntry, detector_factory, known_detectors, register
from preprocess.errors import UsageError


@pytest.fixture(autouse=True)
def own_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registrations of a test end with it."""
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))


def test_avid_is_known() -> None:
    assert "avid" in [entry.name for entry in known_detectors()]


def test_detectors_are_told_in_the_order_of_their_names() -> None:
    register("aardvark", "nowhere:at_all", "first of all")
    names = [entry.name for entry in known_detectors()]
    assert names == sorted(names)
    assert names[0] == "aardvark"
    assert known_detectors()[0] == DetectorEntry("aardvark", "first of all", "nowhere:at_all")


def test_a_factory_is_imported_only_when_it_is_asked_for() -> None:
    register("late", "collections:OrderedDict", "stands for a detector")
    register("broken", "no_such_module:factory", "never imported")
    from collections import OrderedDict

    assert detector_factory("late") is OrderedDict


def test_every_detector_that_is_told_can_be_had() -> None:
    for entry in known_detectors():
        assert callable(detector_factory(entry.name))


def test_an_unknown_detector_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"no detector is called 'yolo'; known: .*avid"):
        detector_factory("yolo")


def test_a_name_is_given_once() -> None:
    register("mine", "here:it", "one")
    register("mine", "here:it", "one")
    with pytest.raises(ValueError, match="exists already"):
        register("mine", "there:it", "another")


def test_a_location_has_a_module_and_a_callable() -> None:
    for location in ("module", ":callable", "module:"):
        with pytest.raises(ValueError, match="module:callable"):
            register("odd", location, "")
