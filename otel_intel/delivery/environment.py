"""Where to send to, and as whom: OpenTelemetry's own ``OTEL_*`` variables."""

from __future__ import annotations

import os
import re
from typing import Final
from urllib.parse import urlsplit

from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource

from otel_intel.conf import is_loopback
from otel_intel.events import RESOURCE_KEYS
from otel_intel.exceptions import ConfigurationError

HTTP: Final = "http/protobuf"
GRPC: Final = "grpc"
UNKNOWN_SERVICE: Final = "unknown_service"
DEFAULT_TIMEOUT: Final = 3.0
"""Seconds for one request; OpenTelemetry's 10 s would block the thread for too long: it also has to report."""


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
    """Return the environment's resource (OTEL_SERVICE_NAME, …) without the attributes that the ingest endpoint drops.

    Do not use Resource.create(): it starts threads, which is impossible in a process that is about to exit.
    """
    found = OTELResourceDetector().detect().attributes
    kept = {key: found[key] for key in RESOURCE_KEYS if key in found}
    return Resource({SERVICE_NAME: UNKNOWN_SERVICE, **kept})


def timeout(signal: str = "LOGS") -> float | None:
    """Return the timeout of one request in seconds, or None if the exporter reads it itself."""
    if any(os.environ.get(f"OTEL_EXPORTER_OTLP_{name}TIMEOUT") for name in (f"{signal}_", "")):
        return None
    milliseconds = os.environ.get("OTEL_BLRP_EXPORT_TIMEOUT", "") if signal == "LOGS" else ""
    return int(milliseconds) / 1000 if milliseconds.isdecimal() and int(milliseconds) else DEFAULT_TIMEOUT


def grpc_options(signal: str = "LOGS") -> tuple[tuple[str, str]] | None:
    """Return the options of the gRPC channel: no proxy of the environment is in the way to this machine."""
    names = (f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    endpoint = next((value for name in names if (value := os.environ.get(name))), "http://localhost:4317")
    host = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}").hostname
    # An integer, whatever the exporter's annotation says: gRPC ignores a string.
    return (("grpc.enable_http_proxy", 0),) if is_loopback(host) else None  # type: ignore[return-value]


def without_secrets(text: str) -> str:
    """Return a URL or message without the user, passwords and tokens of the URLs in it."""
    text = re.sub(r"(?<=//)[^/@\s]+@", "", text)
    return re.sub(r"(?i)((?:password|token|secret|key)=)[^&\s'\")]+", r"\1…", text)
