"""Write the dashboards and alerts for the user's own Grafana: the committed files, with its names filled in."""

from __future__ import annotations

import errno
import json
import os
import re
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final, NamedTuple

from otel_intel.exceptions import OtelIntelError
from otel_intel.resources import folder

DATASOURCE_UID: Final = "otel-intel-clickhouse"
PLUGIN: Final = "grafana-clickhouse-datasource 4.20.0"
FOLDER: Final = "Decision intelligence"
SITE_URL: Final = "http://127.0.0.1:8000"
RUNBOOK: Final = "grafana/RUNBOOK.md"
PASSWORD_VARIABLE: Final = "INTEL_DASHBOARD_PASSWORD"  # noqa: S105

# Characters that YAML refuses or Grafana reads as a line break. A lone surrogate comes from input that is not UTF-8.
_NO_TEXT: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")
_DATASOURCES: Final = "provisioning/datasources/otel_intel.yaml"
_FORMS: Final = (
    "--clickhouse-url: must be tcp://host:9000, tcp://host:9440?secure=true, http://host:8123 or https://host:8443"
)
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


class Written(NamedTuple):
    """A file that was written, and whether it took the place of another."""

    path: Path
    replaced: bool


def parse_source(url: str) -> Source:
    """Return what a URL says: ``tcp://host:9000``, ``tcp://host:9440?secure=true``, ``http://`` or ``https://``."""
    try:
        parts = urllib.parse.urlsplit(url)
        plain, tls = _PORTS[parts.scheme]
        secure = parts.scheme == "https" or parts.query == "secure=true"
        port = (tls if secure else plain) if parts.port is None else parts.port
    except (KeyError, ValueError):
        raise GrafanaError(_FORMS) from None
    known = parts.query in ("", "secure=true") and parts.path in ("", "/") and not parts.fragment
    username = urllib.parse.unquote(parts.username or "intel_dashboard")
    if not (known and parts.hostname and port) or re.search(r"\s", url) or _NO_TEXT.search(url + username):
        raise GrafanaError(_FORMS)
    if parts.password:
        raise GrafanaError(f"Leave the password out of the URL: Grafana takes it from {PASSWORD_VARIABLE}")
    protocol = "native" if parts.scheme == "tcp" else "http"
    return Source(parts.hostname, port, protocol, secure, username)


def write(
    out: Path,
    *,
    source: Source | None,
    datasource_uid: str = DATASOURCE_UID,
    site_url: str = SITE_URL,
    runbook_url: str = RUNBOOK,
    folder_title: str = FOLDER,
    dashboards_path: str | None = None,
    time_zone: str = "utc",
) -> list[Written]:
    """Write ``provisioning/``, ``dashboards/`` and the alerts' runbook below a directory, or nothing at all.

    Args:
        out: Created if it does not exist; files of the same names are replaced.
        source: None writes no data source: one with that uid exists already.
        datasource_uid: The uid of the data source that dashboards and alerts use.
        site_url: The root of the site whose staff pages are linked to.
        runbook_url: Where the runbook can be read, for the alerts' links. The default is a path, not a link.
        folder_title: The folder in Grafana.
        dashboards_path: Where Grafana sees ``dashboards/``; by default its absolute path.
        time_zone: The dashboards' time zone: the one whose days the numbers are counted by.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", datasource_uid):
        raise GrafanaError("--datasource-uid: a uid is up to 40 letters, digits, - and _")
    path = str((out / "dashboards").resolve()) if dashboards_path is None else dashboards_path
    options = {"--out": str(out), "--folder": folder_title, "--dashboards-path": path, "--runbook-url": runbook_url}
    for option, text in options.items():
        if _NO_TEXT.search(text):
            raise GrafanaError(f"{option}: must be UTF-8 without line breaks and control characters")
    if not folder_title.strip() or "/" in folder_title:
        raise GrafanaError("--folder: a title must not be empty or hold a slash")
    if not (PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute()):
        raise GrafanaError("--dashboards-path: must be absolute, as Grafana sees it")
    if not _is_root(site_url):
        raise GrafanaError(
            "--site-url: must be the site's root, such as https://intranet.example, without /telemetry/ and query"
        )
    if runbook_url != RUNBOOK and not re.fullmatch(r"https?://[^\s$#'\"]+", runbook_url):
        raise GrafanaError("--runbook-url: must begin with http:// or https://, and hold no #, $, quote or space")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_+/-]*", time_zone):
        raise GrafanaError("--time-zone: must be a name such as Asia/Kolkata")
    files: dict[str, str] = {}
    for file in sorted(folder("grafana").glob("dashboards/*.json")):
        text = _swap(file.read_text(encoding="utf-8"), json.dumps(DATASOURCE_UID), json.dumps(datasource_uid))
        site = json.dumps(site_url.rstrip("/"), ensure_ascii=False)
        text = _swap(text, json.dumps(SITE_URL), site)
        files[f"dashboards/{file.name}"] = _swap(text, '"timezone": "utc"', f'"timezone": {json.dumps(time_zone)}')
    provider = _swap(_provisioning("dashboards"), _quoted(FOLDER), _quoted(folder_title))
    files["provisioning/dashboards/otel_intel.yaml"] = _swap(
        provider, _quoted("/var/lib/grafana/dashboards"), _quoted(path)
    )
    alerts = _swap(_provisioning("alerting"), f"folder: {FOLDER}", f"folder: {_quoted(folder_title)}")
    alerts = _swap(alerts, f"{RUNBOOK}#", f"{runbook_url}#")
    files["provisioning/alerting/otel_intel.yaml"] = _swap(alerts, DATASOURCE_UID, datasource_uid)
    if source:
        files[_DATASOURCES] = _datasource(source, datasource_uid)
    files["RUNBOOK.md"] = _runbook()
    written = [Written(out / name, (out / name).exists()) for name in files]
    for target, _ in written:
        _require_writable(target)
    for (target, _), text in zip(written, files.values(), strict=True):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return written


def next_steps(out: Path, source: Source | None, dashboards_path: str) -> Iterator[str]:
    """Yield the lines that tell the user what to do next."""
    former = out / _DATASOURCES
    if source is None and former.exists():
        yield f"Remove {former}: an earlier run wrote it, and Grafana would add that data source, too."
    yield f"Next: Grafana 11.6 or later with the plugin {PLUGIN},"
    yield f"  {(out / 'provisioning').resolve()} in place of (or copied into) its provisioning folder,"
    if dashboards_path:
        yield f"  {(out / 'dashboards').resolve()} mounted at {dashboards_path},"
    if source:
        yield f"  and {PASSWORD_VARIABLE}, the password of {source.username}, in its environment. Then restart it."
    else:
        yield "  and restart it."


def _is_root(url: str) -> bool:
    """Tell whether links can be made of a URL by appending /telemetry/."""
    try:
        parts = urllib.parse.urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    of_site = re.fullmatch(r"https?://[^\s/?#@$'\"\\]+(/[^\s?#$'\"\\]*)?", url) and not _NO_TEXT.search(url)
    return bool(has_host and of_site) and not parts.path.rstrip("/").endswith("/telemetry")


def _require_writable(target: Path) -> None:
    if target.is_symlink() or (target.exists() and not target.is_file()):
        raise GrafanaError(f"{target} is in the way: not a file. Nothing was written")
    there = next(path for path in (target, *target.parents) if path.exists())
    reason = 0
    if there != target and not there.is_dir():
        reason = errno.ENOTDIR
    elif not os.access(there, os.W_OK):
        reason = errno.EROFS if os.statvfs(there).f_flag & os.ST_RDONLY else errno.EACCES
    if reason:
        raise GrafanaError(f"'{target}' cannot be written: '{there}': {os.strerror(reason)}. Nothing was written")


def _runbook() -> str:
    """Return the runbook without relative links: the files that they lead to are not copied."""
    text = folder("grafana").joinpath("RUNBOOK.md").read_text(encoding="utf-8")
    text = _swap(text, "`limits.py`", "`grafana/limits.py` of otel-intel's source")
    return re.sub(r"\[([^]]+)\]\(\.\./([^)#]+)[^)]*\)", r"\1 (`\2` of otel-intel's source)", text)


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
        raise GrafanaError(f"This package's Grafana files do not contain {before}: install it again")
    return text.replace(before, after)
