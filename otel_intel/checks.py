"""System checks: they report settings that cannot work before the first event is sent."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from difflib import get_close_matches
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from opentelemetry.sdk.resources import SERVICE_NAME

from .conf import KEYS, get_settings, is_loopback, parse_url, resolve_engine_version, unknown_keys
from .delivery.environment import GRPC, HTTP, UNKNOWN_SERVICE, protocol, resource, without_secrets
from .exceptions import ConfigurationError
from .site import has_log_in


@register()
def check_settings(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """Check the settings of otel_intel and the OTEL_* variables."""
    try:
        return [*_unknown(), *_engine_version(), *_clickhouse(), *_export(), *_uwsgi()]
    except ConfigurationError as error:
        return [Error(str(error), id="otel_intel.E001")]


@register()
def check_site(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """Check that staff can reach the staff pages, where the site has them."""
    from django.contrib.auth import get_user_model
    from django.urls import NoReverseMatch, reverse

    messages: list[CheckMessage] = []
    with suppress(ImproperlyConfigured):
        user = get_user_model()
        if callable(getattr(user, "is_staff", user)):  # a class is callable, a field or property is not
            text = f"The user model {user._meta.label} has no field or property is_staff."
            hint = (
                "Add one: without it nobody can open the staff pages or report a click. Decorated views count whoever"
                " is logged in where Django's admin is not installed, and nobody where it is; audience= says who."
            )
            messages.append(Warning(text, hint=hint, id="otel_intel.W003"))
    try:
        reverse("telemetry-dashboard")
    except (NoReverseMatch, ImproperlyConfigured):
        return messages
    if not has_log_in():
        text = "LOGIN_URL leads to no page of this site: visitors of the staff pages get a 404."
        hint = "Set LOGIN_URL to the log-in page, or add path('admin/', admin.site.urls)."
        messages.append(Warning(text, hint=hint, id="otel_intel.W004"))
    return messages


@register(Tags.security, deploy=True)
def check_deployment(app_configs: Sequence[AppConfig] | None, **kwargs: object) -> list[CheckMessage]:
    """Check for settings that are fine in development but not in production."""
    messages: list[CheckMessage] = []
    try:
        settings = get_settings()
    except ConfigurationError:
        return messages  # check_settings reports it
    for source, url in (*_endpoints(), ("OTEL_INTEL['CLICKHOUSE_URL']", settings.CLICKHOUSE_URL)):
        if urlsplit(url).scheme == "http" and not is_loopback(urlsplit(url).hostname):
            hint = "Use https, or a collector on this host."
            text = f"{source} sends telemetry or passwords in plain HTTP to another host."
            messages.append(Warning(text, hint=hint, id="otel_intel.W020"))
    if settings.SEND_IN_TESTS:
        text = "OTEL_INTEL['SEND_IN_TESTS'] lets test runs write into production's numbers."
        messages.append(Warning(text, hint="Set it in the settings of your tests only.", id="otel_intel.W021"))
    if settings.ADMIN_ID_HASH_KEY and len(settings.ADMIN_ID_HASH_KEY) < 16:
        text = "OTEL_INTEL['ADMIN_ID_HASH_KEY'] is short enough to guess: the admin ids could be recovered."
        messages.append(Warning(text, hint="Use 16 random characters or more.", id="otel_intel.W022"))
    return messages


def _unknown() -> Iterator[CheckMessage]:
    variables = [name.removeprefix("OTEL_INTEL_") for name in os.environ if name.startswith("OTEL_INTEL_")]
    for prefix, names in (("OTEL_INTEL key ", unknown_keys()), ("variable OTEL_INTEL_", variables)):
        for name in names:
            if name not in KEYS:
                near = get_close_matches(name.upper(), KEYS, n=1, cutoff=0.5)
                hint = f"Did you mean {near[0]}?" if near else f"The keys are {', '.join(KEYS)}."
                yield Warning(f"Unknown {prefix}{name}.", hint=hint, id="otel_intel.W001")


def _engine_version() -> Iterator[CheckMessage]:
    setting = get_settings().ENGINE_VERSION
    if not setting:
        text = "OTEL_INTEL['ENGINE_VERSION'] is not set: events without a version cannot be compared."
        hint = "Set the version, or the dotted path of the variable that holds it."
        yield Warning(f"{text} They are dropped unless the call passes one.", hint=hint, id="otel_intel.W002")
    elif not isinstance(resolve_engine_version(setting)(), str):
        yield Error(f"OTEL_INTEL['ENGINE_VERSION'] = {setting!r} is not a string.", id="otel_intel.E002")


def _clickhouse() -> Iterator[CheckMessage]:
    settings = get_settings()
    url = settings.CLICKHOUSE_URL
    if not url:
        text = "OTEL_INTEL['CLICKHOUSE_URL'] is not set: the staff pages and the get_* methods cannot answer."
        hint = "Set it, or OTEL_INTEL_CLICKHOUSE_URL, to what `otel-intel env --role reader` prints."
        yield Info(text, hint=hint, id="otel_intel.I001")
    try:
        if url:
            parse_url(url)
    except ValueError as error:
        hint = "Use http(s)://user:password@host:port, as `otel-intel env --role reader` prints it."
        yield Error(f"OTEL_INTEL['CLICKHOUSE_URL'] {error}.", hint=hint, id="otel_intel.E003")
    if settings.VIEW_PERMISSION and settings.VIEW_PERMISSION.count(".") != 1:
        text = f"OTEL_INTEL['VIEW_PERMISSION'] = {settings.VIEW_PERMISSION!r} is no permission."
        yield Error(text, hint='Use "app_label.codename".', id="otel_intel.E004")


def _export() -> Iterator[CheckMessage]:
    if not any(_endpoints("LOGS")):
        text = "No OTEL_EXPORTER_OTLP_ENDPOINT is set: events go to a collector on localhost."
        hint = "Set the variables that `otel-intel env` prints, or those of your collector."
        yield Info(text, hint=hint, id="otel_intel.I002")
    if resource().attributes[SERVICE_NAME] == UNKNOWN_SERVICE:
        text = "OTEL_SERVICE_NAME is not set: every row will say unknown_service."
        yield Info(text, hint="Set it to this site's name.", id="otel_intel.I003")
    for signal in ("LOGS", "TRACES"):
        wanted = protocol(signal)
        for source, url in _endpoints(signal):
            into_clickhouse = "FORMAT" in url and "INSERT" in url
            if wanted == HTTP and urlsplit(url).scheme not in ("http", "https"):
                hint = "OTLP over HTTP needs http:// or https://."
                yield Error(f"{source}={without_secrets(url)} is not an HTTP URL.", hint=hint, id="otel_intel.E005")
            elif into_clickhouse and wanted == GRPC:
                hint = f"Set OTEL_EXPORTER_OTLP_PROTOCOL={HTTP}."
                yield Error(f"{source} is ClickHouse itself, which has no gRPC.", hint=hint, id="otel_intel.E006")
            elif into_clickhouse and source == "OTEL_EXPORTER_OTLP_ENDPOINT":
                hint = "Set OTEL_EXPORTER_OTLP_LOGS_ENDPOINT and _TRACES_ENDPOINT, as `otel-intel env` prints them."
                text = f"{source} is ClickHouse itself, which has no /v1/{signal.lower()}."
                yield Error(text, hint=hint, id="otel_intel.E007")


def _uwsgi() -> Iterator[CheckMessage]:
    uwsgi = sys.modules.get("uwsgi")
    if uwsgi is not None and not {"enable-threads", "threads"} & set(uwsgi.opt):
        hint = "Start uWSGI with --enable-threads."
        yield Error("uWSGI runs without threads: no event would ever be sent.", hint=hint, id="otel_intel.E008")
    if uwsgi is not None and "skip-atexit" in uwsgi.opt:
        hint = "Start uWSGI without --skip-atexit."
        text = "uWSGI skips the exit handlers: each worker that ends loses the events of its last second."
        yield Warning(text, hint=hint, id="otel_intel.W005")


def _endpoints(*signals: str) -> Iterator[tuple[str, str]]:
    for signal in signals or ("LOGS", "TRACES"):
        for name in (f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"):
            if url := os.environ.get(name):
                yield name, url
                break
