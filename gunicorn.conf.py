"""Gunicorn's settings for ``app:app``: workers, threads, timeouts, and why.

Everything here can be overridden: ``GUNICORN_CMD_ARGS="--workers 4" scripts/serve``. A reverse proxy that buffers requests
stands in front of a public deployment: see docs/hosts.md.
"""

import gc
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
wsgi_app = "app:app"

# Each worker loads the app itself, so that HUP loads new content: kill -HUP the master after `flask pickup check`.
preload_app = False

workers = 2
worker_class = "gthread"
# Calls wait for a shared commit: more than four threads only wait for each other.
threads = 4
# The platform keeps connections open. With gunicorn's default of 1000 one worker can accept them all.
worker_connections = 100
keepalive = 5

# A worker whose threads all hang is replaced; each call has its own, far shorter deadlines.
timeout = 30
graceful_timeout = 10

# The platform's requests are small.
limit_request_line = 2048
limit_request_fields = 50
limit_request_field_size = 4096

# No access log: Pickup's log line of a call says more, and holds no number.
accesslog = None
errorlog = "-"
# Gunicorn's warnings quote requests that it cannot parse, which can hold a caller's number.
loglevel = "error"

# Nothing uses the control socket, two servers of one user would share it, and it needs a writable home.
control_socket_disable = True


def when_ready(server: Arbiter) -> None:
    """Print where the webhook is and how to try it."""
    for listener in server.LISTENERS:
        if hasattr(socket, "TCP_DEFER_ACCEPT") and listener.sock.family != socket.AF_UNIX:
            # A connection without a request then waits in the kernel instead of on a thread.
            listener.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 5)
    url = f"{server.LISTENERS[0]}/pickup/".replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
    call = "".join(secrets.choice("abcdefghijkmnpqrstuvwxyz") for _ in range(6))
    print(f"\nPickup answers at {url}webhook. Try it:\n")
    print(f"    .venv/bin/flask pickup rehearse {url}webhook --call {call}\n")
    print("The same line again is the same call again. Stop with Ctrl-C.\n")
    if token := {**dotenv_values(".env"), **os.environ}.get("PICKUP_DASHBOARD_TOKEN"):
        print(f"The dashboard: {url}?token={token}\n")
    sys.stdout.flush()


def pre_fork(server: Arbiter, worker: Worker) -> None:  # noqa: ARG001 (gunicorn calls it so)
    """Let workers share what is imported: a garbage collector that looks at it would copy its pages."""
    gc.freeze()


def post_worker_init(worker: Worker) -> None:
    """Take the spool's space before the disk can be full; let no call wait for the garbage collector."""
    worker.wsgi.extensions["pickup"].start()
    # What was loaded stays: to look through it again and again costs a tenth of a worker's time.
    gc.collect()
    gc.freeze()


def worker_exit(server: Arbiter, worker: Worker) -> None:  # noqa: ARG001 (gunicorn calls it so)
    """Write what waits, and let the next worker have this one's spool."""
    if getattr(worker, "wsgi", None):  # a worker whose app did not start has none
        worker.wsgi.extensions["pickup"].close()


def child_exit(server: Arbiter, worker: Worker) -> None:  # noqa: ARG001 (gunicorn calls it so)
    """Let the metrics forget what waited in a worker that is gone."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        from prometheus_client import multiprocess  # noqa: PLC0415 (an extra)

        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
