"""Makes the JSON Schema of ``cameras.yaml`` from its models, for editors that complete and check while one types.

``python -m streamer.live.config_schema > streamer/schemas/cameras.schema.json`` writes it; a test holds them equal.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema

from streamer.live.config import CameraConfig, ClipsConfig, LiveConfig, MetricsConfig, MqttConfig, WebhookConfig
from streamer.live.config_types import SWITCH_WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

SHORT_FORMS: Mapping[type[BaseModel], tuple[str, ...]] = {
    model: model.short_form for model in (CameraConfig, ClipsConfig, MetricsConfig, MqttConfig, WebhookConfig)
}
"""Models that may be written in one word, and of which types that word may be."""

_TITLE = "cameras.yaml"
_SWITCH = ({"type": "boolean"}, {"enum": list(SWITCH_WORDS)})
_ID = "https://avid-watch.invalid/schemas/cameras.schema.json"


def cameras_schema() -> dict[str, Any]:
    """The schema, as ``streamer/schemas/cameras.schema.json`` holds it."""
    schema = LiveConfig.model_json_schema(mode="validation")
    definitions: dict[str, Any] = schema.pop("$defs")
    for model, short in SHORT_FORMS.items():
        whole = definitions[model.__name__]
        words = whole.pop("description", "")
        forms = [form for kind in short for form in (_SWITCH if kind == "boolean" else ({"type": kind},))]
        definitions[model.__name__] = {"description": words, "anyOf": [*forms, whole]}
    for definition in (schema, *definitions.values()):
        _mend(definition)
    camera = next(form for form in definitions["CameraConfig"]["anyOf"] if form.get("type") == "object")
    camera["required"] = ["uri"]  # a name is made from it
    schema.pop("title", None)
    schema["patternProperties"] = {"^x-": {"description": "A place for YAML anchors; not read."}}
    return {"$schema": GenerateJsonSchema.schema_dialect, "$id": _ID, "title": _TITLE, **schema, "$defs": definitions}


def schema_text() -> str:
    """The schema as the file is written."""
    return json.dumps(cameras_schema(), indent=2, ensure_ascii=False) + "\n"


def _mend(definition: dict[str, Any]) -> None:
    """Allow what the reader allows beside the types themselves: ``off`` for none, one value for a list of one.

    The reader knows YAML 1.1, where ``off`` and ``no`` are switches; most editors know YAML 1.2, where they are texts.
    """
    for form in definition.get("anyOf", ()):
        _mend(form)
    for name, field in definition.get("properties", {}).items():
        field.pop("title", None)
        choices: list[dict[str, Any]] = field.get("anyOf", [])
        if {"type": "null"} in choices:
            choices += [{"const": False}, {"enum": ["off", "no"]}]
        if name == "record":
            choices += [{"const": True}, {"enum": ["on", "yes"]}]
        if field.get("type") == "boolean":
            del field["type"]
            field["anyOf"] = [*_SWITCH]
        if name in {"normal", "kinds", "apprise"}:
            items = field.pop("items")
            listed = {key: field.pop(key) for key in ("type", "maxItems") if key in field}
            field["anyOf"] = [{**listed, "items": items}, items]
        if name == "polygon":
            field["items"] = {"type": "array", "items": _SHARE, "minItems": 2, "maxItems": 2}


_SHARE = {"type": "number", "minimum": 0, "maximum": 1}

if __name__ == "__main__":
    sys.stdout.write(schema_text())
