"""The end of the process: what waits is sent before it goes, however it is told to go.

Three ends run no exit handlers, and each has its own way here:

- SIGTERM without a handler (``app.run()`` and ``flask run`` of Flask, plain scripts): a handler of ours sends what
  waits and then lets the signal end the process as it would have. A handler of the app's or server's own is never
  replaced.
- A child of ``multiprocessing`` with ``fork``, which ends by ``os._exit``: a finalizer of ``multiprocessing``.
- SIGKILL and crashes: nothing runs; the journal tells the next process what was lost.
"""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Callable

if TYPE_CHECKING:
    from ._client import Client

_clients: "weakref.WeakSet[Client]" = weakref.WeakSet()


def close_at_exit(client: "Client") -> None:
    """Close a client when the process ends, and make it anew in forked children, without keeping it alive."""
    reference = weakref.ref(client)

    def with_client(act: "Callable[[Client], object]") -> None:
        living = reference()
        if living is not None:
            act(living)

    _clients.add(client)
    atexit.register(with_client, _close)
    _close_with_multiprocessing(client)
    if client.options.handle_sigterm:
        _handle_sigterm()
    if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork either
        os.register_at_fork(after_in_child=lambda: with_client(_after_fork))


def _close(client: "Client") -> None:
    client.close(client.options.exit_timeout)


def _after_fork(client: "Client") -> None:
    client.after_fork()
    _close_with_multiprocessing(client)


def _close_with_multiprocessing(client: "Client") -> None:
    """Have multiprocessing close the client at the end of its child, which may run no exit handlers."""
    util: Any = sys.modules.get("multiprocessing.util")
    if util is None:
        return
    _finalize(client)
    # A child forgets its finalizers when it begins its work; what is registered here runs after that.
    util.register_after_fork(client, _finalize)


def _finalize(client: "Client") -> None:
    util: Any = sys.modules["multiprocessing.util"]
    util.Finalize(client, _close_by_reference, args=(weakref.ref(client),), exitpriority=0)


def _close_by_reference(reference: "weakref.ref[Client]") -> None:
    client = reference()
    if client is not None:
        _close(client)


def _handle_sigterm() -> None:
    """Install the handler where SIGTERM would end the process at once.

    Process 1 of a container ignores such a signal: with a handler it would end where it did not before.
    """
    if threading.current_thread() is not threading.main_thread() or os.getpid() == 1:
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_sigterm)


def _on_sigterm(signum: int, frame: object) -> None:
    # The code that was interrupted may hold any lock, so nothing is sent from here. _thread takes no lock to start
    # one; threading does. A second SIGTERM ends the process at once.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _thread.start_new_thread(_close_all_and_end, ())


def _close_all_and_end() -> None:
    try:
        clients = list(_clients)
        deadline = time.monotonic() + max((client.options.exit_timeout for client in clients), default=0.0)
        for client in clients:
            client.stop_sending(max(0.0, min(client.options.exit_timeout, deadline - time.monotonic())))
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
