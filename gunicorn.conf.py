"""How gunicorn runs ``app:app``: workers, threads, time-outs, and why.

Whatever is set here can be set over it: ``GUNICORN_CMD_ARGS="--workers 4" scripts/serve``.
"""

import gc
import logging
import os
import secrets
import socket
import sys
from typing import Any

from gunicorn.arbiter import Arbiter
from gunicorn.workers import gthread
from gunicorn.workers.base import Worker

# Imported once, in the master: workers share its memory, and one that was killed is back in a tenth of a second.
import flask_pickup.cli  # noqa: F401
from flask_pickup import environment
from flask_pickup.body import headers_are_in, watching_headers

# The kernel keeps a connection that sends nothing for some seconds (see when_ready); then gunicorn would let it hold a
# thread for five more, and the poller can wait for it as well.
gthread.DEFAULT_WORKER_DATA_TIMEOUT = 0.05


class PickupWorker(gthread.ThreadWorker):  # type: ignore[misc]
    """Reads a request's headers under a deadline, as Pickup reads its body; gunicorn itself knows none."""

    def handle(self, conn: Any) -> Any:
        """Read and answer one request of a connection."""
        with watching_headers(conn.sock):
            return super().handle(conn)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Any) -> None:
        """Refuse what gunicorn cannot read, without quoting it: it may be a piece of somebody's body."""
        super().handle_error(req, client, addr, _unquoted(exc))


def _unquoted(error: Exception) -> Exception:
    kind = type(error)
    silent: Any = type(kind.__name__, (kind,), {"__str__": lambda _: kind.__name__})
    return silent.__new__(silent)  # type: ignore[no-any-return]


def _unquote(record: logging.LogRecord) -> bool:
    """Name exceptions in gunicorn's log, and don't repeat what they say: it may be a piece of somebody's body."""
    if isinstance(record.args, tuple):
        record.args = tuple(type(value).__name__ if isinstance(value, Exception) else value for value in record.args)
    return True


logging.getLogger("gunicorn.error").addFilter(_unquote)


def pre_request(worker: Worker, req: Any) -> None:  # noqa: ARG001 (gunicorn calls it so)
    """End the watching of a request's headers: what comes now has deadlines of its own."""
    headers_are_in()


bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
wsgi_app = "app:app"

# Each worker makes the app itself, so that HUP brings new content: kill -HUP the master after `flask pickup check`.
preload_app = False

workers = 2
worker_class = PickupWorker
# A call waits for the commit of others beside it; more threads than four only wait for each other.
threads = 4
# The platform keeps connections open. With gunicorn's default of 1000 one worker can take them all.
worker_connections = 100
keepalive = 5

# A worker whose threads all hang is replaced; each call has its own, far shorter deadlines.
timeout = 30
graceful_timeout = 10

# The platform's requests are small.
limit_request_line = 2048
limit_request_fields = 50
limit_request_field_size = 4096

# No access log: the log line of a call says more, and holds no number.
accesslog = None
errorlog = "-"
loglevel = "warning"

# Nothing uses it, two servers of one user would take it from each other, and a service whose home is not writable would
# log an error at each start.
control_socket_disable = True


def when_ready(server: Arbiter) -> None:
    """Say where the webhook is; keep connections that send nothing away from the threads."""
    for listener in server.LISTENERS:
        if listener.sock.family in {socket.AF_INET, socket.AF_INET6}:
            # gthread lets a new connection hold a thread for seconds until its first byte comes; the kernel can wait.
            listener.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 5)
    url = _url(server.LISTENERS[0].sock)
    call = "".join(secrets.choice("abcdefghijkmnpqrstuvwxyz") for _ in range(6))
    print(f"\nPickup answers at {url}. Try it:\n")
    print(f"    .venv/bin/flask pickup rehearse {url} --call {call}\n")
    print("The same line again is the same call again. Stop with Ctrl-C.\n")
    if token := environment("instance").get("PICKUP_DASHBOARD_TOKEN"):
        print(f"What callers hear, and what works: {url.removesuffix('webhook')}?token={token}\n")
    sys.stdout.flush()


def pre_fork(server: Arbiter, worker: Worker) -> None:  # noqa: ARG001 (gunicorn calls it so)
    """Let workers share what is imported: a garbage collector that looks at it would copy its pages."""
    gc.freeze()


def _url(listening: socket.socket) -> str:
    if listening.family == socket.AF_UNIX:
        return "http://127.0.0.1/pickup/webhook"
    host, port = listening.getsockname()[:2]
    here = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104
    return f"http://{here}:{port}/pickup/webhook"


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
