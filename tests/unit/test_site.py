from __future__ import annotations

import pytest
from django.contrib import admin
from django.test import Client, override_settings
from django.urls import include, path

from otel_intel import site

urlpatterns = [path("admin/", admin.site.urls), path("telemetry/", include("otel_intel.urls"))]
OF_ADMIN = override_settings(ROOT_URLCONF="tests.unit.test_site")


def test_a_user_whose_model_has_no_is_staff_is_not_staff() -> None:
    assert not site.is_staff(object())


def test_the_log_in_is_login_url() -> None:
    assert (site.log_in_url(), site.has_log_in()) == ("/accounts/login/", True)


@OF_ADMIN
def test_a_site_that_has_only_the_admin_logs_in_there() -> None:
    assert (site.log_in_url(), site.has_log_in()) == ("/admin/login/", True)
    assert Client().get("/telemetry/")["Location"] == "/admin/login/?next=/telemetry/"


@OF_ADMIN
@override_settings(LOGIN_URL="admin:index")
def test_login_url_may_be_a_name() -> None:
    assert site.log_in_url() == "/admin/"


@OF_ADMIN
@override_settings(LOGIN_URL="https://sso.example.com/in/")
def test_login_url_may_be_another_site() -> None:
    assert (site.log_in_url(), site.has_log_in()) == ("https://sso.example.com/in/", True)


@override_settings(FORCE_SCRIPT_NAME="/shop", LOGIN_URL="/shop/accounts/login/")
def test_login_url_has_the_prefix_of_the_site() -> None:
    Client().get("/telemetry/")  # the prefix is set by a request
    assert site.has_log_in()


@pytest.mark.parametrize("name", ["admin:login", "nope:nope", "nope"])
@override_settings(ROOT_URLCONF="tests.unit.test_templatetags")
def test_login_url_may_name_nothing(name: str) -> None:
    with override_settings(LOGIN_URL=name):
        assert not site.has_log_in()


class Person:
    def is_staff(self) -> bool:
        return True


def test_a_method_is_no_field() -> None:
    assert not site.is_staff(Person())


@override_settings(ROOT_URLCONF="tests.unit.test_templatetags")
def test_a_site_may_have_no_log_in() -> None:
    assert (site.log_in_url(), site.has_log_in()) == ("/accounts/login/", False)
