"""The configuration: valid, generated from the catalogue, one version; it never drops data or keeps it in memory."""

from __future__ import annotations

import re
import runpy
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.collector.process import ALLOWED_CONFIG, CONFIG, FOLDER, TLS_CONFIG, binary

ROOT = Path(__file__).resolve().parents[2]
VARIABLES = {
    "OTLP_INGEST_TOKEN": "t",
    "CLICKHOUSE_ENDPOINT": "tcp://127.0.0.1:9000",
    "CLICKHOUSE_PASSWORD": "p",
    "QUEUE_DIR": "/var/lib/otelcol",
    "OTLP_TLS_CERT_FILE": "cert.pem",
    "OTLP_TLS_KEY_FILE": "key.pem",
}


@pytest.mark.parametrize("configs", [[CONFIG, ALLOWED_CONFIG], [CONFIG, ALLOWED_CONFIG, TLS_CONFIG]])
def test_collector_accepts_the_configuration(configs: list[Path]) -> None:
    command = [str(binary()), "validate", *(f"--config={path}" for path in configs)]
    result = subprocess.run(command, env=VARIABLES, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize(
    ("missing", "said"),
    [("OTLP_INGEST_TOKEN", "no bearer token provided"), ("CLICKHOUSE_ENDPOINT", "endpoint must be specified")],
)
def test_missing_variable_is_refused(missing: str, said: str, empty: bool) -> None:
    variables = {name: value for name, value in VARIABLES.items() if name != missing} | ({missing: ""} if empty else {})
    command = [str(binary()), "validate", f"--config={CONFIG}", f"--config={ALLOWED_CONFIG}"]
    result = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert said in result.stderr


def test_without_the_allow_list_it_does_not_start() -> None:
    command = [str(binary()), "validate", f"--config={CONFIG}"]
    result = subprocess.run(command, env=VARIABLES, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert re.search(
        r'references processor "(redaction|transform/scalars_of)\S+" which is not configured', result.stderr
    )


def test_every_component_has_the_pinned_version() -> None:
    pinned = runpy.run_path(str(FOLDER / "build.py"))["pinned_version"]()
    manifest = yaml.safe_load((FOLDER / "builder.yaml").read_text())
    kinds = ("receivers", "processors", "exporters", "connectors", "extensions")
    modules = [module["gomod"] for kind in kinds for module in manifest[kind]]
    assert {module.rpartition(" v")[2] for module in modules} == {pinned}


@pytest.mark.parametrize("file", ["docker-compose.yml", "collector/README.md"])
def test_version_is_the_same_everywhere(file: str) -> None:
    path = ROOT / file
    if not path.exists():
        pytest.skip(f"{file} does not exist yet")
    pinned = runpy.run_path(str(FOLDER / "build.py"))["pinned_version"]()
    versions = r"opentelemetry-collector-contrib:([\w.]+)|[Cc]ollector v?(\d+\.\d+\.\d+)"
    named = re.findall(versions, path.read_text())
    assert {image or text for image, text in named} == {pinned}


def test_no_exporter_ever_gives_up_or_acknowledges_from_memory() -> None:
    # yaml resolves the anchor as the collector does.
    config = yaml.safe_load(CONFIG.read_text())
    for name, exporter in config["exporters"].items():
        assert exporter["retry_on_failure"]["enabled"] is True, name
        assert exporter["retry_on_failure"]["max_elapsed_time"] == "0s", name
        assert exporter["sending_queue"]["storage"] == "file_storage/queue", name
        assert exporter["create_schema"] is False, name
    assert config["extensions"]["file_storage/queue"]["fsync"] is True
    assert not any(name.startswith("batch") for name in config["processors"])


def test_every_receiver_requires_the_token() -> None:
    protocols = yaml.safe_load(CONFIG.read_text())["receivers"]["otlp"]["protocols"]
    assert {name: protocol["auth"]["authenticator"] for name, protocol in protocols.items()} == {
        "http": "bearertokenauth/ingest",
        "grpc": "bearertokenauth/ingest",
    }
