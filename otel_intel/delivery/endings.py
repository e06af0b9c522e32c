"""Deliver what waits before a process ends in a way that runs no exit handler.

At an ordinary exit ``atexit`` is enough. Nothing can be done about SIGKILL and ``os._exit``.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP) if sys.platform != "win32" else (signal.SIGTERM,)
# They handle signals in C, where Python cannot see it: a handler would take the signal away from them.
_SERVERS_IN_C: Final = {"uwsgi", "mod_wsgi"}


def follow(hurry: Callable[[], None], deliver: Callable[[], None]) -> None:
    """Call a function before this process ends; again does no harm.

    Args:
        hurry: Called when the application begins to stop: it goes on, so this must not wait.
        deliver: Called when the process is about to end: it may wait.
    """
    for name in ("multiprocessing.util", "billiard.util"):
        # Their children leave by os._exit, but run their finalizers. Import nothing: who does not use it has none.
        if (util := sys.modules.get(name)) is not None:
            util.Finalize(None, deliver, exitpriority=0)
    if (celery := sys.modules.get("celery.signals")) is not None:
        # A child of the prefork pool that is recycled leaves by os._exit: https://github.com/celery/celery/issues/1671
        celery.worker_process_shutdown.connect(_Receiver(deliver), weak=False, dispatch_uid="otel_intel")
    follow_signals(hurry, deliver)


def follow_signals(hurry: Callable[[], None], deliver: Callable[[], None]) -> None:
    """Put a handler in front of the application's for SIGTERM and SIGHUP; arguments as in ``follow``.

    uvicorn and others handle the signal, then put the default action back and raise it again:
    https://github.com/Kludex/uvicorn/pull/1600
    """
    if _SERVERS_IN_C & sys.modules.keys():
        return
    if threading.current_thread() is not threading.main_thread():
        # Only the main thread may set handlers. Under ASGI it runs the event loop, and knows who waits for it.
        to_async = getattr(sys.modules.get("asgiref.sync"), "SyncToAsync", None)
        loop = getattr(getattr(to_async, "threadlocal", None), "main_event_loop", None)
        if loop is not None and loop.is_running():
            loop.call_soon_threadsafe(_put_in_front, hurry, deliver)
        return
    _put_in_front(hurry, deliver)


def _put_in_front(hurry: Callable[[], None], deliver: Callable[[], None]) -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    for number in _SIGNALS:
        present = signal.getsignal(number)
        # None was set in C. Who ignores a signal goes on.
        if present not in (None, signal.SIG_IGN) and not isinstance(present, _InFront):
            signal.signal(number, _InFront(present, hurry, deliver))


class _InFront:
    """A handler that lets go on what was there before it."""

    def __init__(
        self,
        present: Callable[[int, FrameType | None], object] | int | None,
        hurry: Callable[[], None],
        deliver: Callable[[], None],
    ) -> None:
        self._present = present
        self._hurry = hurry
        self._deliver = deliver

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if callable(self._present):
            self._hurry()
            self._present(number, frame)
            return
        signal.signal(number, signal.SIG_DFL)  # so a second signal ends the process at once
        self._deliver()
        os.kill(os.getpid(), number)


class _Receiver:
    """A receiver of Celery's signals, which pass keywords."""

    def __init__(self, deliver: Callable[[], None]) -> None:
        self._deliver = deliver

    def __call__(self, **keywords: object) -> None:
        self._deliver()
