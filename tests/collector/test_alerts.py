"""The rules for Prometheus name what the real Collector reports, in every state that they are about."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import requests
import yaml

from otel_intel.resources import folder
from tests.collector.process import Collector
from tests.docs.markdown import blocks, read
from tests.otlp import event, logs_request
from tests.servers import ClickHouse
from tests.waiting import poll_until

FILE = folder("collector") / "alerts.yaml"
RULES = [rule for group in yaml.safe_load(FILE.read_text(encoding="utf-8"))["groups"] for rule in group["rules"]]
METRIC = re.compile(r"\botelcol_\w+")


def shown(collector: Collector) -> set[str]:
    """Return the names of the metrics that have a series."""
    text = requests.get(f"http://127.0.0.1:{collector.metrics_port}/metrics", timeout=5).text
    return set(re.findall(r"^(\w+){", text, re.MULTILINE))


def test_every_metric_of_the_rules_exists(collector: Collector, clickhouse: ClickHouse, tmp_path: Path) -> None:
    named = {name for rule in RULES for name in METRIC.findall(rule["expr"])}
    collector.start()
    collector.send([event("dashboard.opened")])
    assert poll_until(lambda: "otelcol_exporter_sent_log_records" in shown(collector))
    reported = shown(collector)
    collector.stop()

    collector.settings |= {"CLICKHOUSE_PASSWORD": "wrong", "QUEUE_SIZE": "1000"}
    collector.start()
    request = logs_request([event("dashboard.opened") for _ in range(600)])
    assert [collector.offer(request) for _ in range(2)] == [200, 503]
    assert collector.metric("otelcol_receiver_refused_log_records") == 600
    assert collector.metric("otelcol_exporter_enqueue_failed_log_records") == 600
    size = collector.metric("otelcol_exporter_queue_size", exporter="clickhouse/intel", data_type="logs")
    assert (
        size / collector.metric("otelcol_exporter_queue_capacity", exporter="clickhouse/intel", data_type="logs") > 0.5
    )
    reported |= shown(collector)
    collector.stop()

    gives_up = tmp_path / "gives_up.yaml"
    gives_up.write_text("exporters:\n  clickhouse/intel:\n    retry_on_failure:\n      max_elapsed_time: 1s\n")
    collector.configs.append(gives_up)
    collector.start()
    assert poll_until(lambda: collector.metric("otelcol_exporter_send_failed_log_records") > 0)
    reported |= shown(collector)
    assert named <= reported, named - reported


def test_rules_route_like_those_of_grafana_and_scrape_what_they_name() -> None:
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule["labels"]["source"] == "otel-intel"
        assert rule["labels"]["severity"] in ("critical", "warning")
    [scrape] = [
        yaml.safe_load(block.code) for block in blocks(read("collector/README.md")) if "scrape_configs" in block.code
    ]
    assert scrape["rule_files"] == ["otel-intel/collector/alerts.yaml"]
    [job] = scrape["scrape_configs"]
    for other in re.findall(r'job="([^"]+)"', FILE.read_text(encoding="utf-8")):
        assert other == job["job_name"]


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is missing; install it with: apt-get install prometheus"
)
def test_prometheus_takes_the_rules() -> None:
    checked = subprocess.run(["promtool", "check", "rules", FILE], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
