"""``flask pickup demo``: a filled dashboard at once."""

from __future__ import annotations

import signal
import socket
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.table import Table
from werkzeug.serving import WSGIRequestHandler, make_server

from flask_pickup import demo
from flask_pickup.blueprint import EXTENSION, State
from flask_pickup.cli.group import fail, say
from flask_pickup.results.wording import with_messages

_HOST = "127.0.0.1"
_LAST = "\nCtrl+C stops it and deletes everything. Begin your own with: flask pickup init"
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Quiet(WSGIRequestHandler):
    """Logs no request: what there is to see stays on the screen."""

    def log_request(self, *_: Any) -> None:
        """Log nothing."""


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default="a free one", help="Where the dashboard is served."
)
def demo_command(port: int) -> None:
    """Show a dashboard that is full of made-up calls.

    Makes up three months of calls for the sample content, and serves the dashboard on this machine until Ctrl+C. It needs
    no app, and leaves nothing behind.
    """
    # Python has none where the shell closed it.
    if not sys.stdout:
        fail("The demo prints the dashboard's address, but the standard output is closed.")
    for number in _SIGNALS:
        signal.signal(number, _stop)
    try:
        with closing(_listening(port)) as here, tempfile.TemporaryDirectory(prefix="pickup-demo-") as folder:
            _serve(here, Path(folder))
    except KeyboardInterrupt:
        pass
    except demo.SampleChanged as error:
        fail(f"The sample content in '{demo.sample()}' was changed, and the demo cannot show it. {error}")
    click.echo("\nStopped. The demo's folder is deleted.")


def _stop(*_: Any) -> NoReturn:
    # A second one would interrupt what deletes the folder.
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _listening(port: int) -> socket.socket:
    """Return a socket that is bound before anything takes time."""
    here = socket.socket()
    here.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        here.bind((_HOST, port))
        here.listen()
    except OSError as error:
        here.close()
        fail(f"Port {port} cannot be used: {error.strerror}. Name another one, or leave --port out for a free one.")
    return here


def _serve(here: socket.socket, folder: Path) -> None:
    click.echo("Making up three months of calls …")
    app = demo.make_app(folder)
    state: State = app.extensions[EXTENSION]
    with closing(state):
        demo.make_calls(state)
        table = Table.grid(padding=(0, 2), pad_edge=False)
        for result in demo.computed_results(state):
            table.add_row(result["experiment"], result["status"], with_messages(result)["verdict"]["headline"])
        server = make_server(_HOST, here.getsockname()[1], app, threaded=True, request_handler=_Quiet, fd=here.fileno())
        say(f"Ready. Open {demo.dashboard_url(app, server.port)}\n", table, _LAST)
        server.serve_forever()
