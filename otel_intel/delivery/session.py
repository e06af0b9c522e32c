"""Find out what the endpoint answered: from the HTTP session, and from what OpenTelemetry's exporters log."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status

from otel_intel.conf import is_loopback

from .environment import DEFAULT_TIMEOUT

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

MAX_ANSWER: Final = 65_536
"""The largest number of bytes of an answer that are read."""


class Session(requests.Session):
    """Remember the endpoint's answer: the exporter says only success or failure, and a redirect is a success for it."""

    sent = False
    status: int | None = None
    answer = ""
    clickhouse_code = 0
    is_unreadable = False

    def __init__(self) -> None:
        super().__init__()
        # ClickHouse would compress its error messages, for which a client may lack the library.
        self.headers["Accept-Encoding"] = "identity"

    def send(self, request: PreparedRequest, **kwargs: Any) -> Response:
        """Send a request and read its answer, with a limit on size and time."""
        self.sent = True
        if isinstance(self.verify, str):  # REQUESTS_CA_BUNDLE would win: https://github.com/psf/requests/issues/3829
            kwargs["verify"] = self.verify
        if is_loopback(urlsplit(request.url or "").hostname):
            kwargs["proxies"] = {}
        response = super().send(request, **{**kwargs, "stream": True})
        # Read it here: requests would read an endless or very slow answer to its end.
        deadline, body = time.monotonic() + DEFAULT_TIMEOUT, b""
        while chunk := response.raw.read1(MAX_ANSWER, decode_content=True):
            body += chunk
            if len(body) >= MAX_ANSWER or time.monotonic() > deadline:
                response.close()
                break
        response._content = body
        self.clickhouse_code = int(response.headers.get("X-ClickHouse-Exception-Code", 0))
        self.is_unreadable = _is_unreadable(response)
        if self.is_unreadable:
            response.status_code, response.reason = 400, "Bad Request"
        self.status = response.status_code
        if not 200 <= self.status < 300:
            redirect = f"to {response.headers['Location']}" if "Location" in response.headers else ""
            self.answer = f"{self.status} {response.reason} {redirect} {_readable(response)}".replace("  ", " ")
        return response


def _readable(response: Response) -> str:
    """Return the start of an answer's text (or of the message in an OTLP Status) without control characters."""
    text = response.text
    if "protobuf" in response.headers.get("Content-Type", ""):
        with suppress(DecodeError):
            text = Status.FromString(response.content).message
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:300]


def _is_unreadable(response: Response) -> bool:
    """Tell whether ClickHouse could not read the request.

    It then answers 500, which OTLP would send again; 400 is right, because another attempt cannot succeed.

    https://github.com/ClickHouse/ClickHouse/blob/master/src/Server/HTTP/exceptionCodeToHTTPStatus.cpp
    """
    code = response.headers.get("X-ClickHouse-Exception-Code")
    # UNKNOWN_PROTOBUF_FORMAT, ZLIB_INFLATE_FAILED; 32 and 33 can also mean that the server lost a connection.
    return code in ("444", "354") or (code in ("32", "33") and "ProtobufRowInputFormat" in response.text)


class Attempt:
    """What the exporter's log lines say about the first answer to one export.

    The exporter repeats some requests until its time is up; its last line may then say no more than that.
    """

    error = ""
    grpc_status = ""


class _ExporterLog(logging.Filter):
    """Keep the exporters' log lines about our exports out of the application's log, and note what they say.

    We log once per reason; the exporters would log each attempt.
    """

    def __init__(self) -> None:
        super().__init__()
        self.thread = threading.local()

    @contextmanager
    def attempt(self) -> Iterator[Attempt]:
        """Collect the lines of this thread."""
        self.thread.attempt = attempt = Attempt()
        try:
            yield attempt
        finally:
            self.thread.attempt = None

    def filter(self, record: logging.LogRecord) -> bool:
        attempt: Attempt | None = getattr(self.thread, "attempt", None)
        if attempt is None:
            return True
        for argument in record.args if isinstance(record.args, tuple) else ():
            if isinstance(argument, Enum) and type(argument).__name__ == "StatusCode":
                attempt.grpc_status = attempt.grpc_status or argument.name
        attempt.error = attempt.error or _cause(record.getMessage())
        return False


def _cause(message: str) -> str:
    """Return the cause from a nested connection error, such as "[Errno 111] Connection refused"."""
    causes = r"\[Errno -?\d+\] [^\"')]+|[Rr]ead timed out|[Cc]onnect timeout|SSLError\([^)]*\)|SSL routines:[\w:]+"
    found = re.search(causes, message)
    return found.group() if found else message[:300]


exporter_log = _ExporterLog()
for _name in (
    "opentelemetry.exporter.otlp.proto.http._log_exporter",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
):
    logging.getLogger(_name).addFilter(exporter_log)
