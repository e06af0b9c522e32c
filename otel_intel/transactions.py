"""Send an event only after the commit of the database transactions in which it happened."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial, wraps
from importlib import import_module
from typing import TYPE_CHECKING, ParamSpec

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

P = ParamSpec("P")


def when_committed(send: Callable[[], None]) -> None:
    """Call ``send`` once all transactions that are open in this thread have committed; never, if one is rolled back.

    Without Django, or outside a transaction, it is called at once. The transaction that Django's TestCase
    wraps around a test does not count: nothing would ever be sent there.
    """
    # Import it even if sys.modules holds it: another thread may still be importing it, and this call waits for that.
    if "django.db" not in sys.modules or not import_module("django.conf").settings.configured:
        send()
        return
    connections = import_module("django.db").connections
    waiting_for = {
        connection.alias: connection
        for connection in connections.all(initialized_only=True)
        if any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks)
        or _is_manual(connection)
    }

    def committed(alias: str) -> None:
        del waiting_for[alias]
        if not waiting_for:
            send()

    if not waiting_for:
        send()
    for alias, connection in list(waiting_for.items()):
        if connection.in_atomic_block and connection.commit_on_exit:
            # robust: an error here must not reach the view (https://github.com/django/django/pull/15766)
            connection.on_commit(partial(committed, alias), robust=True)
        else:
            _when_application_commits(connection, partial(committed, alias))


def _is_manual(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether the application commits by itself, after ``set_autocommit(False)`` or with AUTOCOMMIT off."""
    if connection.connection is None:
        return connection.settings_dict["AUTOCOMMIT"] is False
    return not connection.autocommit and not (connection.in_atomic_block and connection.commit_on_exit)


class _Waiting:
    """A function that waits for the application's own commit."""

    def __init__(self, send: Callable[[], None]) -> None:
        self.send = send

    def __call__(self) -> None:
        self.send()


def _when_application_commits(connection: BaseDatabaseWrapper, send: Callable[[], None]) -> None:
    """Call a function after the next ``commit()`` of a connection where the application commits.

    It waits where Django keeps its own, which forgets them at a rollback, also of a block of ``atomic()``. But Django
    calls them only when autocommit is switched on again: https://code.djangoproject.com/ticket/32220
    """
    connection.ensure_connection()  # a new connection forgets what waits
    hooks: list[tuple[set[str], Callable[[], None], bool]] = connection.run_on_commit  # type: ignore[assignment]
    hooks.append((set(connection.savepoint_ids), _Waiting(send), True))
    if "_otel_intel_follows" not in vars(connection):
        vars(connection)["_otel_intel_follows"] = True
        for name in ("commit", "set_autocommit"):
            setattr(connection, name, _followed(connection, getattr(connection, name), name))


def _followed(connection: BaseDatabaseWrapper, method: Callable[P, None], name: str) -> Callable[P, None]:
    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        method(*args, **kwargs)
        if name == "commit" or connection.autocommit:
            waiting = [entry for entry in connection.run_on_commit if isinstance(entry[1], _Waiting)]
            connection.run_on_commit = [entry for entry in connection.run_on_commit if entry not in waiting]
            for entry in waiting:
                entry[1]()

    return call
