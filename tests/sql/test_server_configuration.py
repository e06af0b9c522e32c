"""The configuration of a production server, loaded by a real server."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from otel_intel.resources import folder
from otel_intel.schema import migrate
from tests.otlp import event
from tests.servers import ClickHouse, run_as_in_production

SQL = folder("clickhouse")
ROLES = ("admin", "writer", "reader", "dashboard")


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    """A server with the production configuration and the schema in place."""
    with run_as_in_production(tmp_path_factory.mktemp("production")) as clickhouse:
        migrate.migrate(clickhouse.client("admin"), lambda line: None)
        yield clickhouse


@pytest.mark.parametrize("role", ROLES)
def test_passwords_come_from_the_environment(production: ClickHouse, role: str) -> None:
    assert production.value("SELECT currentUser()", role) == f"intel_{role}"
    wrong = production.url(role).replace(production.server.passwords[role], "wrong")
    with pytest.raises(DatabaseError, match="AUTHENTICATION_FAILED"):
        clickhouse_connect.get_client(dsn=wrong)


def test_profiles_are_those_of_the_embedded_server(production: ClickHouse, clickhouse_server: ClickHouse) -> None:
    sql = (
        "SELECT profile_name, setting_name, value, min, max, writability FROM system.settings_profile_elements"
        " WHERE profile_name LIKE 'intel_%' AND setting_name NOT LIKE 'format_schema%' ORDER BY ALL"
    )
    found = production.rows(sql, role="admin")
    assert found == clickhouse_server.rows(sql, role="admin")
    assert {row["profile_name"] for row in found} == {"intel_writer", "intel_reader", "intel_dashboard"}


def test_grants_are_those_of_the_embedded_server(production: ClickHouse, clickhouse_server: ClickHouse) -> None:
    sql = "SELECT * FROM system.grants WHERE user_name != 'default' ORDER BY ALL"
    found = production.rows(sql, role="admin")
    assert found == clickhouse_server.rows(sql, role="admin")
    assert found


def test_nobody_logs_in_as_the_owner(production: ClickHouse) -> None:
    owner = (
        production.url("admin").replace("intel_admin", "intel_owner").replace(production.server.passwords["admin"], "")
    )
    with pytest.raises(DatabaseError, match="AUTHENTICATION_FAILED"):
        clickhouse_connect.get_client(dsn=owner)


def test_writer_inserts_as_the_collector_does(production: ClickHouse) -> None:
    record = event("recommendation.viewed")
    production.client("writer").insert(
        "intel.otel_logs",
        [[record.time_ns, record.name, {key: str(value) for key, value in record.attributes.items()}]],
        column_names=["Timestamp", "EventName", "LogAttributes"],
    )
    assert production.value("SELECT count() FROM metrics.recommendation_events") == 1


def test_server_settings_are_applied(production: ClickHouse) -> None:
    wanted = {
        "max_server_memory_usage_to_ram_ratio": "0.8",
        "max_table_size_to_drop": "50000000000",
        "keep_alive_timeout": "60",
    }
    rows = production.rows("SELECT name, value FROM system.server_settings WHERE changed", role="admin")
    assert wanted.items() <= {row["name"]: row["value"] for row in rows}.items()


def test_every_user_has_a_password_or_no_network() -> None:
    """The user default of the official image has no password, so it is removed."""
    # Our own files.
    users = ET.parse(SQL / "server" / "users.xml").find("users")  # noqa: S314
    access = ET.parse(SQL / "access.xml").find("users")  # noqa: S314
    assert users is not None
    assert access is not None
    assert users.find("default[@remove]") is not None
    for user in access:
        login = users.find(user.tag)
        networks = user.find("networks")
        if login is None:
            assert networks is not None
            assert len(networks) == 0
        else:
            assert login.find("password[@from_env]") is not None
