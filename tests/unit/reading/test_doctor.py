"""What the doctor says of an endpoint that does not take the probe."""

from __future__ import annotations

import sys

import grpc
import pytest

from otel_intel.reading.doctor import Hop, examine
from tests.sink import Sink, run_grpc_receiver


@pytest.fixture(autouse=True)
def site(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.75")  # no second attempt


def last_hop(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> Hop:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    return list(examine(visible_within=0))[-1]


@pytest.mark.parametrize(
    ("status", "exception", "fix"),
    [
        (
            400,
            (74, b"Code: 74. DB::Exception: Cannot read all of it in the schema file otlp.proto"),
            "The server's disk was full when it wrote that file: free space, then `otel-intel up` writes it again.",
        ),
        (
            500,
            (243, b"Code: 243. DB::Exception: Cannot reserve 1.00 MiB"),
            "The server is there: free space on its disk, then it goes on by itself.",
        ),
        (401, None, "Set OTEL_EXPORTER_OTLP_HEADERS to the credentials of that endpoint."),
        (
            404,
            None,
            "OTEL_EXPORTER_OTLP_ENDPOINT gets /v1/logs appended; OTEL_EXPORTER_OTLP_LOGS_ENDPOINT is used unchanged.",
        ),
    ],
    ids=["schema", "disk", "credentials", "path"],
)
def test_the_answer_says_what_to_do(
    status: int, exception: tuple[int, bytes] | None, fix: str, sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.answer, sink.exception = lambda request: status, exception
    hop = last_hop(monkeypatch, sink.url)
    assert (hop.name, hop.state, hop.fix) == ("endpoint", "failed", fix)


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED])
def test_a_token_that_grpc_refuses_is_named(code: grpc.StatusCode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with run_grpc_receiver(lambda request: (code, "no")) as endpoint:
        hop = last_hop(monkeypatch, endpoint)
    assert hop.fix == "Set OTEL_EXPORTER_OTLP_HEADERS to the credentials of that endpoint."
