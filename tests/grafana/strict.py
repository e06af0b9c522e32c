"""Check a dashboard's JSON against the SDK's types: report everything that Grafana would ignore silently.

The SDK reads unknown keys, wrong enums and wrong types without an error. So a key that is lost in a round trip is
unknown, and the values are compared with the type hints of the SDK's classes.
"""

from __future__ import annotations

import copy
import enum
import json
import sys
import types
import typing
from collections.abc import Iterator
from typing import Any

from grafana_foundation_sdk import models
from grafana_foundation_sdk.cog import variants
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard, RowPanel

register_default_plugins()


def findings(dashboard: dict[str, Any]) -> list[str]:
    """Return the errors, each with its place."""
    try:
        read = Dashboard.from_json(copy.deepcopy(dashboard))
    except Exception as error:  # noqa: BLE001 - any error of the SDK is a finding
        return [f"cannot be read: {error!r}"]
    found = list(_mismatches(read, Dashboard, "dashboard"))
    for panel in read.panels or []:
        assert not isinstance(panel, RowPanel), f"{panel.title}: this check knows no rows"
        place = f"panel {panel.title}"
        custom = panel.field_config and panel.field_config.defaults.custom
        for name, value in (("options", panel.options), ("custom", custom)):
            if type(value).__module__.startswith(models.__name__):
                found += _mismatches(value, type(value), f"{place}.{name}")
            elif value:
                found.append(f"{place}.{name}: the SDK knows no panel type {panel.type_val}")
    written = json.loads(json.dumps(Dashboard.from_json(copy.deepcopy(dashboard)), cls=JSONEncoder))
    return found + list(_lost(dashboard, written, "dashboard"))


def _lost(before: Any, after: Any, place: str) -> Iterator[str]:
    match before, after:
        case dict(), dict():
            for key, value in before.items():
                if key in after:
                    yield from _lost(value, after[key], f"{place}.{key}")
                else:
                    yield f"{place}.{key}: unknown"
        case list(), list():
            if len(before) != len(after):
                yield f"{place}: {len(before)} became {len(after)}"
            for number, pair in enumerate(zip(before, after, strict=False)):
                yield from _lost(*pair, f"{place}[{number}]")
        case _ if before != after:
            yield f"{place}: {before!r} became {after!r}"


def _mismatches(value: Any, hint: Any, place: str) -> Iterator[str]:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in (Any, object, variants.Dataquery):
        return
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return
        tries = [list(_mismatches(value, choice, place)) for choice in arguments if choice is not type(None)]
        yield from min(tries, key=len)
    elif origin is typing.Literal:
        if value not in arguments:
            yield f"{place}: {value!r} is none of {arguments}"
    elif origin is list and isinstance(value, list):
        for number, item in enumerate(value):
            yield from _mismatches(item, arguments[0], f"{place}[{number}]")
    elif origin is dict and isinstance(value, dict):
        for key, item in value.items():
            yield from _mismatches(item, arguments[1], f"{place}.{key}")
    elif origin in (list, dict):
        yield f"{place}: {value!r} is no {origin.__name__}"
    elif isinstance(hint, type) and issubclass(hint, enum.Enum):
        if value not in [member.value for member in hint]:
            yield f"{place}: {value!r} is no {hint.__name__}"
    elif hint in (float, int, str, bool):
        kinds = (int, float) if hint is float else hint
        if not isinstance(value, kinds) or (isinstance(value, bool) and hint is not bool):
            yield f"{place}: {value!r} is no {hint.__name__}"
    elif isinstance(hint, type):
        if isinstance(value, dict) and hasattr(hint, "from_json"):
            # The SDK does not parse the links of a panel.
            read = hint.from_json(copy.deepcopy(value))
            yield from _lost(value, json.loads(json.dumps(read, cls=JSONEncoder)), place)
            value = read
        if not isinstance(value, hint):
            yield f"{place}: {type(value).__name__} is no {hint.__name__}"
            return
        for name, inner in typing.get_type_hints(hint, globalns=vars(sys.modules[hint.__module__])).items():
            yield from _mismatches(getattr(value, name), inner, f"{place}.{name}")
