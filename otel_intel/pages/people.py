"""Display names for admin ids: looked up in Django when a page is shown, never stored in telemetry."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import ForeignKey


def display_names(admin_ids: Iterable[object]) -> dict[str, str]:
    """Return the display name of each id that is a user's primary key, with one query at most.

    Ids of deleted users, hashed ids and None are left out.
    """
    model = get_user_model()
    pk = model._meta.pk
    while isinstance(pk, ForeignKey):  # use the other model's key: a ForeignKey's clean() would query for each id
        pk = pk.target_field
    asked = {str(value) for value in admin_ids if value is not None}
    keys = []
    for admin_id in asked:
        try:
            keys.append(pk.clean(admin_id, None))
        except (ValidationError, ValueError, TypeError, OverflowError):
            continue
    if not keys:
        return {}
    users = model._default_manager.filter(pk__in=keys)
    # "007" does not get the name of user 7.
    return {key: _name(user) for user in users if (key := str(user.pk)) in asked}


def _name(user: object) -> str:
    get_full_name = getattr(user, "get_full_name", str)  # not every user model has one
    return str(get_full_name() if get_full_name is not str else "").strip() or str(user)
