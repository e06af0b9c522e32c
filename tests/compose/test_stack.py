"""The stack without containers: each service's command with its environment, as in docker-compose.yml."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import clickhouse_connect
import pytest

from tests.collector.process import Collector
from tests.compose.test_compose import ROOT, SERVICES, VARIABLE
from tests.processes import free_port, running
from tests.servers import ClickHouse, run_as_in_production
from tests.waiting import poll_until

TOKEN = "the-token"


class Stack:
    """The services as processes of this machine: other ports and directories, everything else as declared."""

    def __init__(self, directory: Path, clickhouse: ClickHouse) -> None:
        self.directory = directory
        self.collector = Collector(directory / "collector", clickhouse.server)
        self.site_port = free_port()
        passwords = clickhouse.server.passwords
        self._secrets = {f"INTEL_{role.upper()}_PASSWORD": password for role, password in passwords.items()}
        self._secrets["OTLP_INGEST_TOKEN"] = TOKEN
        self._places = {
            "clickhouse:8123": f"127.0.0.1:{clickhouse.server.http_port}",
            "clickhouse:9000": f"127.0.0.1:{clickhouse.server.native_port}",
            "collector:4318": f"127.0.0.1:{self.collector.http_port}",
            "0.0.0.0:4318": f"127.0.0.1:{self.collector.http_port}",
            "0.0.0.0:4317": f"127.0.0.1:{self.collector.grpc_port}",
            "0.0.0.0:13133": f"127.0.0.1:{self.collector.health_port}",
            "127.0.0.1:8000": f"127.0.0.1:{self.site_port}",
            "8888": str(self.collector.metrics_port),
            "0.0.0.0": "127.0.0.1",  # noqa: S104 (what is replaced)
            "/var/lib/otelcol": str(directory / "queue"),
            "/var/lib/demo": str(directory / "demo"),
            "/etc/otelcol/": f"{ROOT / 'collector'}/",
        }

    def here(self, text: str) -> str:
        """Return a declared value with this machine's ports and directories."""
        text = VARIABLE.sub(lambda match: self._secrets.get(match[1], ""), text)
        place = re.compile("|".join(map(re.escape, sorted(self._places, key=len, reverse=True))))
        return place.sub(lambda match: self._places[match[0]], text)

    def environment(self, service: str) -> dict[str, str]:
        """Return a service's environment, with only PATH from this process."""
        declared = SERVICES[service]["environment"]
        return {"PATH": os.environ["PATH"], **{name: self.here(value) for name, value in declared.items()}}

    def demo(self) -> list[str]:
        """Return the command that the demo's image runs, for a short history."""
        entrypoint, command = re.findall(
            r"^(?:ENTRYPOINT|CMD) (.*)$", (ROOT / "Dockerfile").read_text().partition("AS demo")[2], re.MULTILINE
        )
        _, *arguments = [self.here(part) for part in json.loads(entrypoint) + json.loads(command)]
        return [sys.executable, *arguments, "--days=14", f"--port={self.site_port}"]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """The stack with ClickHouse, the schema and the Collector running, started in the declared order."""
    with run_as_in_production(tmp_path / "clickhouse") as clickhouse, contextlib.ExitStack() as cleanup:
        stack = Stack(tmp_path, clickhouse)
        cleanup.enter_context(stack.collector)
        command = [sys.executable, "-m", "otel_intel", *SERVICES["migrate"]["command"]]
        subprocess.run(command, env=stack.environment("migrate"), cwd=ROOT, check=True, capture_output=True, timeout=60)
        stack.collector.settings = stack.environment("collector")
        stack.collector.configs = [
            Path(stack.here(option).removeprefix("--config=")) for option in SERVICES["collector"]["command"]
        ]
        stack.collector.start()
        command = [sys.executable, "-m", "otel_intel", *SERVICES["refresh"]["command"]]
        cleanup.enter_context(running(command, env=stack.environment("refresh"), cwd=ROOT))
        yield stack


def test_the_demos_history_arrives_through_the_stack(stack: Stack) -> None:
    environment = stack.environment("demo")
    log = stack.directory / "demo.log"
    with (
        log.open("wb") as output,
        running(stack.demo(), env=environment, cwd=ROOT, stdout=output, stderr=output) as site,
    ):
        _, *check = [stack.here(part) for part in SERVICES["demo"]["healthcheck"]["test"]]
        check[0] = sys.executable
        healthy = poll_until(lambda: subprocess.run(check, capture_output=True, check=False).returncode == 0, 60, 0.5)
        assert healthy, log.read_text()
        client = clickhouse_connect.get_client(dsn=environment["OTEL_INTEL_CLICKHOUSE_URL"])

        def shown(view: str) -> bool:
            return bool(client.query(f"SELECT count() FROM metrics.{view}").result_rows[0][0])

        for view in ("recommendation_events", "signal_outcomes", "admin_views"):
            assert poll_until(partial(shown, view), 30), view
        client.close_connections()
        client.close()
        site.send_signal(signal.SIGTERM)
        grace = int(SERVICES["demo"]["stop_grace_period"].removesuffix("s"))
        assert site.wait(grace) == 0, log.read_text()
