"""Gunicorn's settings for ``app:app``; any can be overridden: ``GUNICORN_CMD_ARGS="--workers 4" scripts/serve``.

A reverse proxy that buffers requests stands in front of a public deployment: see docs/hosts.md.
"""

import gc
import logging
import os
import secrets
import socket
import sys

from dotenv import dotenv_values
from gunicorn.arbiter import Arbiter
from gunicorn.workers.base import Worker

# Imported once, in the master: workers share its memory, and a killed one is replaced in a tenth of a second.
import flask_pickup.cli  # noqa: F401

bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
wsgi_app = "app:app"  # loaded by each worker, not preloaded: HUP brings new content

workers = 2
worker_class = "gthread"
threads = 4  # calls wait for a shared commit: more threads only wait for each other
worker_connections = 100  # the platform keeps connections open; one worker could take gunicorn's default of 1000
keepalive = 5

timeout = 30  # a worker whose threads all hang is replaced; each call has its own, far shorter deadlines
graceful_timeout = 10

accesslog = None  # the line that Pickup logs for each call says more, and holds no phone number
loglevel = "error"  # gunicorn's warnings quote requests that it cannot parse, which can hold a caller's number
control_socket_disable = True  # unused, shared by all servers of a user, and it needs a writable home


PLATFORMS = {
    "flireo": "PICKUP_WEBHOOK_SECRET",
    "vapi": "PICKUP_VAPI_SECRET",
    "retell": "PICKUP_RETELL_API_KEY",
    "elevenlabs": "PICKUP_ELEVENLABS_TOKEN",
    "telnyx": "PICKUP_TELNYX_PUBLIC_KEY",
}
"""What enables each platform. Not from the package, which each worker imports anew after a HUP."""


def when_ready(server: Arbiter) -> None:
    """Print the webhook's address and a command that tries it."""
    for listener in server.LISTENERS:
        if hasattr(socket, "TCP_DEFER_ACCEPT") and listener.sock.family != socket.AF_UNIX:
            # A connection without a request then waits in the kernel instead of on a thread.
            listener.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 5)
    url = f"{server.LISTENERS[0]}/pickup/".replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
    configured = {**dotenv_values(".env"), **os.environ}
    print("\nPickup answers calls. Try it:\n")
    for name in (name for name, secret in PLATFORMS.items() if configured.get(secret)):
        place = f"{url}webhook" if name == "flireo" else f"--platform {name} {url}{name}"
        print(f"    .venv/bin/flask pickup rehearse {place} --call {secrets.token_hex(3)}")
    print("\nThe same line again is the same call again. After a change of the content, load it:\n")
    print(f"    .venv/bin/flask pickup check && kill -HUP {os.getpid()}")
    print("\nStop with Ctrl-C.\n", flush=True)
    token = configured.get("PICKUP_DASHBOARD_TOKEN")
    if token and sys.stdout.isatty():  # elsewhere it would stay in a log
        print(f"The dashboard: {url}?token={token}\n", flush=True)
    gc.freeze()  # the garbage collector of a worker would copy the pages that workers share


first_workers: list[int] = []
"""Empty again after a HUP, which runs this file anew."""


def pre_fork(server: Arbiter, worker: Worker) -> None:  # noqa: ARG001 (gunicorn calls it so)
    """Let only the first worker after a start or a HUP log what is wrong with the content, which all of them load."""
    logging.getLogger("flask_pickup.content").disabled = bool(first_workers)
    first_workers.append(worker.age)


def post_worker_init(worker: Worker) -> None:
    """Start the ledger before the first call, and let no call wait for the garbage collector."""
    worker.wsgi.extensions["pickup"].start()
    # A call gives up the interpreter a dozen times. Beside a page it waits this long each time to get it back.
    sys.setswitchinterval(0.0005)
    gc.collect()
    gc.freeze()  # collecting what stays costs a tenth of a worker's time


def worker_exit(server: Arbiter, worker: Worker) -> None:  # noqa: ARG001 (gunicorn calls it so)
    """Write pending rows before the process ends."""
    if getattr(worker, "wsgi", None):  # a worker whose app did not start has none
        worker.wsgi.extensions["pickup"].close()


def child_exit(server: Arbiter, worker: Worker) -> None:  # noqa: ARG001 (gunicorn calls it so)
    """Remove the gauges of a worker that ended from the metrics."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        from prometheus_client import multiprocess  # noqa: PLC0415 (an extra)

        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
