"""Content that a stranger wrote does nothing to the machine: the checks run in a process of their own, with limits."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from commands import FLASK, environment
from complaints import BASE, DRAFT, complaints_about
from conftest import write
from flask_pickup.checking import check_folders, guarded
from flask_pickup.errors import ChecksFailed

ATTACKS: dict[str, Any] = {
    **BASE,
    "greetings/bomb.j2": "{% set x = " + "[" * 90 + "]" * 90 + " %}" * 200,
    "greetings/wide.j2": "{{ " + " ~ ".join(["caller.country"] * 9_000) + " }}",
    "greetings/many.j2": "{{ x }}" * 37_000,
    **{f"experiments/a{n}/experiment.toml": DRAFT for n in range(9)},
    **{
        f"experiments/a{n}/warm/first_message.j2": "{% for a in range(9999) %}{{ a }}{% endfor %}" * 9 for n in range(9)
    },
}


def test_faulty_folder_is_told_in_time_and_memory(tmp_path: Path) -> None:
    """However the folder tries, the whole command ends within five seconds of work, and within 256 MB."""
    write(tmp_path, ATTACKS)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    script = (
        "import resource, subprocess, sys\n"
        "code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
        "print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [sys.executable, "-c", script, FLASK, "pickup", "check", str(tmp_path)]
    result = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    status, kilobytes = map(int, result.stdout.split())
    assert status == 1
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 5
    assert kilobytes < 256 * 1024


def found(root: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> list[str]:
    """Check with something planted in the child that no template can do, and return what is said in the end."""
    planted = write(root / "planted", {"sitecustomize.py": PLANT + code})
    monkeypatch.setenv("PYTHONPATH", str(planted))
    write(root, {**BASE, "greetings/bye.j2": "Bye."})
    complaints = check_folders(root / "experiments", root / "greetings", region="NL").complaints
    return [str(each) for each in complaints if each.level == "error"]


# The child compiles its templates by Jinja; what is planted happens there, as if Jinja had a hole.
PLANT = """
import sys
import jinja2.environment
compiling = jinja2.Environment.compile
def hole(self, source, name=None, *rest, **named):
    if name == "greetings/bye.j2":
        attack()
    return compiling(self, source, name, *rest, **named)
jinja2.Environment.compile = hole
"""


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("def attack():\n    while True: pass", "it takes too long"),
        (
            "def attack():\n    import os, signal\n    os.kill(os.getpid(), signal.SIGSEGV)",
            "it brings Python down (SIGSEGV)",
        ),
        ("def attack():\n    raise AssertionError('planted')", "is not foreseen (AssertionError: planted)"),
        ("def attack():\n    sys.exit(0)", "the checks ended here"),
    ],
)
def test_child_that_dies_is_a_complaint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, says: str) -> None:
    """A child that dies or never ends is a complaint about the file that it was at, in a few seconds."""
    began = monotonic()
    [complaint] = found(tmp_path, monkeypatch, code)
    assert complaint.startswith("greetings/bye.j2:1: the checks ended here")
    assert says in complaint
    assert "make what is here shorter and simpler" in complaint
    assert monotonic() - began < 20


def test_child_that_sleeps_is_a_complaint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that takes no processor's time but says nothing is not waited for."""
    # Starting it takes a second, and more where much else runs.
    monkeypatch.setattr(guarded, "PATIENCE", 8.0)
    [complaint] = found(tmp_path, monkeypatch, "import time\ndef attack():\n    time.sleep(600)")
    assert "nothing happened for 8 seconds" in complaint


def test_child_has_no_room_and_no_pen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child gets no memory beyond its own, writes no file, and knows none of Pickup's secrets."""
    monkeypatch.setenv("PICKUP_CALLER_SECRET", "s3cret")
    code = (
        "def attack():\n"
        "    import os\n"
        "    assert not [name for name in os.environ if name.startswith('PICKUP_')]\n"
        "    try:\n"
        "        bytearray(300_000_000)\n"
        "    except MemoryError:\n"
        f"        file = open({str(tmp_path / 'written')!r}, 'wb')\n"
        "        try:\n"
        "            file.write(b'x' * 100_000); file.flush()\n"
        "        except OSError: os._exit(7)\n"
    )
    [complaint] = found(tmp_path, monkeypatch, code)
    assert "the checks ended here" in complaint
    assert (tmp_path / "written").stat().st_size == 0


def test_checks_that_cannot_begin_are_no_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the child cannot even start, the command says so and why; it is never taken for all being well."""
    child_only = "import sys\nif '-P' in sys.orig_argv: sys.modules['babel'] = None\n"
    monkeypatch.setenv("PYTHONPATH", str(write(tmp_path, {**BASE, "sitecustomize.py": child_only})))
    command = [FLASK, "pickup", "check", str(tmp_path)]
    result = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr.startswith("The checks did not begin: ")
    assert "babel" in result.stderr
    assert "Traceback" not in result.stderr


def test_child_that_never_starts_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that comes to nothing at all, and does not end either, is given up too."""
    monkeypatch.setattr(guarded, "PATIENCE", 0.2)
    planted = write(tmp_path, {"sitecustomize.py": "import time\ntime.sleep(600)\n"})
    monkeypatch.setenv("PYTHONPATH", str(planted))
    with pytest.raises(ChecksFailed, match="The checks did not begin: nothing happened"):
        check_folders(tmp_path / "experiments", tmp_path / "greetings", region="NL")


def test_modules_beside_the_content_are_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is checked from within can hold Python that has the name of one of ours: it does not run."""
    write(tmp_path, {**BASE, "json.py": f"open({str(tmp_path / 'ran')!r}, 'w')\n", "flask_pickup/__init__.py": "boom"})
    monkeypatch.chdir(tmp_path)
    assert complaints_about(tmp_path, {}) == []
    assert not (tmp_path / "ran").exists()


def test_hundred_experiments_are_no_trouble(tmp_path: Path) -> None:
    """A hundred experiments in three languages on three lines are checked without a word, in seconds of work."""
    languages = {f"greetings/first_message.{code}.j2": "Hello." for code in ("nl", "fr")}
    lines = "".join(f'[lines."+3185012345{n}"]\nname = "line {n}"\n' for n in range(3))
    arm = {f"warm/first_message{code}.j2": "Hello {{ customer.first_name }}." for code in ("", ".nl", ".fr")}
    experiments = {
        f"experiments/e{n}/{path}": text for n in range(100) for path, text in {"experiment.toml": DRAFT, **arm}.items()
    }
    settings = {
        "greetings/settings.toml": lines,
        "greetings/hours.toml": 'timezone = "UTC"\n[week]\nmonday = "09:00-17:00"\n',
    }
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert complaints_about(tmp_path, {**BASE, **languages, **settings, **experiments}) == []
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 10


def test_sample_content_is_silent() -> None:
    """The sample content has nothing to complain about."""
    root = Path(__file__).parents[2]
    assert check_folders(root / "experiments", root / "greetings", region="NL").complaints == ()
