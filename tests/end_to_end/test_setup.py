"""``scripts/setup.sh`` on machines that lack something: a sentence says what."""

from __future__ import annotations

from pathlib import Path

import pytest

from checkouts import borrow_packages, copy_checkout, run_script

pytestmark = pytest.mark.slow

OLD = """#!/bin/sh
case "$*" in
-V) echo "Python 3.9.2" ;;
*version_info*) exit 1 ;;
esac
"""
DEBIANS = """#!/bin/sh
case "$*" in
*ensurepip*) exit 1 ;;
esac
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that is not set up."""
    return copy_checkout(tmp_path_factory.mktemp("a folder") / "of pickup")


@pytest.mark.parametrize(
    ("python", "said"),
    [
        ("", "There is no python-of-nowhere. Install Python 3.11 or newer."),
        (OLD, "is Python 3.9.2. Set PYTHON to a newer one."),
        (DEBIANS, "apt install python3-venv"),
    ],
    ids=["none", "old", "without venv"],
)
def test_python_that_does_not_do(checkout: Path, tmp_path: Path, python: str, said: str) -> None:
    """Without Python, with an old one, or with one that lacks venv, a sentence says what to install."""
    path = tmp_path / "some-python"
    path.write_text(python)
    path.chmod(0o755)
    ended = run_script(checkout, "scripts/serve", PYTHON=str(path) if python else "python-of-nowhere")
    assert (ended.returncode, said in ended.stdout) == (1, True)


def test_no_network_and_a_broken_venv(checkout: Path) -> None:
    """A .venv that was left half-made is made anew; where nothing can be installed, it says what would help."""
    (checkout / ".venv/bin").mkdir(parents=True)
    (checkout / ".venv/bin/python").symlink_to("/nowhere/python")
    ended = run_script(checkout, "scripts/serve", PIP_NO_INDEX="1", PIP_USER="1")
    assert ended.returncode == 1
    assert ended.stdout.startswith("Making .venv …\nInstalling requirements.txt (about a minute the first time) …\n")
    assert ended.stdout.endswith("Without a network, set PIP_FIND_LINKS to a folder of wheels.\n")
    assert "user" not in ended.stdout.lower()


def test_moved_checkout_is_set_up_anew(tmp_path: Path) -> None:
    """A checkout that was moved does not run the programs of its old place."""
    old = copy_checkout(tmp_path / "old")
    borrow_packages(old)
    new = old.rename(tmp_path / "new")
    ended = run_script(new, "scripts/serve", PYTHON="python-of-nowhere")
    assert ended.stdout == "There is no python-of-nowhere. Install Python 3.11 or newer.\n"
