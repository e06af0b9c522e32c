"""docker-compose.yml, as far as it can be tested without a Docker engine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from otel_intel.resources import folder
from tests.collector.process import binary
from tests.servers import ClickHouse

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
VARIABLE = re.compile(r"\$\{(\w+)(:[?-])?([^}]*)\}")
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["services"]


def environment(service: str) -> dict[str, str]:
    """Return a service's environment; each secret's value is made from its name."""
    found = SERVICES[service].get("environment", {})
    return {name: VARIABLE.sub(lambda match: f"the-{match[1]}", value) for name, value in found.items()}


def test_schema_is_the_compose_specification() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    checked = subprocess.run([*command, ROOT / "docker-compose.yml"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_a_missing_secret_stops_compose_and_names_the_file_to_look_into() -> None:
    found = VARIABLE.findall(TEXT)
    for name, how, message in found:
        assert (how, message) in {(":?", "is missing, see .env.example"), (":-", "")}, name
    assert {how for name, how, _ in found if re.search("PASSWORD|TOKEN|SECRET", name)} == {":?"}


def test_example_names_every_variable_and_no_other() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert set(re.findall(r"^(\w+)=$", example, re.MULTILINE)) == {name for name, *_ in VARIABLE.findall(TEXT)}


def test_the_line_in_the_example_fills_in_every_secret(tmp_path: Path) -> None:
    example = ROOT / ".env.example"
    [line] = re.findall(r"^#   (\(umask .*)$", example.read_text(encoding="utf-8"), re.MULTILINE)
    tmp_path.joinpath(".env.example").write_bytes(example.read_bytes())
    subprocess.run(["sh", "-c", line], cwd=tmp_path, check=True)
    filled = dict(re.findall(r"^(\w+)=(.*)$", (tmp_path / ".env").read_text(encoding="utf-8"), re.MULTILINE))
    secrets = {name: filled[name] for name, how, _ in VARIABLE.findall(TEXT) if how == ":?"}
    assert all(re.fullmatch("[0-9a-f]{48}", secret) for secret in secrets.values()), secrets
    assert len(set(secrets.values())) == len(secrets)
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0


def test_images_have_the_versions_that_are_tested(clickhouse_server: ClickHouse) -> None:
    images = {name: service["image"] for name, service in SERVICES.items() if "image" in service}
    assert all(re.fullmatch(r"[\w/-]+:\d+\.\d+[\d.]*", image) for image in images.values())
    collector = yaml.safe_load(folder("collector").joinpath("builder.yaml").read_text())["dist"]["version"]
    assert images["collector"].endswith(f"collector-contrib:{collector}")
    minor = ".".join(clickhouse_server.value("SELECT version()").split(".")[:2])
    assert images["clickhouse"].startswith(f"clickhouse/clickhouse-server:{minor}.")
    assert images["queue-owner"] == images["clickhouse"]
    # The wheel and the image have patch releases of their own; the dictionary says which.
    dictionary = (ROOT / "clickhouse/README.md").read_text(encoding="utf-8")
    for version in (clickhouse_server.value("SELECT version()"), images["clickhouse"].partition(":")[2]):
        assert str(version) in dictionary


@pytest.mark.parametrize("service", SERVICES)
def test_mounted_files_exist_and_may_be_read_by_the_image(service: str) -> None:
    for volume in SERVICES[service].get("volumes", []):
        source, target, *mode = volume.split(":")
        if source.startswith("."):
            path = ROOT / source
            files = [path] if path.is_file() else list(path.iterdir())
            assert files
            assert all(file.is_file() and file.stat().st_mode & 0o004 for file in files)
            assert mode == ["ro"]
            assert target.startswith(("/etc/", "/var/lib/grafana/dashboards"))
        else:
            assert source in yaml.safe_load(TEXT)["volumes"]


@pytest.mark.parametrize("service", SERVICES)
def test_service_is_confined(service: str) -> None:
    declared = SERVICES[service]
    assert declared["read_only"] is True
    assert declared["security_opt"] == ["no-new-privileges:true"]
    assert "mem_limit" in declared
    assert all(port.startswith("127.0.0.1:") for port in declared.get("ports", []))


@pytest.mark.parametrize("service", SERVICES)
def test_conditions_of_dependencies_can_be_met(service: str) -> None:
    for name, dependency in SERVICES[service].get("depends_on", {}).items():
        awaited = SERVICES[name]
        match dependency["condition"]:
            case "service_healthy":
                assert "healthcheck" in awaited
            case "service_completed_successfully":
                assert awaited["restart"] != "unless-stopped"
            case condition:
                assert condition == "service_started"


def test_stop_waits_longer_than_the_server() -> None:
    config = folder("clickhouse").joinpath("server", "config.xml").read_text()
    [unfinished] = re.findall(r"<shutdown_wait_unfinished>(\d+)<", config)
    assert int(SERVICES["clickhouse"]["stop_grace_period"].rstrip("s")) > int(unfinished)


def test_collector_takes_its_configuration_with_this_environment(tmp_path: Path) -> None:
    configs = [folder("collector") / Path(option.partition("=")[2]).name for option in SERVICES["collector"]["command"]]
    needed = set(re.findall(r"\$\{env:(\w+)\}", "".join(config.read_text() for config in configs)))
    settings = environment("collector")
    assert needed <= settings.keys()
    for config in configs:
        assert f"./collector/{config.name}:/etc/otelcol/{config.name}:ro" in SERVICES["collector"]["volumes"]
    settings["QUEUE_DIR"] = str(tmp_path)  # otherwise the container's directory would be created on this machine
    command = [str(binary()), "validate", *(f"--config={config}" for config in configs)]
    checked = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_server_gets_every_password_that_its_users_need() -> None:
    users = folder("clickhouse").joinpath("server", "users.xml").read_text()
    assert set(re.findall(r'from_env="(\w+)"', users)) <= environment("clickhouse").keys()


def test_each_service_logs_in_with_its_own_password() -> None:
    assert environment("collector")["CLICKHOUSE_PASSWORD"] == "the-INTEL_WRITER_PASSWORD"
    assert environment("migrate")["CLICKHOUSE_URL"] == "http://intel_admin:the-INTEL_ADMIN_PASSWORD@clickhouse:8123"
    demo = environment("demo")
    assert demo["OTEL_INTEL_CLICKHOUSE_URL"] == "http://intel_reader:the-INTEL_READER_PASSWORD@clickhouse:8123"
    assert demo["OTEL_EXPORTER_OTLP_HEADERS"] == "authorization=Bearer%20the-OTLP_INGEST_TOKEN"


def provisioning(kind: str) -> Any:
    """Return a provisioning file of Grafana's."""
    return yaml.safe_load(folder("grafana").joinpath("provisioning", kind, "otel_intel.yaml").read_text())


def test_grafana_gets_every_variable_of_its_provisioning() -> None:
    needed = set()
    for kind in ("datasources", "dashboards"):
        text = folder("grafana").joinpath("provisioning", kind, "otel_intel.yaml").read_text()
        lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
        needed |= {name for line in lines for name in re.findall(r"\$\{?(\w+)", line)}
    assert needed
    assert needed <= environment("grafana").keys()


def test_grafana_has_the_plugin_that_its_queries_are_written_for() -> None:
    plugin = environment("grafana")["GF_PLUGINS_PREINSTALL_SYNC"]
    dashboards = folder("grafana").glob("dashboards/*.json")
    versions = set(re.findall(r'"pluginVersion": "([\d.]+)"', "".join(path.read_text() for path in dashboards)))
    assert {f"grafana-clickhouse-datasource@{version}" for version in versions} == {plugin}


def test_grafana_finds_its_dashboards_and_clickhouse() -> None:
    mounted = dict(volume.split(":")[:2] for volume in SERVICES["grafana"]["volumes"])
    [provider] = provisioning("dashboards")["providers"]
    assert mounted["./grafana/dashboards"] == provider["options"]["path"]
    home = Path(environment("grafana")["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == provider["options"]["path"]
    assert folder("grafana").joinpath("dashboards", home.name).is_file()
    [source] = provisioning("datasources")["datasources"]
    assert source["jsonData"]["host"] in SERVICES
    ports = (port.rpartition(":")[2] for port in SERVICES[source["jsonData"]["host"]]["ports"])
    assert str(source["jsonData"]["port"]) in ports


def test_image_is_built_from_files_in_the_context() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    kept = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    copied = [source for line in re.findall(r"^COPY (.+)$", dockerfile, re.MULTILINE) for source in line.split()[:-1]]
    assert sorted(copied) == sorted(kept)
    assert all((ROOT / source).exists() for source in copied)
    targets = set(re.findall(r"^FROM .* AS (\w+)$", dockerfile, re.MULTILINE))
    assert {service["build"]["target"] for service in SERVICES.values() if "build" in service} == targets


def test_operations_guide_tells_how_to_replace_every_secret() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8").partition("## New secrets")[2]
    explained = set(re.findall(r"^\| `(\w+)` \|", text.partition("\n## ")[0], re.MULTILINE))
    assert explained == {name for name, how, _ in VARIABLE.findall(TEXT) if how == ":?"}


def test_operations_guide_names_existing_services_and_volumes() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    named = re.findall(r"docker compose (?:stop|start|restart) (\w+)", text)
    named += re.findall(r"docker compose run --rm (?:-T )?(?:--no-deps )?(?:--entrypoint \w+ )?(\w+)", text)
    named += re.findall(r"docker compose (?:up -d|build|exec -T|rm -sf)(?: --[\w-]+)* (\w+)", text)
    assert named
    assert set(named) <= SERVICES.keys()
    declared = yaml.safe_load(TEXT)
    volumes = set(re.findall(rf"{declared['name']}_(\w+)", text))
    assert volumes == {"clickhouse", "grafana"}
    assert volumes <= declared["volumes"].keys()
    assert "clickhouse:/var/lib/clickhouse" in SERVICES["clickhouse"]["volumes"]
    assert "grafana:/var/lib/grafana" in SERVICES["grafana"]["volumes"]
    assert SERVICES["migrate"]["command"] == ["migrate"]  # so that another command takes its place
