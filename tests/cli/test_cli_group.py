"""What all commands have in common: help, and saying why they cannot start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import click.testing
import pytest

from commands import pipe, plain, run, terminal
from conftest import CALLER, CONTENT, EXPERIMENT, MakePhone, write
from flask_pickup.cli import pickup


def commands(
    group: click.Group = pickup, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield all commands with the words that call them, groups included."""
    yield path, group
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = list(commands())
NAMES = [" ".join(path) or "pickup" for path, _ in ALL]


@pytest.mark.parametrize(("path", "command"), ALL, ids=NAMES)
def test_help_says_it_all(path: tuple[str, ...], command: click.Command) -> None:
    """Each command's help has a whole first sentence, an explanation of each option, and fits 80 columns."""
    result = run(*path, "--help")
    assert not command.get_short_help_str(60).endswith("...")
    assert result.exit_code == 0
    assert command.help
    assert "Usage: " in result.stdout
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    required = [
        parameter for parameter in command.params if parameter.required or isinstance(parameter, click.Argument)
    ]
    assert not required or f"\n  flask pickup {' '.join(path)}" in result.stdout
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.help[0].isupper()
            assert parameter.help.partition("  [")[0].endswith("."), parameter.help
        else:
            assert parameter.make_metavar(click.Context(command)).strip("[]") in command.help


@pytest.mark.parametrize(("path", "command"), ALL, ids=NAMES)
def test_programs_get_json(path: tuple[str, ...], command: click.Command) -> None:
    """Each command has --format json; the group's help names those that have it not, and what they print."""
    formats = [each.type for each in command.params if "--format" in each.opts]
    has_json = any(isinstance(each, click.Choice) and "json" in each.choices for each in formats)
    if not has_json and not isinstance(command, click.Group):
        assert f"{' '.join(path)} (" in " ".join(run("--help").stdout.split())


OUTPUTS = [
    "check .", "new first --arms warm,brisk", "status", "preview --from +31612345678", "assign --from numbers.csv",
    "outcomes import outcomes.csv", "results", "results warm-opening --breakdowns", "simulate warm-opening --callers 20",
    "plan warm-opening --metric other --baseline 0.3 --lift 0.05 --callers-a-week 90",
    "db upgrade", "db current", "forget +31612345678", "purge --days 365",
]  # fmt: skip


def test_outputs_fit_a_terminal(make_phone: MakePhone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal of 80 columns no line of text is longer; the platform's JSON stays as it is."""
    toml = (
        f"{EXPERIMENT}\n[metrics.other]\noutcome = 'user_messages'\ngoal = 'increase'\nguardrail = true\nmargin = 0.1\n"
    )
    content = {
        **CONTENT,
        "experiments/warm-opening/experiment.toml": toml,
        "experiments/broken/experiment.toml": 'status = "an experiment that no call can read as it is written here"',
    }
    phone = make_phone(content)
    phone.ring("call-1")
    numbers, outcomes = f"{CALLER}\n\nnone", f"outcome,at,caller\nsale,2026-03-02,{CALLER}"
    monkeypatch.chdir(write(tmp_path, {**content, "numbers.csv": numbers, "outcomes.csv": outcomes}))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(click.testing._NamedTextIOWrapper, "isatty", lambda _: True)  # noqa: SLF001
    for line in OUTPUTS:
        result = run(*line.split(), app=phone.app)
        text = plain(result.stdout).partition("\n{\n")[0]
        assert text, f"{line}: {result.stderr}"
        assert [line, *(each for each in text.splitlines() if len(each) > 80)] == [line]


@pytest.mark.slow
def test_group_is_found_by_flask(tmp_path: Path) -> None:
    """An installed Pickup adds its commands to every flask, app or none."""
    shown, _ = terminal("--help", folder=tmp_path)
    for name in pickup.commands:
        assert f"\n  {name} " in plain(shown)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("preview",), ("db", "current")])
def test_missing_secret_is_a_sentence(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Where the app cannot start as it is configured, a command says what to set, without a traceback."""
    app = "from flask import Flask\nfrom flask_pickup import Pickup\napp = Flask(__name__)\napp.register_blueprint(Pickup())\n"
    (tmp_path / "app.py").write_text(app)
    result = pipe(*arguments, folder=tmp_path)
    sentence = "'PICKUP_CALLER_SECRET' is not set. Set it to a long random text that never changes.\n"
    assert (result.returncode, result.stderr) == (2, sentence)


@pytest.mark.slow
def test_app_without_pickup_is_a_sentence(tmp_path: Path) -> None:
    """In an app that mounts no Pickup, a command says how to mount it."""
    (tmp_path / "app.py").write_text("from flask import Flask\napp = Flask(__name__)\n")
    result = pipe("preview", folder=tmp_path)
    assert (result.returncode, result.stderr.startswith("This app has no Pickup. Mount it: ")) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("results", "\udcff"), ("db", "upgrade", ""), ("db", "downgrade", ""), ("preview", "--at", "0001-01-01"),
        ("preview", "--at", "9999-12-31T23:59"), ("rehearse", "http://a b/"), ("purge", "--days", "nan"),
    ],
    ids=repr,
)  # fmt: skip
def test_wrong_input_is_a_sentence(make_phone: MakePhone, arguments: tuple[str, ...]) -> None:
    """What cannot be meant is refused as wrong usage, without a traceback."""
    result = run(*arguments, app=make_phone().app)
    assert (result.exit_code, type(result.exception)) == (2, SystemExit)
    assert result.stderr.splitlines()[-1].endswith((".", "webhook"))
