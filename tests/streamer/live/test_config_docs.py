"""docs/cameras.md names every key of ``cameras.yaml`` with its default and meaning, and the examples beside it hold."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

from streamer.durations import format_duration
from streamer.live.config import (
    CameraConfig,
    ClipsConfig,
    EventsConfig,
    LiveConfig,
    MetricsConfig,
    MqttConfig,
    RetentionConfig,
    WebhookConfig,
    ZoneConfig,
)

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "cameras.md").read_text(encoding="utf-8")
MODELS = (
    LiveConfig,
    CameraConfig,
    ZoneConfig,
    EventsConfig,
    ClipsConfig,
    RetentionConfig,
    MetricsConfig,
    MqttConfig,
    WebhookConfig,
)
MONTH = 30 * 86400.0
SIZES = {50 * 10**9: "50GB", 10**9: "1GB"}


def default_of(field):
    value = field.default
    if field.default_factory is not None or value == ():
        return "-"
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value in SIZES:
        return f"`{SIZES[value]}`"
    if "parse_duration" in repr(field) or value == MONTH:
        return "`30d`" if value == MONTH else f"`{format_duration(value)}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def rows_of(model):
    """The rows that docs/cameras.md must have; a table is made by printing them."""
    rows = []
    for name, field in model.model_fields.items():
        default = "needed" if field.is_required() and (model, name) != (CameraConfig, "name") else default_of(field)
        if (model, name) == (CameraConfig, "name"):
            default = "made from `uri`"
        rows.append(f"| `{name}` | {default} | {field.description} |")
    return rows


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_the_page_has_every_key_with_its_default_and_meaning(model):
    missing = [row for row in rows_of(model) if row not in PAGE]
    assert not missing, "put these rows into docs/cameras.md:\n" + "\n".join(missing)


def test_the_page_has_no_key_that_is_not_there():
    known = {row for model in MODELS for row in rows_of(model)}
    assert {row for row in re.findall(r"^\| `[a-z_]+` \| .*$", PAGE, re.MULTILINE) if row.count("|") == 4} <= known


def test_every_key_says_what_it_is():
    for model in MODELS:
        for name, field in model.model_fields.items():
            assert field.description, f"{model.__name__}.{name}"
            assert field.description.endswith("."), f"{model.__name__}.{name}"


def test_the_unit_stops_politely_starts_again_after_failures_and_reloads():
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(DOCS / "avid-watch.service")
    service = unit["Service"]
    assert service["Restart"] == "on-failure"
    assert service["KillSignal"] == "SIGTERM"
    assert service["ExecReload"].endswith("kill -HUP $MAINPID")
    assert "--config /etc/avid-watch/cameras.yaml" in service["ExecStart"]
    for hardening in ("NoNewPrivileges", "ProtectSystem", "ProtectHome", "PrivateTmp", "StateDirectory"):
        assert hardening in service


def test_the_image_runs_as_nobody_in_particular_and_stops_by_sigterm():
    image = (DOCS / "Dockerfile").read_text(encoding="utf-8")
    for line in ("USER avid", "STOPSIGNAL SIGTERM", "HEALTHCHECK", 'ENTRYPOINT ["avid-watch"]', "VOLUME"):
        assert line in image
