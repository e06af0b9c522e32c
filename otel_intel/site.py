"""What a Django site is like: who of its users is staff, and where they log in."""

from __future__ import annotations

from urllib.parse import urlsplit


def is_staff(user: object) -> bool:
    """Tell whether a user is staff; one whose model has no ``is_staff``, or a method of that name, is not."""
    value = getattr(user, "is_staff", False)
    return bool(value) and not callable(value)


def log_in_url() -> str:
    """Return LOGIN_URL; the log-in of Django's admin if that leads nowhere, as in a site that has only the admin."""
    from django.conf import settings
    from django.shortcuts import resolve_url
    from django.urls import NoReverseMatch, reverse

    try:
        url: str = resolve_url(settings.LOGIN_URL)
    except NoReverseMatch:
        url = f"/{settings.LOGIN_URL}"
    if _leads_somewhere(url):
        return url
    try:
        return reverse("admin:login")
    except NoReverseMatch:
        return url


def has_log_in() -> bool:
    """Tell whether ``log_in_url`` leads to a page of this site, or to another site."""
    return _leads_somewhere(log_in_url())


def _leads_somewhere(url: str) -> bool:
    from django.urls import Resolver404, get_script_prefix, resolve

    address = urlsplit(url)
    if address.netloc:
        return True
    try:
        resolve("/" + address.path.removeprefix(get_script_prefix()).removeprefix("/"))
    except Resolver404:
        return False
    return True
