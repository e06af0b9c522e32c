"""docker-compose.tls.yml on top of docker-compose.yml, as Compose merges them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from tests.collector.process import binary
from tests.compose.test_compose import ROOT, SERVICES, environment

FILE = ROOT / "docker-compose.tls.yml"


class Replaced(list[Any]):
    """A list that replaces the one in the file below, instead of extending it."""


class Loader(yaml.SafeLoader):
    """YAML with Compose's tag !override."""


def replaced(loader: Loader, node: yaml.SequenceNode) -> Replaced:
    """Read the list that has the tag."""
    return Replaced(loader.construct_sequence(node))


Loader.add_constructor("!override", replaced)
SERVICE: dict[str, Any] = yaml.load(FILE.read_text(encoding="utf-8"), Loader)["services"]["collector"]  # noqa: S506
BASE = SERVICES["collector"]


def test_schema_is_the_compose_specification(tmp_path: Path) -> None:
    plain = tmp_path / FILE.name  # the checker's YAML does not know the tag
    plain.write_text(FILE.read_text(encoding="utf-8").replace("!override ", ""), encoding="utf-8")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(plain)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_only_the_receivers_are_open_and_nothing_else_is_lost() -> None:
    assert isinstance(SERVICE["ports"], Replaced)
    ports = {port.rpartition(":")[2]: port.partition(":")[0] for port in SERVICE["ports"]}
    assert {port for port, address in ports.items() if address == "0.0.0.0"} == {"4317", "4318"}  # noqa: S104
    assert ports.keys() == {port.rpartition(":")[2] for port in BASE["ports"]}
    assert all(address == "127.0.0.1" for port, address in ports.items() if port not in ("4317", "4318"))


def test_keys_stay_out_of_version_control_and_a_missing_folder_is_reported() -> None:
    [certificates] = [volume for volume in SERVICE["volumes"] if isinstance(volume, dict)]
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert certificates["source"].removeprefix(".") + "/" in ignored
    assert certificates["bind"] == {"create_host_path": False}
    folder = certificates["target"]
    assert {str(Path(path).parent) for path in SERVICE["environment"].values()} == {folder}
    assert certificates["read_only"] is True


def test_key_belongs_to_the_collectors_user() -> None:
    [user] = re.findall(r"chown (\d+) ", FILE.read_text(encoding="utf-8"))
    assert BASE["user"].split(":")[0] == user


def test_collector_takes_all_files_with_this_environment(tmp_path: Path) -> None:
    volumes = [volume for volume in BASE["volumes"] + SERVICE["volumes"] if isinstance(volume, str)]
    mounted = {volume.split(":")[1]: ROOT / volume.split(":")[0] for volume in volumes}
    configs = [mounted[argument.removeprefix("--config=")] for argument in SERVICE["command"]]
    assert SERVICE["command"][:-1] == BASE["command"]
    assert all(path.stat().st_mode & 0o004 for path in configs)
    needed = {name for path in configs for name in re.findall(r"\$\{env:(\w+)\}", path.read_text())}
    settings = environment("collector") | SERVICE["environment"] | {"QUEUE_DIR": str(tmp_path)}
    assert needed <= settings.keys()
    command = [str(binary()), "validate", *(f"--config={path}" for path in configs)]
    checked = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


READS: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.reads.yml").read_text(encoding="utf-8"))["services"]
TOKENS: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.token.yml").read_text(encoding="utf-8"))["services"]


@pytest.mark.parametrize("name", ["docker-compose.reads.yml", "docker-compose.token.yml"])
def test_schema_of_the_other_files_is_the_compose_specification(name: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(ROOT / name)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_reads_open_the_port_with_tls_and_no_other() -> None:
    service = READS["clickhouse"]
    configuration, certificates = service["volumes"]
    file, target, mode = configuration.split(":")
    assert (Path(target).parent, mode) == (Path("/etc/clickhouse-server/config.d"), "ro")
    https = ElementTree.parse(ROOT / file).getroot()  # noqa: S314
    assert service["ports"] == [f"0.0.0.0:{https.findtext('https_port')}:{https.findtext('https_port')}"]
    for name in ("certificateFile", "privateKeyFile"):
        assert Path(https.findtext(f"openSSL/server/{name}", "")).parent == Path(certificates["target"])
    assert (certificates["read_only"], certificates["bind"]) == (True, {"create_host_path": False})


def test_collector_takes_both_tokens_with_this_environment(tmp_path: Path) -> None:
    service = TOKENS["collector"]
    [volume] = service["volumes"]
    assert service["command"][:-1] == BASE["command"]
    assert service["command"][-1] == f"--config={volume.split(':')[1]}"
    configs = [*(ROOT / "collector" / Path(option).name for option in BASE["command"]), ROOT / volume.split(":")[0]]
    settings = environment("collector") | {"OTLP_INGEST_TOKEN_OLD": "old", "QUEUE_DIR": str(tmp_path)}
    assert service["environment"] == {
        "OTLP_INGEST_TOKEN_OLD": "${OTLP_INGEST_TOKEN_OLD:?is missing, see docs/operations.md}"
    }
    command = [str(binary()), "validate", *(f"--config={path}" for path in configs)]
    checked = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
