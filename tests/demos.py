"""A running ``flask pickup demo``, as its reader sees it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.request import HTTPCookieProcessor, OpenerDirector, build_opener

from commands import environment


def _browser() -> OpenerDirector:
    return build_opener(HTTPCookieProcessor(CookieJar()))


@dataclass
class Demo:
    """The process, and what it said until it was ready.

    :param home: the address of the overview.
    """

    process: subprocess.Popen[str]
    said: str
    browser: OpenerDirector = field(default_factory=_browser)

    def __post_init__(self) -> None:
        [url] = re.findall(r"http://\S+", self.said)
        self.home = url.partition("?")[0]
        self.browser.open(url).close()

    def page(self, path: str = "") -> str:
        """Return a page."""
        with self.browser.open(self.home + path) as response:
            return str(response.read().decode())


@contextmanager
def running_demo(command: Sequence[str], folder: Path, **variables: str) -> Iterator[Demo]:
    """Run the demo in ``folder`` until it says that it is ready; stop it afterwards."""
    process = start_demo(command, folder, **variables)
    assert process.stdout
    try:
        said = ""
        for line in process.stdout:
            said += line
            if "Ctrl+C" in line:
                break
        yield Demo(process, said)
    finally:
        process.terminate()
        process.communicate(timeout=20)


def start_demo(command: Sequence[str], folder: Path, **variables: str) -> subprocess.Popen[str]:
    """Start the demo in ``folder``, where its temporary files go too."""
    variables = environment(TMPDIR=str(folder), **variables)
    return subprocess.Popen(
        command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
