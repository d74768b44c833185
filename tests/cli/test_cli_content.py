"""``flask pickup check`` and ``new``: for authors, without an app."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from commands import pipe, plain, run, terminal
from conftest import CALLER, CONTENT, EXPERIMENT, MakePhone, write
from flask_pickup import checking
from flask_pickup.catalog import Complaint

BROKEN = {
    "greetings/first_message.j2": "Good day {{ custommer.first_name }}.",
    "experiments/opening/experiment.toml": 'status = "runing"\ntrafic = 0.5\n[arms]\ncontrol = 1\nwarm = 1\n',
    "experiments/opening/warm/first_message.j2": "{% if %}",
    "experiments/opening/warm/override.json": '{"assistant": }',
}
COMPLAINT = re.compile(r"(?P<file>\S+):(?P<line>\d+): (?P<level>error|warning): (?P<wrong>.+?); (?P<right>.+)")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, without any of Pickup's variables."""
    monkeypatch.chdir(tmp_path)
    for name in ("EXPERIMENTS", "GREETINGS", "REGION", "CALLER_SECRET", "WEBHOOK_SECRET"):
        monkeypatch.delenv(f"PICKUP_{name}", raising=False)
    return tmp_path


@pytest.mark.usefixtures("checks_here")
def test_every_complaint_at_once(here: Path) -> None:
    """All complaints are printed at once, each with file, line, problem and remedy."""
    write(here / "content", BROKEN)
    result = run("check", "content")
    lines = result.stdout.splitlines()
    found = [match for line in lines[:-1] if (match := COMPLAINT.fullmatch(line))]
    assert len(found) == len(lines) - 1, result.stdout
    assert {match["file"] for match in found} >= {f"content/{path}" for path in BROKEN}
    assert result.exit_code == 1
    assert re.fullmatch(r"1 experiment checked, 1 skipped on calls: \d+ errors, \d+ warnings?\.", lines[-1])


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "1 experiment checked: no problems."),
        ({"experiments/b/experiment.toml": "status ="}, "2 experiments checked, 1 skipped on calls: 1 error, "),
        ({"experiments/b/warm/first_message.j2": "Hi."}, "2 experiments checked, 1 skipped on calls: 1 error, "),
        ({"experiments/b.old/warm/first_message.j2": "Hi.", "experiments/README.md": "Ours."}, "1 experiment checked: no "),
    ],
    ids=["all load", "broken", "without experiment.toml", "no experiments"],
)  # fmt: skip
def test_each_experiment_is_counted(here: Path, files: dict[str, str], says: str) -> None:
    """The last line counts all experiments, and of them those that calls skip."""
    write(here, {**CONTENT, **files})
    assert run("check").stdout.splitlines()[-1].startswith(says)


def test_checks_that_end_early_count_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a file ended the checks, the last line says so in place of a number."""
    ended = Complaint("greetings/bye.j2", 0, "the checks ended here", "make it shorter and simpler")
    monkeypatch.setattr(checking, "check_folders", lambda *_, **__: checking.Found((ended,)))
    write(here, CONTENT)
    assert run("check").stdout.splitlines()[-1] == "The checks ended early: 1 error, 0 warnings."


@pytest.mark.usefixtures("checks_here")
def test_files_are_named_as_they_are_found_from_here(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Complaints name the folders as they are called here, so that an editor opens the file."""
    write(here, {path.replace("experiments/", "tests-of-ours/", 1): text for path, text in BROKEN.items()})
    monkeypatch.setenv("PICKUP_EXPERIMENTS", "tests-of-ours")
    files = {line.partition(":")[0] for line in run("check").stdout.splitlines()[:-1]}
    assert files
    assert all((here / file).exists() for file in files)


@pytest.mark.usefixtures("checks_here")
def test_options_of_the_app_here_count(make_phone: MakePhone) -> None:
    """What the environment leaves out is the app's: its folders, its region and its platforms."""
    content = {**CONTENT, "greetings/override.vapi.json": {"assistantOverrides": {"voise": {}}}}
    secrets = {"PICKUP_VAPI_SECRET": "a-secret-of-vapi", "PICKUP_VAPI_ASSISTANT": "assistant"}
    result = run("check", app=make_phone(content, **secrets).app)
    assert "unknown key 'voise'; did you mean 'voice'?" in result.stdout


@pytest.mark.usefixtures("checks_here")
def test_exit_status_is_0_without_errors(here: Path) -> None:
    """Content without problems gives one line; a warning is printed; both leave the exit status 0."""
    write(here, CONTENT)
    result = run("check", ".")
    assert (result.stdout, result.exit_code) == ("1 experiment checked: no problems.\n", 0)
    write(here, {"greetings/system_prompt.j2": "{{ customer_raw.note }}"})
    result = run("check")
    assert "greetings/system_prompt.j2:1: warning: " in result.stdout
    assert "0 errors, 1 warning." in result.stdout
    assert result.exit_code == 0


@pytest.mark.usefixtures("checks_here")
def test_complaints_for_programs(here: Path) -> None:
    """With --format json the complaints are a list, and the exit status is the same."""
    write(here, BROKEN)
    result = run("check", "--format", "json")
    complaints = json.loads(result.stdout)
    assert result.exit_code == 1
    assert all(complaint.keys() == {"file", "line", "level", "problem", "remedy"} for complaint in complaints)
    assert {"error"} <= {complaint["level"] for complaint in complaints} <= {"error", "warning"}
    write(here, CONTENT)
    assert json.loads(run("check", "--format", "json", str(write(here / "good", CONTENT))).stdout) == []


def test_notes_are_no_problem(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a platform needs at its vendor is printed and counted, and leaves the exit status 0."""
    note = Complaint("greetings", 0, "bell: Allow it.", "", "note")
    monkeypatch.setattr(checking, "check_folders", lambda *_, **__: checking.Found((note,), 1))
    write(here, CONTENT)
    result = run("check")
    assert result.stdout == "greetings:1: note: bell: Allow it.\n1 experiment checked: no problems, 1 note.\n"
    assert result.exit_code == 0
    [found] = json.loads(run("check", "--format", "json").stdout)
    assert (found["level"], found["problem"]) == ("note", "bell: Allow it.")


def test_platforms_are_those_with_a_secret(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child process checks for the platforms that the environment enables; a wrong secret is a usage error."""
    monkeypatch.setenv("PICKUP_WEBHOOK_SECRET", "a-webhook-secret")
    write(here, {**CONTENT, "greetings/override.flireo.json": {"max_duration_seconds": "long"}})
    assert "flireo rejects max_duration_seconds" in run("check").stdout
    monkeypatch.setenv("PICKUP_WEBHOOK_SECRET", "short")
    assert run("check").exit_code == 2


@pytest.mark.parametrize("arguments", [(), ("nowhere",), (".", "more"), ("--format", "xml")])
def test_wrong_usage_is_two(arguments: tuple[str, ...]) -> None:
    """Without content, or with wrong arguments, the exit status is 2."""
    assert run("check", *arguments).exit_code == 2


@pytest.mark.slow
@pytest.mark.usefixtures("checks_here")
def test_check_in_a_terminal_and_in_a_file(here: Path) -> None:
    """In a terminal the levels are in colour; elsewhere each complaint is one plain line."""
    write(here, BROKEN)
    shown, status = terminal("check", folder=here)
    written = run("check")
    assert (status, written.exit_code) == (1, 1)
    assert "\x1b[" in shown
    assert "\x1b" not in written.stdout
    assert plain(shown).split() == written.stdout.split()
    assert written.stderr == ""


BOOKED = {"structured_data_plan": {"schema": {"properties": {"appointment_booked": {"type": "boolean"}}}}}


@pytest.mark.usefixtures("checks_here")
def test_new_experiment_is_to_be_edited_and_runs(here: Path, make_phone: MakePhone) -> None:
    """What new writes is complained about until each arm has words of its own; then it runs, and callers hear its arms."""
    base = {path: text for path, text in CONTENT.items() if path.startswith("greetings/")}
    assistant = {**CONTENT["greetings/override.json"]["assistant"], "analysis_plan": BOOKED}
    write(here, {**base, "greetings/override.json": {"assistant": assistant}})
    result = run("new", "first", "--arms", "warm, brisk,control,warm")
    assert result.exit_code == 0
    found = json.loads(run("check", "--format", "json").stdout)
    assert [each["problem"].split(":")[0] for each in found] == [
        "arm 'warm' changes nothing",
        "arm 'brisk' changes nothing",
    ]
    write(here, {f"experiments/first/{arm}/first_message.j2": f"{arm}." for arm in ("warm", "brisk")})
    assert run("check").stdout == "1 experiment checked: no problems.\n"
    toml = here / "experiments/first/experiment.toml"
    toml.write_text(toml.read_text().replace('status = "draft"', 'status = "running"'))
    assert run("check").stdout == "1 experiment checked: no problems.\n"
    texts = {str(p.relative_to(here)): p.read_text() for p in here.glob("*/**/*") if p.is_file()}
    phone = make_phone(texts)
    for number in range(12):
        answer = phone.ring(f"call-{'abcdefghijkl'[number]}", caller=f"{CALLER[:-2]}{number + 10}").get_json()
        assert answer["assistant"]["first_message"] in {"Good day.", "warm.", "brisk."}
    assert {row[0] for row in phone.rows("SELECT arm FROM pickup_assignments")} == {"control", "warm", "brisk"}


def test_new_begins_with_what_callers_hear(here: Path) -> None:
    """Each arm has the base's greetings in every language, to edit; text and JSON name the files."""
    write(here, {"greetings/first_message.j2": "Hello.", "greetings/first_message.nl.j2": "Hallo."})
    wrote = re.findall(r"^wrote (.+)$", run("new", "first", "--arms", "warm").stdout, re.MULTILINE)
    made = json.loads(run("new", "second", "--arms", "warm", "--format", "json").stdout)
    assert (made["experiment"], made["arms"]) == ("second", ["control", "warm"])
    files = [str(p.relative_to(here)) for p in here.glob("experiments/**/*") if p.is_file()]
    assert sorted([*wrote, *made["files"]]) == sorted(files)
    assert (here / "experiments/first/warm/first_message.nl.j2").read_text() == "Hallo."


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("First", "--arms", "warm"), "'First' cannot be a name"),
        (("first", "--arms", "warm,Brisk arm"), "'Brisk arm' cannot be a name"),
        (("first", "--arms", " , "), "at least one arm beside control"),
        (("first", "--arms", "warm", "--layer", "The opening"), "'The opening' cannot be a name"),
        (("first",), "--arms"),
        ((), "NAME"),
    ],
)
def test_new_refuses_what_cannot_be(here: Path, arguments: tuple[str, ...], says: str) -> None:
    """A name that could not stand in the tables, or no arm at all, is a usage error, and nothing is written."""
    result = run("new", *arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert list(here.iterdir()) == []


def test_new_changes_nothing_that_is_there(here: Path) -> None:
    """An experiment is never written over."""
    write(here, CONTENT)
    result = run("new", "warm-opening", "--arms", "brisk")
    assert (result.exit_code, "already" in result.stderr) == (1, True)
    assert not (here / "experiments/warm-opening/brisk").exists()


@pytest.mark.usefixtures("checks_here")
@pytest.mark.parametrize(
    ("others", "arguments", "written", "says"),
    [
        ([], (), "[0.0, 1.0]", "'opening': free [0.0, 1.0]."),
        (["running [0, 0.5]"], (), "[0.5, 1.0]", "'opening': a [0.0, 0.5], free [0.5, 1.0]."),
        (["paused [0.1, 0.4]", "running [0.5, 0.8]"], (), "[0.8, 1.0]", "free [0.0, 0.1], free [0.4, 0.5], free [0.8, 1.0]."),
        (["draft [0, 0.5]", "concluded [0, 0.5]"], (), "[0.0, 1.0]", "'opening': free [0.0, 1.0]."),
        (["running [0, 0.5]"], ("--layer", "voice"), "[0.0, 1.0]", "It has [0.0, 1.0] of the layer 'voice': free [0.0, 1.0]."),
        (["running [0, 0.5]", "paused [0.5, 1]"], (), "[0.0, 1.0]",
         "'opening' has no callers left for it: a [0.0, 0.5], b [0.5, 1.0], nothing free.\nwarning: before it runs, conclude"),
    ],
)  # fmt: skip
def test_new_writes_a_free_range(
    here: Path, others: list[str], arguments: tuple[str, ...], written: str, says: str
) -> None:
    """A new experiment has the widest free range of its layer, and says so; all of it, with a warning, where none is free."""
    for name, (status, range_) in zip("ab", (each.split(" ", 1) for each in others), strict=False):
        toml = f'layer = "opening"\nlayer_range = {range_}\n{EXPERIMENT.replace("running", status)}'
        write(here, {f"experiments/{name}/experiment.toml": toml, f"experiments/{name}/warm/first_message.j2": "Hi."})
    result = run("new", "first", "--arms", "warm", *arguments)
    assert (result.exit_code, says in result.stdout) == (0, True), result.stdout
    assert ("warning" in result.stdout) == ("warning" in says)
    toml_file = here / "experiments/first/experiment.toml"
    assert f"\nlayer_range = {written}" in toml_file.read_text()
    toml_file.write_text(toml_file.read_text().replace('"draft"', '"running"'))
    assert (" overlaps " in run("check").stdout) == ("warning" in says)


@pytest.mark.slow
def test_new_and_check_need_no_app(here: Path) -> None:
    """In a folder whose app does not even load, authors can write and check."""
    write(here, {"app.py": "raise RuntimeError('no app today')\n", "greetings/first_message.j2": "Hello."})
    made = run("new", "first", "--arms", "warm")
    assert (made.exit_code, made.stderr) == (0, "")
    checked = pipe("check", folder=here)
    assert checked.stdout.endswith("1 experiment checked: 0 errors, 2 warnings.\n")
    assert (checked.stderr, checked.returncode) == ("", 0)
