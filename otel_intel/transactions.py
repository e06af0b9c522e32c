"""Send an event only after the commit of the database transactions in which it happened."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module


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
    }

    def committed(alias: str) -> None:
        del waiting_for[alias]
        if not waiting_for:
            send()

    if not waiting_for:
        send()
    for alias, connection in list(waiting_for.items()):
        # robust: an error here must not reach the view (https://github.com/django/django/pull/15766)
        connection.on_commit(partial(committed, alias), robust=True)
