from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from pytest_django import DjangoAssertNumQueries

from otel_intel.pages.people import display_names

pytestmark = pytest.mark.django_db


def test_users_are_named_by_their_full_name_else_their_user_name() -> None:
    full = User.objects.create_user("first", first_name="Test", last_name="Person")
    bare = User.objects.create_user("second")
    assert display_names([str(full.pk), bare.pk]) == {str(full.pk): "Test Person", str(bare.pk): "second"}


def test_many_ids_cost_one_query(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    ids = [User.objects.create_user(f"user-{number}").pk for number in range(5)]
    with django_assert_num_queries(1):
        assert len(display_names([*ids, *ids])) == 5


@pytest.mark.parametrize(
    "unknown", ["999", "", "deadbeef" * 8, "9" * 40, "-1", "1.5", "x\x00y", None], ids=lambda value: repr(value)[:12]
)
def test_ids_that_are_not_users_have_no_name(unknown: str | None) -> None:
    User.objects.create_user("somebody")
    assert display_names([unknown]) == {}


def test_no_ids_cost_nothing(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        assert display_names([None, "not-a-number"]) == {}


def test_an_id_in_another_spelling_is_not_that_user() -> None:
    user = User.objects.create_user("somebody")
    assert display_names([f"0{user.pk}", f" {user.pk}"]) == {}
