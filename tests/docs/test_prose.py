"""Check statements of the Markdown files: commands, options, targets, versions, links."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from otel_intel.commands.main import main
from tests.docs.markdown import ROOT, blocks, read

GUIDES = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/**/*.md") if "_build" not in path.parts)
FILES = [
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"),
    *("clickhouse/README.md", "collector/README.md", "grafana/README.md", "grafana/RUNBOOK.md"),
    *GUIDES,
]


def test_commands_and_their_options_exist() -> None:
    text = "".join(read(path) for path in FILES)
    commands = set(re.findall(r"otel-intel (\w+)((?: (?:--[\w-]+|[^\s`#&;|)]+))*)", text))
    named = {command for command, _ in commands if command in main.commands}
    assert named == set(main.commands)
    for command, arguments in commands:
        if command in named:
            help_text = CliRunner().invoke(main, [command, "--help"]).output
            for option in re.findall(r"--[\w-]+", arguments):
                assert option in help_text, (command, option)


@pytest.mark.parametrize("path", FILES)
def test_blocks_call_only_existing_commands(path: str) -> None:
    shell = [block.code for block in blocks(read(path)) if block.language == "sh"]
    commands = re.findall(r"^otel-intel (\w+)", "".join(shell), re.MULTILINE)
    assert set(commands) <= set(main.commands)
    targets = re.findall(r"^make (\w+)", "".join(shell), re.MULTILINE)
    assert all(re.search(rf"^{target}:", read("Makefile"), re.MULTILINE) for target in targets)


@pytest.mark.parametrize("path", FILES)
def test_links_lead_somewhere(path: str) -> None:
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", read(path)):
        assert (ROOT / path).parent.joinpath(link).exists(), link


@pytest.mark.parametrize("path", FILES)
def test_named_chdb_version_is_the_one_of_the_package(path: str) -> None:
    [embedded] = tomllib.loads(read("pyproject.toml"))["project"]["optional-dependencies"]["embedded"]
    assert set(re.findall(r"chdb-core==[\w.]+", read(path))) <= {embedded}


def test_no_installation_from_pypi_is_promised() -> None:
    for path in FILES:
        assert not re.search(r"pip install (-U )?'?otel-intel", read(path)), path


def test_every_guide_is_in_the_menu() -> None:
    menus = re.findall(r"^```\{toctree\}\n(?::[^\n]*\n)*\n(.*?)^```", read("docs/index.md"), re.MULTILINE | re.DOTALL)
    listed = "".join(menus).split()
    assert sorted(f"docs/{name}.md" for name in listed) == [path for path in GUIDES if path != "docs/index.md"]


def test_house_words_are_few() -> None:
    assert 0 < len(re.findall(r"^: ", read("docs/explanation/glossary.md"), re.MULTILINE)) <= 12


def test_the_secrets_of_the_stack_are_made_as_the_example_says() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    [line] = re.findall(r"^\(umask.*$", read("docs/how-to/production.md"), re.MULTILINE)
    assert line in example


def test_the_notification_policy_example_routes_existing_alerts() -> None:
    notify, _ = (yaml.safe_load(block.code) for block in blocks(read("grafana/README.md")) if block.language == "yaml")
    alerts = yaml.safe_load(read("grafana/provisioning/alerting/otel_intel.yaml"))
    labels = [rule["labels"] for group in alerts["groups"] for rule in group["rules"]]
    [policy] = notify["policies"]
    [route] = policy["routes"]
    routed = [found for found in labels if all(found[name] == value for name, _, value in route["object_matchers"])]
    assert 0 < len(routed) < len(labels)
    assert {policy["receiver"], route["receiver"]} == {point["name"] for point in notify["contactPoints"]}


def test_no_path_of_a_machine_is_shown() -> None:
    for path in FILES:
        assert str(Path.home()) not in read(path)
        assert str(ROOT) not in read(path)
