"""A copy of the checkout whose ``.venv`` borrows the packages of this one, so that no test asks the network."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from commands import environment

ROOT = Path(__file__).parents[1]
_LEFT_BEHIND = shutil.ignore_patterns(".git", ".env", ".venv", "instance", "tests", "dist", ".*_cache", "__pycache__")


def copy_checkout(place: Path) -> Path:
    """Copy what is under version control, tests aside."""
    shutil.copytree(ROOT, place, ignore=_LEFT_BEHIND)
    return place


def borrow_packages(checkout: Path) -> None:
    """Give the copy a ``.venv`` that ``scripts/setup.sh`` takes for its own."""
    venv = make_venv(checkout / ".venv", checkout / "blueprint")
    for program in ("flask", "gunicorn"):
        script = venv / "bin" / program
        script.write_text(f'#!/bin/sh\nexec "{venv}/bin/python" -m {program} "$@"\n')
        script.chmod(0o755)
    wanted = subprocess.run(["sh", "-c", ". scripts/setup.sh; wanted"], cwd=checkout, check=True, stdout=-1, text=True)
    (venv / ".requirements.txt.stamp").write_text(wanted.stdout)


def make_venv(place: Path, *first: Path) -> Path:
    """Make a virtual environment that finds ``first``, and then the packages of this one."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True, timeout=60)
    [site] = place.glob("lib/python*/site-packages")
    paths = [*map(str, first), sysconfig.get_path("purelib")]
    (site / "borrowed.pth").write_text("\n".join(paths) + "\n")
    return place


def free_port() -> str:
    """Return a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


@dataclass
class Server:
    """A running ``scripts/serve``.

    :param said: its standard output up to the line to try.
    :param line: that line, as it stands there.
    """

    process: subprocess.Popen[str]
    folder: Path
    variables: Mapping[str, str]
    said: str
    line: str

    def try_it(self) -> subprocess.CompletedProcess[str]:
        """Do what a reader does: paste the line into a second shell, in the checkout."""
        return subprocess.run(
            self.line, shell=True, cwd=self.folder, env=self.variables, capture_output=True, text=True, timeout=60, check=False
        )  # fmt: skip

    @property
    def url(self) -> str:
        """Where the webhook is."""
        return next(word for word in self.line.split() if word.startswith("http"))

    def stop(self) -> int:
        """Ask it to end, as a process manager does; return its exit status."""
        self.process.terminate()
        return self.process.wait(20)


@contextmanager
def serving(checkout: Path, shell: str = "sh", **variables: str) -> Iterator[Server]:
    """Run ``scripts/serve`` until its line to try stands there."""
    everything = environment(**{"PORT": free_port(), **variables})
    process = subprocess.Popen(
        [shell, "scripts/serve"], cwd=checkout, env=everything, stdout=-1, stderr=subprocess.STDOUT, text=True
    )
    try:
        said, line = _read_until_ready(process)
        yield Server(process, checkout, everything, said, line)
    finally:
        if process.poll() is None:
            process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        assert process.stdout
        process.stdout.close()


def _read_until_ready(process: subprocess.Popen[str]) -> tuple[str, str]:
    assert process.stdout
    said = ""
    for text in process.stdout:
        said += text
        if text.startswith("    .venv/bin/flask pickup rehearse "):
            return said, text.strip()
    raise AssertionError(f"scripts/serve ended without serving:\n{said}")


def run_script(checkout: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script that is expected to end by itself."""
    return subprocess.run(
        command, cwd=checkout, env=environment(**variables), stdout=-1, stderr=subprocess.STDOUT,
        text=True, timeout=120, check=False,
    )  # fmt: skip


def wait_for_port(port: str, seconds: float = 20) -> None:
    """Wait until a server listens."""
    deadline = monotonic() + seconds
    while monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", int(port))) == 0:
                return
        sleep(0.05)
    raise AssertionError(f"no server listens on port {port}")


def mode(path: Path) -> int:
    """Return a file's permissions."""
    return path.stat().st_mode & 0o777
