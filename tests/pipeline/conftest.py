"""Reading from a real ClickHouse, and a member of staff who looks at the pages."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from tests.servers import ClickHouse


@pytest.fixture
def reading(clickhouse: ClickHouse, settings: Settings) -> ClickHouse:
    """Read the metrics from this ClickHouse, with a long timeout, because the machine may be busy."""
    settings.OTEL_INTEL = {"CLICKHOUSE_URL": clickhouse.url("reader"), "QUERY_TIMEOUT": 20.0}
    return clickhouse


@pytest.fixture
def user(db: None) -> User:
    """A member of staff with a name."""
    return User.objects.create_user("viewer", first_name="Test", last_name="Viewer", is_staff=True)


@pytest.fixture
def staff(client: Client, user: User, reading: ClickHouse) -> Client:
    """The browser of that member of staff; the pages read from ``reading``."""
    client.force_login(user)
    return client
