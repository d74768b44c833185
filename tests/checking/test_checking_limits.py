"""The checks run in a child process with limits: an endless template is a complaint about its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import run
from complaints import BASE, DRAFT, command_complains
from conftest import write
from flask_pickup.checking import check_folders

LOOPS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"


@pytest.mark.parametrize(
    "files",
    [
        {"greetings/bye.j2": "{{ 9 ** (9 ** 9) }}"},
        {
            "experiments/a/experiment.toml": DRAFT,
            "experiments/a/warm/first_message.j2": "{% include 'greetings/bye.j2' %}",
            "greetings/bye.j2": "Bye.{% if customer %}" + LOOPS + "{% endif %}",
        },
    ],
    ids=["constant", "arm"],
)
def test_endless_template_is_a_complaint(tmp_path: Path, files: dict[str, str]) -> None:
    """The complaint names the folder or file at which the time ran out; what was found before it is not lost."""
    found = command_complains(tmp_path, {**BASE, "experiments/b/experiment.toml": "arms = 1", **files})
    assert any(each["file"] == "experiments/b/experiment.toml" for each in found) or "greetings/bye.j2" in files
    [ended] = [each for each in found if each["problem"].startswith("the checks ended here")]
    assert ended["file"] in {"greetings", *files, "experiments/a/warm"}
    assert "it takes too long" in ended["problem"]
    assert ended["remedy"] == "make it shorter and simpler"


def test_text_that_is_too_large_is_a_complaint(tmp_path: Path) -> None:
    """A template that needs too much memory fails like any other, at its line; so does a string of an override."""
    huge = "{{ 'x' * 10**10 }}"
    files = {"greetings/bye.j2": "A\n" + huge, "greetings/override.json": {"assistant": {"metadata": {"a": huge}}}}
    found = command_complains(tmp_path, {**BASE, **files, "greetings/system_prompt.j2": "{% include 'bye.j2' %}"})
    assert any(each["file"] == "greetings/override.json" and "MemoryError" in each["problem"] for each in found)


def planted(root: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> list[str]:
    """Return the errors of a check whose child does at one file what no template can do."""
    folder = write(root / "planted", {"sitecustomize.py": PLANT + code})
    monkeypatch.setenv("PYTHONPATH", str(folder))
    write(root, {**BASE, "greetings/bye.j2": "Bye."})
    complaints = check_folders(root / "experiments", root / "greetings", region="NL").complaints
    return [str(each) for each in complaints if each.level == "error"]


PLANT = """
import os, signal, sys
import jinja2.environment
compiling = jinja2.Environment.compile
def hole(self, source, name=None, *rest, **named):
    if name == "greetings/bye.j2":
        attack()
    return compiling(self, source, name, *rest, **named)
jinja2.Environment.compile = hole
def attack():
"""


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("    os.kill(os.getpid(), signal.SIGSEGV)", "Python crashes (SIGSEGV)"),
        ("    sys.exit(0)", "Python exits with 0"),
    ],
)
def test_child_that_dies_is_a_complaint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, says: str) -> None:
    """Whatever ends the child, the complaint names the file that it was at and the cause."""
    [complaint] = planted(tmp_path, monkeypatch, code)
    assert complaint.startswith("greetings/bye.j2:1: the checks ended here: ")
    assert says in complaint


def test_checks_that_cannot_begin_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that cannot start is an error of the command with its reason, never a check without complaints."""
    child_only = "import sys\nif '-P' in sys.orig_argv: sys.modules['babel'] = None\n"
    monkeypatch.setenv("PYTHONPATH", str(write(tmp_path, {**BASE, "sitecustomize.py": child_only})))
    result = run("check", str(tmp_path))
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("The checks did not begin: ")
    assert "babel" in result.stderr
    assert "Traceback" not in result.stderr


def test_modules_beside_the_content_are_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is checked from within can hold Python files named like ours: they do not run."""
    write(tmp_path, {**BASE, "json.py": f"open({str(tmp_path / 'ran')!r}, 'w')\n", "flask_pickup/__init__.py": "boom"})
    monkeypatch.chdir(tmp_path)
    assert command_complains(tmp_path, {}) == []
    assert not (tmp_path / "ran").exists()
