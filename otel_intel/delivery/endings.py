"""Deliver what waits before a process ends, also in a way that runs no exit handler.

Nothing can be done about SIGKILL and ``os._exit``.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from types import FrameType
from typing import Final, Protocol

_SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP) if sys.platform != "win32" else (signal.SIGTERM,)
# They handle signals in C, where Python cannot see it: a handler would take the signal away from them.
_SERVERS_IN_C: Final = {"uwsgi", "mod_wsgi"}


class Deliverer(Protocol):
    """Delivers in the background: a pipeline, the spans. Those of a parent process do nothing in its child."""

    def hurry(self) -> None:
        """Deliver what waits now, and from here on at once; never wait."""

    def begin_shutdown(self) -> None:
        """Begin to deliver what waits, for the last time; never wait."""

    def shutdown(self) -> None:
        """Wait for that, within the exit timeout."""


deliverers: Final[weakref.WeakSet[Deliverer]] = weakref.WeakSet()
_exiting = False


def is_exiting() -> bool:
    """Tell whether this process has delivered for the last time: a new thread would never run, nor its start return."""
    return _exiting


def hurry() -> None:
    """Deliver each event at once from here on: the application has been told to stop."""
    for deliverer in list(deliverers):
        deliverer.hurry()


def deliver() -> None:
    """Deliver what waits, within the exit timeout: the process ends."""
    global _exiting
    for deliverer in list(deliverers):
        deliverer.begin_shutdown()
    for deliverer in list(deliverers):
        deliverer.shutdown()
    _exiting = True


def follow() -> None:
    """Deliver before this process ends, however it ends; again does no harm."""
    for name in ("multiprocessing.util", "billiard.util"):
        # Their children leave by os._exit, but run their finalizers. Import nothing: who does not use it has none.
        if (util := sys.modules.get(name)) is not None:
            util.Finalize(None, deliver, exitpriority=0)
    if (celery := sys.modules.get("celery.signals")) is not None:
        # A child of the prefork pool that is recycled leaves by os._exit: https://github.com/celery/celery/issues/1671
        celery.worker_process_shutdown.connect(_before_exit, weak=False, dispatch_uid="otel_intel")
    follow_signals()


def follow_signals() -> None:
    """Put a handler in front of the application's for SIGTERM and SIGHUP.

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
            loop.call_soon_threadsafe(_put_in_front)
        return
    _put_in_front()


def _put_in_front() -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    for number in _SIGNALS:
        present = signal.getsignal(number)
        # None was set in C. Who ignores a signal goes on.
        if present not in (None, signal.SIG_IGN) and not isinstance(present, _InFront):
            signal.signal(number, _InFront(present))


def _before_exit(**keywords: object) -> None:
    deliver()


class _InFront:
    """A handler that lets go on what was there before it."""

    def __init__(self, present: Callable[[int, FrameType | None], object] | int | None) -> None:
        self._present = present

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if callable(self._present):
            hurry()
            self._present(number, frame)
            return
        signal.signal(number, signal.SIG_DFL)  # so a second signal ends the process at once
        deliver()
        os.kill(os.getpid(), number)


# At import: it then runs after the application's own exit handlers, which may still track events.
atexit.register(deliver)
