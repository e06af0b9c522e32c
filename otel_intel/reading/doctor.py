"""Follow one probe event from this environment to the views, and say what to fix if it does not arrive."""

from __future__ import annotations

import os
import re
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

import django

from otel_intel.checks import check_settings
from otel_intel.conf import get_settings, parse_url
from otel_intel.delivery.environment import protocol, without_secrets
from otel_intel.delivery.exporter import Delivery, Exporter
from otel_intel.events import PIPELINE_PROBED, PROBE_ID_KEY
from otel_intel.exceptions import OtelIntelError, TelemetryUnavailable

from .health import read_disks, read_freshness
from .metrics import get_outcome_distribution, get_recommendation_acceptance_rate
from .reader import ADVICE, Reader

_CREDENTIALS: Final = "set OTEL_EXPORTER_OTLP_HEADERS to the credentials of that endpoint"

State: TypeAlias = Literal["ok", "warning", "failed"]

VISIBLE_WITHIN: Final = 15.0
"""Seconds until a delivered probe must be readable: a collector collects a batch for some seconds before it inserts."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One hop of the probe.

    Args:
        name: The hop.
        state: Whether it works, works with a warning, or does not.
        milliseconds: How long it took.
        detail: What was found.
        fix: What to do about it; '' if there is nothing to do.
    """

    name: str
    state: State
    milliseconds: float
    detail: str
    fix: str = ""


class _HopMaker(Protocol):
    def __call__(self, name: str, state: State, detail: str, fix: str = "") -> Hop: ...


class _Probe(NamedTuple):
    landed_ms: float


def examine(visible_within: float = VISIBLE_WITHIN) -> Iterator[Hop]:
    """Yield each hop when the probe has passed it; a hop that fails is the last.

    Args:
        visible_within: Seconds to wait for a delivered probe.
    """
    started = time.perf_counter()

    def hop(name: str, state: State, detail: str, fix: str = "") -> Hop:
        nonlocal started
        before, started = started, time.perf_counter()
        return Hop(name, state, (started - before) * 1000, detail, fix)

    sys.path.insert(0, "")  # like manage.py: DJANGO_SETTINGS_MODULE may be a module of the current directory
    if settings_module := os.environ.get("DJANGO_SETTINGS_MODULE"):
        try:
            django.setup()  # the engine's module may import models
        except Exception as error:  # noqa: BLE001 (any error of the site's modules is a finding to show)
            text = f"DJANGO_SETTINGS_MODULE={settings_module}: {type(error).__name__}: {error}"
            yield hop("environment", "failed", text, "Let `manage.py check` pass with these settings.")
            return
    for message in check_settings(None):
        state: State = "failed" if message.is_serious() else "warning"
        yield hop("environment", state, str(message.msg), str(message.hint or ""))
        if state == "failed":
            return
    endpoint = _endpoint()
    yield hop("environment", "ok", f"{protocol()} to {endpoint.partition('?')[0]}")

    try:
        exporter = Exporter()
    except Exception as error:  # noqa: BLE001 (any error of the exporter is a finding to show)
        yield hop("exporter", "failed", f"{error}", "Correct the OTEL_EXPORTER_OTLP_* variable that it names.")
        return
    yield hop("exporter", "ok", f"opentelemetry-exporter-otlp {version('opentelemetry-exporter-otlp')}")

    probe_id, emitted_ns = str(uuid.uuid4()), time.time_ns()
    delivery = exporter.export([exporter.record(PIPELINE_PROBED, emitted_ns, None, "", {PROBE_ID_KEY: probe_id})])
    if delivery is not Delivery.DELIVERED:
        answer = exporter.last_error or "no answer"
        yield hop("endpoint", "failed", answer, _fix_of_endpoint(answer, endpoint))
        return
    yield hop("endpoint", "ok", "took the probe")
    yield from _reading(probe_id, emitted_ns, visible_within, hop)


def _reading(probe_id: str, emitted_ns: int, visible_within: float, hop: _HopMaker) -> Iterator[Hop]:
    deadline = time.monotonic() + visible_within
    try:
        while not (probes := _find(probe_id, emitted_ns)) and time.monotonic() < deadline:
            time.sleep(0.1)
    except TelemetryUnavailable as error:
        yield hop("views", "failed", str(error), _fix_of_views(str(error)))
        return
    if not probes:
        fix = (
            "Does the endpoint write into the ClickHouse of OTEL_INTEL['CLICKHOUSE_URL']? Look at the collector's log,"
            " run `otel-intel migrate`, then `otel-intel rebuild`."
        )
        if full := [str(disk) for disk in read_disks(Reader())() if disk.is_low]:
            fix = f"ClickHouse's disk is full ({full[0]}): free space, then it goes on by itself; see clickhouse-disk"
            fix += " in the runbook."
        yield hop("landing", "failed", f"the probe was taken but is not readable after {visible_within:g} s", fix)
        return
    yield Hop("landing", "ok", probes[0].landed_ms, "stored the probe; the time counts from its creation")
    yield hop("facts", "ok", "read the probe through metrics.pipeline_probes")
    try:
        viewed = get_recommendation_acceptance_rate(days=30)["viewed"]
        outcomes = get_outcome_distribution(days=30)["outcomes"]
    except OtelIntelError as error:
        yield hop("views", "failed", str(error), "Run `otel-intel migrate`.")
        return
    freshness = read_freshness(Reader())
    if freshness.is_late(datetime.now(UTC)):
        fix = "Run `otel-intel refresh` beside this ClickHouse (`otel-intel up` does it), or look at what it says."
        yield hop("refresh", "warning", f"the numbers are old: {freshness}", fix)
    yield hop("views", "ok", f"{viewed} recommendations viewed, {outcomes} outcomes in 30 days")


def _find(probe_id: str, emitted_ns: int) -> list[_Probe]:
    return Reader().rows(
        _Probe,
        "SELECT (toUnixTimestamp64Nano(ingested_at) - toUInt64({emitted_ns:String})) / 1e6 AS landed_ms"
        " FROM metrics.pipeline_probes WHERE probe_id = {probe_id:String}",
        {"probe_id": probe_id, "emitted_ns": str(emitted_ns)},
    )


def _endpoint() -> str:
    names = ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    default = "http://localhost:4318" if protocol() == "http/protobuf" else "http://localhost:4317"
    found = next((value for name in names if (value := os.environ.get(name))), f"{default} (no endpoint is set)")
    return without_secrets(found)


def _fix_of_endpoint(error: str, endpoint: str) -> str:
    code = re.search(r"Code: (\d+)\. DB::Exception", error)
    if "in the schema file" in error:  # that the server keeps of the OTLP schema
        return "The server's disk was full when it wrote that file: free space, then `otel-intel up` writes it again."
    if code and int(code[1]) in (advice := {**ADVICE, **dict.fromkeys((497, 516), _CREDENTIALS)}):
        return f"The server is there: {advice[int(code[1])]}."
    if any(sign in error for sign in ("401", "403", "516", "UNAUTHENTICATED", "PERMISSION_DENIED")):
        return f"{_CREDENTIALS[0].upper()}{_CREDENTIALS[1:]}."
    if "404" in error:
        return "OTEL_EXPORTER_OTLP_ENDPOINT gets /v1/logs appended; OTEL_EXPORTER_OTLP_LOGS_ENDPOINT is used unchanged."
    if "CERTIFICATE_VERIFY_FAILED" in error:
        return "Set OTEL_EXPORTER_OTLP_CERTIFICATE to the file of the CA that signed that endpoint's certificate."
    return f"Is it running at {endpoint.partition('?')[0]}? Start it (`otel-intel up`) or correct the endpoint."


def _fix_of_views(error: str) -> str:
    try:
        address = parse_url(get_settings().CLICKHOUSE_URL)
    except ValueError:
        return "Set OTEL_INTEL['CLICKHOUSE_URL'] to the reader's URL, as `otel-intel env --role reader` prints it."
    if "otel-intel migrate" in error:
        return "Run `otel-intel migrate`."
    if "refused the query" in error:
        return "Set OTEL_INTEL['CLICKHOUSE_URL'] to the reader's URL of that server."
    return (
        f"Is ClickHouse running at {address.hostname}? Start it there, or correct OTEL_INTEL['CLICKHOUSE_URL']."
        " Where events go through a Collector they wait in its queue until then."
    )
