"""Running ``flask pickup …``: through Click's runner, in a pipe, and in a terminal of 80 columns."""

from __future__ import annotations

import os
import pty
import re
import struct
import subprocess
import sys
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

from click.testing import CliRunner, Result
from flask import Flask
from flask.cli import ScriptInfo

from flask_pickup.cli import pickup

FLASK = str(Path(sys.executable).with_name("flask"))
_COLOURS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


def run(*arguments: str, app: Flask | None = None) -> Result:
    """Run a command here; with ``app`` inside that app."""
    return CliRunner().invoke(pickup, arguments, obj=ScriptInfo(create_app=lambda: app) if app else None)


def environment(**variables: str) -> dict[str, str]:
    """Return this environment without what would lead to an app, and with ``variables``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PICKUP_", "FLASK_"))}
    return {**kept, **variables}


def pipe(*arguments: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``flask pickup …`` as a process of its own in ``folder``, its output in pipes."""
    return subprocess.run(
        [FLASK, "pickup", *arguments],
        cwd=folder, env=environment(**variables), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def terminal(*arguments: str, folder: Path, **variables: str) -> tuple[str, int]:
    """Run it in a terminal of 80 columns; return what is read there, colours included, and the exit status."""
    main, side = pty.openpty()
    ioctl(side, TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    variables = {"TERM": "xterm-256color", **variables}
    process = subprocess.Popen(
        [FLASK, "pickup", *arguments], cwd=folder, env=environment(**variables), stdin=side, stdout=side, stderr=side
    )
    os.close(side)
    shown = b""
    while chunk := _read(main):
        shown += chunk
    os.close(main)
    return shown.decode().replace("\r\n", "\n"), process.wait(10)


def plain(shown: str) -> str:
    """Return what a terminal shows without its colours."""
    return _COLOURS.sub("", shown)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
