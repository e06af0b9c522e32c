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
        if _is_manual(connection):
            _ManualTransaction.of(connection).waiting.append(partial(committed, alias))
        else:
            # robust: an error here must not reach the view (https://github.com/django/django/pull/15766)
            connection.on_commit(partial(committed, alias), robust=True)


def _is_manual(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether the application commits by itself, after ``set_autocommit(False)`` or with AUTOCOMMIT off."""
    return connection.connection is not None and not connection.autocommit and not connection.in_atomic_block


class _ManualTransaction:
    """What waits for the next commit on a connection where the application commits: ``on_commit`` refuses that one."""

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self.waiting: list[Callable[[], None]] = []
        for name, then in (
            ("commit", self._committed),
            ("rollback", self._rolled_back),
            ("close", self._rolled_back),
            ("set_autocommit", self._committed),  # to on, which commits what is open
        ):
            setattr(connection, name, self._followed(getattr(connection, name), then))

    @classmethod
    def of(cls, connection: BaseDatabaseWrapper) -> _ManualTransaction:
        """Return the one of a connection."""
        name = "_otel_intel_transaction"
        if name not in vars(connection):
            vars(connection)[name] = cls(connection)
        found: _ManualTransaction = vars(connection)[name]
        return found

    @staticmethod
    def _followed(method: Callable[P, None], then: Callable[[], None]) -> Callable[P, None]:
        @wraps(method)
        def call(*args: P.args, **kwargs: P.kwargs) -> None:
            method(*args, **kwargs)
            then()

        return call

    def _committed(self) -> None:
        waiting = self.waiting[:]
        self._rolled_back()
        for send in waiting:
            send()

    def _rolled_back(self) -> None:
        self.waiting.clear()
