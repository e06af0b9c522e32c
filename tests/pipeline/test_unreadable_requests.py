"""A request that ClickHouse cannot read is refused for good, whatever its status; all other events arrive."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests
from requests import PreparedRequest, Response

from otel_intel import Telemetry
from tests.otlp import post
from tests.servers import ClickHouse

BAD = b"bad-signal"


def cut(body: bytes) -> bytes:
    """Cut off the end, as a proxy may."""
    return body[:-3]


def overrun(body: bytes) -> bytes:
    """Announce a longer message than there is."""
    return body + b"\x0a\x05"


def garble(body: bytes) -> bytes:
    """Send something that is not OTLP."""
    return b"<html>"


@pytest.mark.parametrize("damage", [cut, overrun, garble])
def test_request_that_cannot_be_read_is_halved_until_the_bad_event_is_alone(
    production: Telemetry, clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch, damage: Callable[[bytes], bytes]
) -> None:
    sent, send = [], requests.Session.send

    def send_damaged(self: requests.Session, request: PreparedRequest, **kwargs: object) -> Response:
        assert isinstance(request.body, bytes)
        if BAD in request.body:
            request.body = damage(request.body)
            request.headers["Content-Length"] = str(len(request.body))
        sent.append(request)
        return send(self, request, **kwargs)  # type: ignore[arg-type]

    for name, value in clickhouse.variables().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(requests.Session, "send", send_damaged)
    for number in range(8):
        production.track_signal_detail_open(42, BAD.decode() if number == 3 else f"signal-{number}")
    production.flush(10)
    status = production.status()
    assert (status["delivered"], status["dropped"]["rejected"], status["queued"]) == (7, 1, 0)
    assert clickhouse.value("SELECT count() FROM metrics.admin_views") == 7
    assert len(sent) < 20  # no request was repeated unchanged


def test_compressed_request_that_cannot_be_read_is_refused(
    production: Telemetry, clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = requests.Session.send

    def send_cut(self: requests.Session, request: PreparedRequest, **kwargs: object) -> Response:
        assert isinstance(request.body, bytes)
        assert request.headers["Content-Encoding"] == "gzip"
        request.body = request.body[:-9]
        request.headers["Content-Length"] = str(len(request.body))
        return send(self, request, **kwargs)  # type: ignore[arg-type]

    for name, value in {**clickhouse.variables(), "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(requests.Session, "send", send_cut)
    production.track_signal_detail_open(42, 1)
    production.flush(10)
    assert production.status()["dropped"]["rejected"] == 1


@pytest.mark.parametrize("body", [b"<html>", b"\x0a\x05"])
def test_clickhouse_does_not_answer_400(clickhouse: ClickHouse, body: bytes) -> None:
    """If this fails, the exporter no longer needs to check ClickHouse's error codes."""
    answer = post(clickhouse, body)
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) in ((500, "444"), (500, "32"))
