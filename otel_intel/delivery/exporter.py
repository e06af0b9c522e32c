"""Send records to the endpoint. Only this module and spans.py use OpenTelemetry's SDK.

The SDK's Logs API still changes in minor releases: https://github.com/open-telemetry/opentelemetry-python/issues/4750
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from enum import Enum
from importlib.metadata import version

import uuid_utils
from opentelemetry._logs import LogRecord
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpExporter
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otel_intel.events import (
    ADMIN_ID,
    ENGINE_VERSION,
    EVENT_ID_KEY,
    PROCESS_ID_KEY,
    SCHEMA_URL,
    SCHEMA_VERSION,
    SCHEMA_VERSION_KEY,
    AttributeValue,
    Event,
)

from .environment import GRPC, grpc_options, protocol, resource, timeout, without_secrets
from .session import Attempt, Session, exporter_log

_scope = InstrumentationScope("otel_intel", version("otel-intel"), SCHEMA_URL)


class Delivery(Enum):
    """The result of one request."""

    DELIVERED = "delivered"
    UNREADABLE = "unreadable"  # the endpoint will never accept this request, because of what is in it: split it
    REFUSED = "refused"  # the same, or the endpoint is not in order: what becomes of other records tells which
    FAILED = "failed"  # try again later


# ClickHouse says 400 of these, but no record is to blame: a schema file that cannot be read (a full disk), a table that
# is missing, limits, rights, disks. https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp
_OF_THE_SERVER = frozenset(
    (36, 47, 49, 60, 62, 73, 74, 75, 76, 81, 107, 115, 159, 160, 164, 192, 202, 241, 242, 243, 252, 290, 497, 516, 1002)
)


class Exporter:
    """Send records through OpenTelemetry's own OTLP exporter and return the result.

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

            self._exporter = GrpcExporter(timeout=timeout(), channel_options=grpc_options())
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
        """Build the record of one event; its id is made here, once, and contains the event's time."""
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
        """Send one request; block for the exporter's timeout at most and never raise."""
        session = self._session
        session.sent, session.status, session.answer = False, None, ""
        session.clickhouse_code, session.is_unreadable = 0, False
        with exporter_log.attempt() as attempt:
            try:
                succeeded = self._exporter.export(records) is LogRecordExportResult.SUCCESS
            except Exception as error:  # noqa: BLE001 (a record that cannot be encoded must not stop the others)
                self.last_error = f"{type(error).__name__}: {error}"
                return Delivery.UNREADABLE
        self.last_error = without_secrets(session.answer.strip() or attempt.error)
        return self._grpc_result(succeeded, attempt) if self._grpc else self._http_result(succeeded)

    def _grpc_result(self, succeeded: bool, attempt: Attempt) -> Delivery:
        if succeeded:
            return Delivery.DELIVERED
        # RESOURCE_EXHAUSTED can also mean an overloaded receiver: then the request is sent again.
        if attempt.grpc_status == "RESOURCE_EXHAUSTED" and "larger than max" in attempt.error:
            return Delivery.UNREADABLE
        return Delivery.REFUSED if attempt.grpc_status == "INVALID_ARGUMENT" else Delivery.FAILED

    def _http_result(self, succeeded: bool) -> Delivery:
        session = self._session
        if succeeded and session.status is not None and 200 <= session.status < 300:
            return Delivery.DELIVERED
        # If it was never sent, it could not be encoded, or it is larger than the exporter's limit.
        if session.is_unreadable or not session.sent or session.status == 413:
            return Delivery.UNREADABLE
        is_refused = session.status == 400 and session.clickhouse_code not in _OF_THE_SERVER
        return Delivery.REFUSED if is_refused else Delivery.FAILED
