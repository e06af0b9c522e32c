"""A real collector process for one test: free ports, its own queue, short intervals."""

from __future__ import annotations

import os
import re
import runpy
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import requests
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from otel_intel.resources import folder
from otel_intel.server.embedded import Server
from tests.otlp import Record, logs_request
from tests.processes import free_port
from tests.waiting import poll_until

FOLDER = folder("collector")
CONFIG = FOLDER / "config.yaml"
ALLOWED_CONFIG = FOLDER / "allowed.yaml"
TLS_CONFIG = FOLDER / "tls.yaml"
TOKEN = "test-token"


def binary() -> Path:
    """Return the collector's binary; build it if it is not in the cache."""
    path: Path = runpy.run_path(str(FOLDER / "build.py"))["build"]()
    return path


class Collector:
    """One collector: it keeps its ports and queue over restarts; ``settings`` may change in between."""

    def __init__(self, directory: Path, server: Server) -> None:
        directory.mkdir(exist_ok=True)
        self.log = directory / "collector.log"
        self.queue = directory / "queue"
        self.http_port, self.grpc_port, self.metrics_port, self.health_port = (free_port() for _ in range(4))
        self.settings = {
            "OTLP_INGEST_TOKEN": TOKEN,
            "OTLP_HTTP_ENDPOINT": f"127.0.0.1:{self.http_port}",
            "OTLP_GRPC_ENDPOINT": f"127.0.0.1:{self.grpc_port}",
            "METRICS_PORT": str(self.metrics_port),
            "HEALTH_ENDPOINT": f"127.0.0.1:{self.health_port}",
            "CLICKHOUSE_ENDPOINT": f"tcp://127.0.0.1:{server.native_port}",
            "CLICKHOUSE_PASSWORD": server.passwords["writer"],
            "QUEUE_DIR": str(self.queue),
            "RETRY_INTERVAL": "50ms",
            "RETRY_MAX_INTERVAL": "200ms",
        }
        self.configs: list[Path] = [CONFIG, ALLOWED_CONFIG]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of its OTLP/HTTP endpoint."""
        return f"http://127.0.0.1:{self.http_port}"

    def start(self) -> Collector:
        """Start it and return when it accepts requests."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [binary(), *(f"--config={path}" for path in self.configs)],
                env={"PATH": os.environ["PATH"], **self.settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        assert poll_until(self._answers, 20), self.log.read_text()[-3000:]
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        try:
            return requests.get(f"http://127.0.0.1:{self.health_port}", timeout=1).status_code == 200
        except requests.ConnectionError:
            return False

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """Stop it and wait until it has ended."""
        if self.process is not None:
            self.process.send_signal(how)
            try:
                self.process.wait(60)
            finally:
                self.process.kill()
                self.process = None

    def __enter__(self) -> Collector:
        return self

    def __exit__(self, *error: object) -> None:
        """Kill it at once."""
        self.stop(signal.SIGKILL)

    def variables(self, protocol: str = "http/protobuf") -> dict[str, str]:
        """Return the environment of an application that sends here."""
        port = self.http_port if protocol == "http/protobuf" else self.grpc_port
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{TOKEN}",
        }

    def post(self, body: bytes, path: str = "/v1/logs", token: str | None = TOKEN) -> int:
        """Post a request's bytes and return the status."""
        headers = {"Content-Type": "application/x-protobuf"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        return requests.post(f"{self.url}{path}", data=body, headers=headers, timeout=30).status_code

    def send(self, records: Sequence[Record]) -> None:
        """Send records in one request and check that it is acknowledged."""
        assert self.post(logs_request(records).SerializeToString()) == 200

    def offer(self, request: ExportLogsServiceRequest) -> int:
        """Post a request and return the status; 503 if nothing listens on the port."""
        try:
            return self.post(request.SerializeToString())
        except requests.ConnectionError:
            return 503

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of one of the collector's own metrics over the series with these labels."""
        text = requests.get(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5).text
        total = 0.0
        for found in re.finditer(rf"^{name}{{(.*)}} (\S+)$", text, re.MULTILINE):
            if all(f'{key}="{value}"' in found[1] for key, value in labels.items()):
                total += float(found[2])
        return total

    def logged(self) -> str:
        """Return its log so far."""
        return self.log.read_text(encoding="utf-8")
