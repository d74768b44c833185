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


def program(folder: Path, text: str) -> str:
    path = folder / "some-python"
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_no_python(checkout: Path) -> None:
    """Without Python it says which to install."""
    ended = run_script(checkout, "scripts/serve", PYTHON="python-of-nowhere")
    assert (ended.returncode, ended.stdout) == (1, "There is no python-of-nowhere. Install Python 3.11 or newer.\n")


def test_old_python(checkout: Path, tmp_path: Path) -> None:
    """With an old Python it says how old, and how to name another."""
    ended = run_script(checkout, "scripts/serve", PYTHON=program(tmp_path, OLD))
    assert ended.returncode == 1
    assert "is Python 3.9.2. Set PYTHON to a newer one." in ended.stdout


def test_python_without_venv(checkout: Path, tmp_path: Path) -> None:
    """Where a distribution keeps venv in a package of its own, it is named."""
    ended = run_script(checkout, "scripts/serve", PYTHON=program(tmp_path, DEBIANS))
    assert (ended.returncode, "apt install python3-venv" in ended.stdout) == (1, True)


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
