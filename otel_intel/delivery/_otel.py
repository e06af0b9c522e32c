"""The only module that touches OpenTelemetry's Logs API, which still moves between minor releases.

https://github.com/open-telemetry/opentelemetry-python/issues/4750
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import requests
import uuid_utils
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from opentelemetry._logs import LogRecord
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpExporter
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otel_intel.events import (
    ADMIN_ID,
    ENGINE_VERSION,
    EVENT_ID_KEY,
    PROCESS_ID_KEY,
    RESOURCE_KEYS,
    SCHEMA_VERSION,
    SCHEMA_VERSION_KEY,
    AttributeValue,
    Event,
)
from otel_intel.exceptions import ConfigurationError

if TYPE_CHECKING:
    from requests import PreparedRequest, Response

HTTP, GRPC = "http/protobuf", "grpc"
UNKNOWN_SERVICE = "unknown_service"
DEFAULT_TIMEOUT = 3.0  # seconds; OpenTelemetry's 10 s would hold a worker that also has to report
MAX_ANSWER = 65_536  # bytes

_scope = InstrumentationScope("otel_intel", version("otel-intel"))


class Delivery(Enum):
    """What became of one request."""

    DELIVERED = "delivered"
    REFUSED = "refused"  # it will never be taken as it is: split it
    FAILED = "failed"  # try again later


def protocol(signal: str = "LOGS") -> str:
    """Return the OTLP protocol that the environment asks for.

    Raises:
        ConfigurationError: If it is neither http/protobuf nor grpc.
    """
    for variable in (f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"):
        if value := os.environ.get(variable, "").strip():
            if value not in (HTTP, GRPC):
                raise ConfigurationError(f"{variable}={value} is not supported: use {HTTP} or {GRPC}.")
            return value
    return HTTP


def resource() -> Resource:
    """Return the environment's resource (OTEL_SERVICE_NAME, …) without what the door refuses.

    Resource.create() starts threads, which a process that is about to exit cannot do any more.
    """
    found = OTELResourceDetector().detect().attributes
    kept = {key: found[key] for key in RESOURCE_KEYS if key in found}
    return Resource({SERVICE_NAME: UNKNOWN_SERVICE, **kept})


def timeout(signal: str = "LOGS") -> float | None:
    """Return the timeout of one request in seconds, or None where the exporter reads it itself."""
    if any(os.environ.get(f"OTEL_EXPORTER_OTLP_{name}TIMEOUT") for name in (f"{signal}_", "")):
        return None
    milliseconds = os.environ.get("OTEL_BLRP_EXPORT_TIMEOUT", "") if signal == "LOGS" else ""
    return int(milliseconds) / 1000 if milliseconds.isdecimal() and int(milliseconds) else DEFAULT_TIMEOUT


class Session(requests.Session):
    """Remember what the door answered: the exporter only tells success from failure, and takes a redirect for one."""

    sent = False
    status: int | None = None
    answer = ""

    def send(self, request: PreparedRequest, **kwargs: Any) -> Response:
        self.sent = True
        if isinstance(self.verify, str):  # https://github.com/psf/requests/issues/3829: REQUESTS_CA_BUNDLE goes before
            kwargs["verify"] = self.verify
        response = super().send(request, **{**kwargs, "stream": True})
        # Read here, because requests would read an endless or dripping answer to its end.
        deadline, body = time.monotonic() + DEFAULT_TIMEOUT, b""
        while chunk := response.raw.read1(MAX_ANSWER, decode_content=True):
            body += chunk
            if len(body) >= MAX_ANSWER or time.monotonic() > deadline:
                response.close()
                break
        response._content = body
        if _is_unreadable(response):
            response.status_code, response.reason = 400, "Bad Request"
        self.status = response.status_code
        if not 200 <= self.status < 300:
            redirect = f"to {response.headers['Location']}" if "Location" in response.headers else ""
            self.answer = f"{self.status} {response.reason} {redirect} {_readable(response)}".replace("  ", " ")
        return response


def _readable(response: Response) -> str:
    """Return the beginning of an answer's text, of OTLP's Status the message, without control characters."""
    text = response.text
    if "protobuf" in response.headers.get("Content-Type", ""):
        with suppress(DecodeError):
            text = Status.FromString(response.content).message
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:300]


def _is_unreadable(response: Response) -> bool:
    """Tell whether ClickHouse could not read the request: it answers 500, which nothing changes, where OTLP means 400.

    https://github.com/ClickHouse/ClickHouse/blob/master/src/Server/HTTP/exceptionCodeToHTTPStatus.cpp
    """
    code = response.headers.get("X-ClickHouse-Exception-Code")
    # UNKNOWN_PROTOBUF_FORMAT, ZLIB_INFLATE_FAILED; and two codes that it has for a broken connection of its own, too.
    return code in ("444", "354") or (code in ("32", "33") and "ProtobufRowInputFormat" in response.text)


class Attempt:
    """What the exporter's log lines told about one export."""

    error = ""
    grpc_status = ""


class _ExporterLog(logging.Filter):
    """Keep the exporters' lines about our exports out of the host's log, and note what they say.

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
                attempt.grpc_status = argument.name
        attempt.error = attempt.error or _cause(record.getMessage())  # the first names the cause
        return False


def _cause(message: str) -> str:
    """Return the cause out of the layers of a connection's error, such as "[Errno 111] Connection refused"."""
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


def without_secrets(text: str) -> str:
    """Return a URL or message without the user, passwords and tokens of the URLs in it."""
    text = re.sub(r"(?<=//)[^/@\s]+@", "", text)
    return re.sub(r"(?i)((?:password|token|secret|key)=)[^&\s'\")]+", r"\1…", text)


class Exporter:
    """Send records through the stock OTLP exporter and tell what became of them.

    One per process and worker thread: a forked child must make its own
    (https://github.com/open-telemetry/opentelemetry-python/issues/4994).
    """

    def __init__(self, admin_id_hash_key: str = "", process_id: str = "") -> None:
        self._hash_key = admin_id_hash_key.encode()
        self._process_id = process_id
        self._resource = resource()
        self._session = Session()
        self.last_error = ""
        self._exporter: LogRecordExporter
        self._grpc = protocol() == GRPC
        if self._grpc:
            from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcExporter

            self._exporter = GrpcExporter(timeout=timeout())
        else:
            self._exporter = HttpExporter(timeout=timeout(), session=self._session)

    def record(
        self,
        event: Event,
        time_ns: int,
        context: Context | None,
        engine_version: str,
        attributes: Mapping[str, AttributeValue],
    ) -> ReadableLogRecord:
        """Build the record of one event; its id is made here, once, and carries the event's time."""
        wire: dict[str, AttributeValue] = {
            EVENT_ID_KEY: str(uuid_utils.uuid7(nanoseconds=time_ns)),
            SCHEMA_VERSION_KEY: SCHEMA_VERSION,
        }
        if self._process_id:
            wire[PROCESS_ID_KEY] = self._process_id
        if engine_version:
            wire[ENGINE_VERSION.key] = engine_version
        wire.update(attributes)
        if self._hash_key and ADMIN_ID.key in wire:
            admin_id = str(wire[ADMIN_ID.key]).encode()
            wire[ADMIN_ID.key] = hmac.new(self._hash_key, admin_id, hashlib.sha256).hexdigest()
        record = LogRecord(
            timestamp=time_ns,
            observed_timestamp=time_ns,
            context=context,
            attributes=wire,
            event_name=event.name,
        )
        return ReadableLogRecord(record, self._resource, _scope)

    def export(self, records: Sequence[ReadableLogRecord]) -> Delivery:
        """Send one request; blocks for the exporter's timeout at most and never raises."""
        session = self._session
        session.sent, session.status, session.answer = False, None, ""
        with exporter_log.attempt() as attempt:
            try:
                succeeded = self._exporter.export(records) is LogRecordExportResult.SUCCESS
            except Exception as error:  # noqa: BLE001 (a record that cannot be encoded must not stop the others)
                self.last_error = f"{type(error).__name__}: {error}"
                return Delivery.REFUSED
        self.last_error = without_secrets(session.answer.strip() or attempt.error)
        if self._grpc:
            # The second is said of an overloaded receiver, too: that one is tried again.
            refused = attempt.grpc_status == "INVALID_ARGUMENT" or (
                attempt.grpc_status == "RESOURCE_EXHAUSTED" and "larger than max" in attempt.error
            )
        else:
            succeeded = succeeded and session.status is not None and 200 <= session.status < 300
            # Never sent: it could not be encoded, or is larger than the exporter's limit.
            refused = not session.sent or session.status in (400, 413)
        if succeeded:
            return Delivery.DELIVERED
        return Delivery.REFUSED if refused else Delivery.FAILED
