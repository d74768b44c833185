"""``flask pickup demo``: a filled dashboard, from nothing and back to nothing."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from commands import FLASK, environment, pipe, run
from demos import running_demo, start_demo
from flask_pickup.demo import sample

DEMO = (FLASK, "pickup", "demo")


@pytest.mark.slow
def test_dashboard_shows_each_kind_of_result(tmp_path: Path) -> None:
    """One experiment has a winner, one is undecided, one is not reliable, and one is concluded; and it all looks real."""
    with running_demo(DEMO, tmp_path) as demo:
        assert re.search("^warm-opening +running +warm is better .found on ", demo.said, re.MULTILINE)
        assert re.search("^greet-by-name +running +Too early to call$", demo.said, re.MULTILINE)
        assert re.search("^saved-agent +running +These results are not reliable$", demo.said, re.MULTILINE)
        assert re.search("^short-calls +concluded +five-minutes is better .found on ", demo.said, re.MULTILINE)
        assert max(map(len, demo.said.splitlines())) <= 80
        overview = demo.page()
        shown = (
            "Working",
            "Roll out warm",
            "Let it run",
            "Find the lost calls",
            "five-minutes rolled out",
            "after-hours",
        )
        assert [text for text in shown if text not in overview] == []
        assert overview.count("callers are not split as the weights say") == 1
        assert "Needs attention" not in demo.page("experiments/warm-opening")
        assert "Sample ratio mismatch" in demo.page("experiments/saved-agent")
        assert "every caller hears five-minutes" in demo.page("experiments/short-calls")
        assert demo.page("calls").count("Appointments booked&nbsp;<b>yes</b>") > 2
    assert demo.process.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_it_can_be_stopped_before_it_is_ready(tmp_path: Path) -> None:
    """Ctrl+C ends it without a traceback, and leaves nothing behind."""
    process = start_demo(DEMO, tmp_path)
    assert process.stdout
    assert process.stdout.readline().startswith("Making up three months of calls")
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=20)
    assert (process.returncode, said) == (0, "\nStopped. The demo's folder is deleted.\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (lambda folder: (folder / "saved-agent").rename(folder / "agent"), "There is no experiments/saved-agent/experiment.toml."),
        (lambda folder: (folder / "short-calls/experiment.toml").write_text("arms ="), "It does not load."),
        (shutil.rmtree, "There is no experiments/short-calls/experiment.toml, "),
    ],
    ids=["renamed", "broken", "deleted"],
)  # fmt: skip
def test_sample_that_was_changed_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: Callable[[Path], object], says: str
) -> None:
    """Whoever changes the checkout's experiments is told what the demo misses."""
    for name in ("greetings", "experiments"):
        shutil.copytree(sample() / name, tmp_path / name)
    changes(tmp_path / "experiments")
    monkeypatch.setattr("flask_pickup.demo.sample", lambda: tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    result = run("demo")
    expected = f"The sample content in '{tmp_path}' was changed, and the demo cannot show it. {says}"
    assert (result.exit_code, expected in result.stderr) == (1, True), result.output


def test_closed_output_is_said(tmp_path: Path) -> None:
    """Without an output there is no address to print."""
    ended = subprocess.run(
        ["/bin/sh", "-c", f"{FLASK} pickup demo >&-"], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )  # fmt: skip
    says = "The demo prints the dashboard's address, but the standard output is closed.\n"
    assert (ended.returncode, ended.stderr) == (1, says)


def test_a_port_that_is_taken_is_said_at_once(tmp_path: Path) -> None:
    """It says which port, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = pipe("demo", "--port", port, folder=tmp_path)
    says = (
        f"Port {port} cannot be used: Address already in use. Name another one, or leave --port out for a free one.\n"
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", says)
