"""The pages for authors run: what they show is what the files say and the commands print."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from conftest import CALLER, MakePhone, write
from flask_pickup import checking
from flask_pickup.cli import pickup as commands

ROOT = Path(__file__).parents[1]
RECIPES = (ROOT / "docs/recipes.md").read_text("utf-8")
AUTHORING = (ROOT / "docs/authoring.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", RECIPES, re.MULTILINE | re.DOTALL))
EXAMPLES = sorted(path.parent for path in ROOT.glob("experiments/*/experiment.toml"))


def shown_files(page: str) -> list[tuple[str, str]]:
    """Return the files that a page shows: a path in a line of its own, and the block below it."""
    return re.findall(r"^`([\w./-]+)`:\n\n```\w+\n(.*?)^```", page, re.MULTILINE | re.DOTALL)


def shown_commands(page: str) -> list[tuple[str, str]]:
    """Return the commands that a page shows, each with what it prints."""
    blocks = re.findall(r"^```console\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return [
        found
        for block in blocks
        for found in re.findall(r"^\$ flask pickup (.+)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    ]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """app.py as it stands, with an instance folder of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PICKUP_")]:
            patch.delenv(name)
        patch.setenv("PICKUP_WEBHOOK_SECRET", "a-webhook-secret")
        patch.setenv("PICKUP_CALLER_SECRET", "a-caller-secret-41879")
        patch.syspath_prepend(str(ROOT))
        app: Flask = import_module("app").create_app()
        app.instance_path = str(tmp_path_factory.mktemp("instance"))
        yield app
        app.extensions["pickup"].close()
        del sys.modules["app"], sys.modules["crm"]


def run(app: Flask, command: str) -> str:
    result = app.test_cli_runner().invoke(commands, shlex.split(command))
    assert result.exit_code == 0, result.output
    return result.output


def agree(shown: str, found: str) -> bool:
    """Return whether what a page shows stands in ``found``: ``...`` is anything, a line may be broken elsewhere."""
    pieces = [re.escape(" ".join(piece.split())) for piece in shown.split("...")]
    return re.search(".*".join(pieces), " ".join(found.split())) is not None


DIGEST = "A digest by mail and in a chat"


@pytest.mark.parametrize("section", [section for section in SECTIONS if section != DIGEST])
def test_recipes_print_what_the_page_shows(sample: Flask, section: str) -> None:
    """Each command of a recipe prints what stands below it on the page."""
    found = shown_commands(SECTIONS[section])
    assert found
    for command, shown in found:
        printed = run(sample, command)
        assert agree(shown, printed), f"{command}\n{printed}"


_SEND = """\
#!/bin/sh
echo "$@" > arguments
cat > sent
exit "$(cat status)"
"""
"""Stands for a program that sends what it reads, and notes how it was called."""


@pytest.mark.parametrize(
    ("script", "program", "options", "sent"),
    [
        (
            "mail-owner.sh",
            "sendmail",
            ("--format", "html"),
            "Content-Type: text/html; charset=utf-8\n\n<!doctype html>",
        ),
        ("tell-chat.sh", "curl", ("--reader", "chat"), '{"text": "Pickup on 13 Dec 2025: how things are'),
    ],
)
def test_digest_is_sent(  # noqa: PLR0913, PLR0917 (the case and two fixtures)
    make_phone: MakePhone,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    program: str,
    options: tuple[str, ...],
    sent: str,
) -> None:
    """Each script hands the digest to its program, and one that the program does not take is told again."""
    scripts = dict(re.findall(r"^`([\w-]+\.sh)`.*?```sh\n(.*?)^```", SECTIONS[DIGEST], re.MULTILINE | re.DOTALL))
    monkeypatch.chdir(write(tmp_path / "clinic", {script: scripts[script], program: _SEND, "status": "1"}))
    monkeypatch.setenv("PATH", f"{Path.cwd()}:{os.environ['PATH']}")
    monkeypatch.setenv("CHAT_WEBHOOK", "https://chat.example.com/hooks/1")
    for name in (script, program):
        Path(name).chmod(0o700)
    phone, found = make_phone(), []
    for status in ("1", "0", "0"):
        Path("status").write_text(status, "utf-8")
        Path("sent").unlink(missing_ok=True)
        arguments = ["digest", "--deliver", f"./{script}", *options]
        result = phone.app.test_cli_runner().invoke(commands, arguments)
        found.append((result.exit_code, Path("sent").exists() and sent in Path("sent").read_text("utf-8")))
    assert found == [(1, True), (0, True), (0, False)]


@pytest.mark.parametrize(("path", "shown"), shown_files(RECIPES))
def test_recipes_show_files_as_they_are(path: str, shown: str) -> None:
    """Each piece of a file on the page stands in the file like that."""
    assert agree(shown, (ROOT / path).read_text("utf-8"))


def test_every_example_has_its_recipe() -> None:
    """The page has a recipe for each example."""
    assert [
        path.name for path in EXAMPLES if f"experiments/{path.name}/" not in RECIPES and f"`{path.name}`" not in RECIPES
    ] == []


@pytest.mark.parametrize("folder", EXAMPLES, ids=lambda path: path.name)
def test_examples_say_what_they_are(folder: Path) -> None:
    """Each example begins with two lines on what it is for, and is a draft unless it is the one to begin with."""
    lines = (folder / "experiment.toml").read_text("utf-8").splitlines()
    assert [line.startswith("# ") for line in lines[:3]] == [True, True, False]
    assert ('status = "running"' in lines) is (folder.name == "warm-opening")
    assert ('status = "draft"' in lines) is (folder.name != "warm-opening")


def test_sample_content_is_well() -> None:
    """Check has nothing to say about the content that app.py begins with."""
    found = checking.check_folders(ROOT / "experiments", ROOT / "greetings", region="NL")
    assert (found.complaints, found.experiments) == ((), len(EXAMPLES))


@pytest.mark.usefixtures("checks_here")
def test_authors_page_is_a_business_that_works(tmp_path: Path, make_phone: MakePhone) -> None:
    """The files on the page for authors, taken together, pass the check, and its commands print what it shows."""
    files = dict(shown_files(AUTHORING))
    root = write(tmp_path / "page", files)
    assert checking.check_folders(root / "experiments", root / "greetings", region="NL").complaints == ()
    phone = make_phone(files)
    for command, shown in shown_commands(AUTHORING):
        printed = run(phone.app, command)
        assert agree(shown, printed), f"{command}\n{printed}"


def test_customers_are_cached(make_phone: MakePhone, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program on the page for customers greets by name, and asks the CRM once for a caller who rings twice."""
    asked = []

    class Crm:
        @staticmethod
        def find(number: str) -> dict[str, Any]:
            asked.append(number)
            return {"first_name": "Jan"}

    monkeypatch.setitem(sys.modules, "crm", Crm)
    [program] = re.findall(r"```python\n(.*?)```", (ROOT / "docs/customers.md").read_text("utf-8"), re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(program.replace("Pickup()", "Pickup(clock=lambda: 1_765_627_200)"), namespace)
    phone = make_phone({"greetings/first_message.j2": "Hello {{ customer.first_name }}!"}, pickup=namespace["pickup"])
    heard = [phone.ring(call).get_json()["assistant"]["first_message"] for call in ("1", "2")]
    assert heard == ["Hello Jan!"] * 2
    assert asked == [CALLER]
