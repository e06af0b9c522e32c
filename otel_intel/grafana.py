"""Writes the dashboards and alerts for a Grafana of one's own: the committed files, with its names put in."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .exceptions import OtelIntelError
from .resources import folder

DATASOURCE_UID: Final = "otel-intel-clickhouse"
PLUGIN: Final = "grafana-clickhouse-datasource 4.20.0"
FOLDER: Final = "Decision intelligence"
SITE_URL: Final = "http://127.0.0.1:8000"
RUNBOOK: Final = "grafana/RUNBOOK.md"
PASSWORD_VARIABLE: Final = "INTEL_DASHBOARD_PASSWORD"  # noqa: S105

_PORTS: Final = {"tcp": (9000, 9440), "http": (8123, 8123), "https": (8443, 8443)}


class GrafanaError(OtelIntelError):
    """The files cannot be written as asked; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where Grafana's plugin finds ClickHouse, and as whom."""

    host: str
    port: int
    protocol: str
    secure: bool
    username: str


def parse_source(url: str) -> Source:
    """Return what a URL says: ``tcp://host:9000``, ``tcp://host:9440?secure=true``, ``http://`` or ``https://``."""
    parts = urllib.parse.urlsplit(url)
    secure = parts.scheme == "https" or parts.query == "secure=true"
    try:
        plain, tls = _PORTS[parts.scheme]
        port = parts.port or (tls if secure else plain)
    except (KeyError, ValueError):
        parts = urllib.parse.SplitResult("", "", "", "", "")
    if not parts.hostname or parts.query not in ("", "secure=true") or parts.path not in ("", "/"):
        raise GrafanaError(
            "The ClickHouse URL must be tcp://host:9000, tcp://host:9440?secure=true, http://host:8123 or https://host:8443"
        )
    if parts.password:
        raise GrafanaError(f"Leave the password out of the URL: Grafana takes it from {PASSWORD_VARIABLE}")
    protocol = "native" if parts.scheme == "tcp" else "http"
    return Source(parts.hostname, port, protocol, secure, parts.username or "intel_dashboard")


def write(
    out: Path,
    *,
    source: Source | None,
    datasource_uid: str = DATASOURCE_UID,
    site_url: str = SITE_URL,
    runbook_url: str = RUNBOOK,
    folder_title: str = FOLDER,
    dashboards_path: str = "",
) -> list[Path]:
    """Write ``provisioning/``, ``dashboards/`` and the alerts' runbook below a directory; return what was written.

    Args:
        out: Made if it does not exist; files of the same names are replaced.
        source: None writes no data source: there is one of that uid already.
        datasource_uid: What dashboards and alerts refer to.
        site_url: Where the staff pages are, for links to them.
        runbook_url: Where the runbook can be read, for the alerts' links; as it is, a path and no link.
        folder_title: The folder in Grafana.
        dashboards_path: Where Grafana sees ``dashboards/``; by default its absolute path.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", datasource_uid):
        raise GrafanaError("--datasource-uid: a uid is up to 40 letters, digits, - and _")
    if not folder_title.strip() or "/" in folder_title:
        raise GrafanaError("--folder: a title must not be empty or hold a slash")
    if urllib.parse.urlsplit(site_url).scheme not in ("http", "https"):
        raise GrafanaError("--site-url: must begin with http:// or https://")
    if runbook_url != RUNBOOK and not re.fullmatch(r"https?://[^\s$#'\"]+", runbook_url):
        raise GrafanaError("--runbook-url: must begin with http:// or https://, and hold no #, $, quote or space")
    path = dashboards_path or str((out / "dashboards").resolve())
    files: dict[str, str] = {}
    for file in sorted(folder("grafana").glob("dashboards/*.json")):
        text = _swap(file.read_text(encoding="utf-8"), json.dumps(DATASOURCE_UID), json.dumps(datasource_uid))
        files[f"dashboards/{file.name}"] = text.replace(
            json.dumps(SITE_URL), json.dumps(site_url.rstrip("/"), ensure_ascii=False)
        )
    provider = _swap(_provisioning("dashboards"), _quoted(FOLDER), _quoted(folder_title))
    files["provisioning/dashboards/otel_intel.yaml"] = _swap(
        provider, _quoted("/var/lib/grafana/dashboards"), _quoted(path)
    )
    alerts = _swap(_provisioning("alerting"), f"folder: {FOLDER}", f"folder: {_quoted(folder_title)}")
    alerts = _swap(alerts, f"{RUNBOOK}#", f"{runbook_url}#")
    files["provisioning/alerting/otel_intel.yaml"] = _swap(alerts, DATASOURCE_UID, datasource_uid)
    if source:
        files["provisioning/datasources/otel_intel.yaml"] = _datasource(source, datasource_uid)
    files["RUNBOOK.md"] = folder("grafana").joinpath("RUNBOOK.md").read_text(encoding="utf-8")
    for name, text in files.items():
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return [out / name for name in files]


def next_steps(out: Path, source: Source | None, dashboards_path: str) -> Iterator[str]:
    """Yield what is left to do, for people."""
    yield f"Next: Grafana 11.6 or later with the plugin {PLUGIN},"
    yield f"  {(out / 'provisioning').resolve()} in place of (or copied into) its provisioning folder,"
    if dashboards_path:
        yield f"  {(out / 'dashboards').resolve()} mounted at {dashboards_path},"
    if source:
        yield f"  and {PASSWORD_VARIABLE}, the password of {source.username}, in its environment. Then restart it."
    else:
        yield "  and restart it."


def _provisioning(kind: str) -> str:
    return folder("grafana").joinpath("provisioning", kind, "otel_intel.yaml").read_text(encoding="utf-8")


def _datasource(source: Source, uid: str) -> str:
    text = _swap(_provisioning("datasources"), f"uid: {DATASOURCE_UID}", f"uid: {uid}")
    for before, after in (
        ('host: "clickhouse"', f"host: {_quoted(source.host)}"),
        ("port: 9000", f"port: {source.port}"),
        ("protocol: native", f"protocol: {source.protocol}"),
        ("secure: false", f"secure: {str(source.secure).lower()}"),
        ('username: "intel_dashboard"', f"username: {_quoted(source.username)}"),
    ):
        text = _swap(text, before, after)
    return text


def _quoted(value: str) -> str:
    """Return a YAML string; Grafana takes $name in it for a variable, and $$ for a dollar sign."""
    return json.dumps(value.replace("$", "$$"), ensure_ascii=False)


def _swap(text: str, before: str, after: str) -> str:
    if before not in text:
        raise GrafanaError(f"This package's Grafana files do not hold {before}: install it again")
    return text.replace(before, after)
