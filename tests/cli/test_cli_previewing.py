"""``flask pickup preview``: what a caller would hear, and nothing recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bells import BELL_TOKEN, bell
from commands import run
from conftest import CALLER, CONTENT, EXPERIMENT, LINE, MakePhone, Phone
from flask_pickup.platforms import REGISTRY

WORDS = {"control": "Good day.", "warm": "Hello there, how lovely that you call!"}
HOURS = 'timezone = "Europe/Amsterdam"\n[week]\nmonday = "09:00-17:00"\n'


def preview(phone: Phone, *arguments: str) -> dict[str, object]:
    result = run("preview", *arguments, "--format", "json", app=phone.app)
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.stdout)
    return found


def test_preview_is_what_the_call_hears(make_phone: MakePhone) -> None:
    """The previewed arm and answer are those of a real call by that number, metadata aside."""
    phone = make_phone()
    shown = preview(phone, "--from", CALLER)
    heard = phone.ring().get_json()
    [(arm,)] = phone.rows("SELECT arm FROM pickup_assignments")
    assert shown["assignments"]["warm-opening"]["arm"] == arm  # type: ignore[index]
    answer = shown["answer"]
    assert answer["assistant"]["first_message"] == heard["assistant"]["first_message"]  # type: ignore[index]
    assert shown.keys() >= {"caller", "language", "open", "assignments", "answer"}


@pytest.mark.parametrize(
    ("number", "region", "country"),
    [
        ("12015550123", "NL", "US"),
        ("32475123456", "NL", "BE"),
        ("4915228817386", "DE", "DE"),
        ("447700900123", "NL", "GB"),
        ("31612345678", "US", "NL"),
        ("5215512345678", "NL", "MX"),
    ],
)
def test_number_without_plus_has_its_country(make_phone: MakePhone, number: str, region: str, country: str) -> None:
    """A number without a plus that is not valid in the region is the caller with a plus, in their country."""
    phone = make_phone(PICKUP_REGION=region)
    shown, other = (preview(phone, "--from", text)["caller"] for text in (number, f"+{number}"))
    assert shown == other
    assert shown["country"] == country  # type: ignore[index]


def test_preview_on_another_platform(make_phone: MakePhone, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer is the one that the platform gets, whichever is named; one that is not enabled is a usage error."""
    monkeypatch.setitem(REGISTRY, "bell", bell().from_config)
    files = {**CONTENT, "greetings/override.bell.json": {"voice": "{{ platform }}"}}
    phone = make_phone(files, PICKUP_BELL_TOKEN=BELL_TOKEN)
    shown, default = preview(phone, "--platform", "bell")["answer"], preview(phone)["answer"]
    assert (shown["voice"], shown["say"]) == ("bell", "Good day.")  # type: ignore[index]
    assert default.keys() == {"assistant"}  # type: ignore[attr-defined]
    refused = run("preview", "--platform", "gong", app=phone.app)
    assert (refused.exit_code, "There are: flireo, bell." in refused.stderr) == (2, True)


def test_preview_records_nothing(make_phone: MakePhone, tmp_path: Path) -> None:
    """No row, no file in the spool, not even a database comes of a preview."""
    phone = make_phone()
    preview(phone, "--from", CALLER)
    for table in ("calls", "assignments", "outcomes", "definitions"):
        assert phone.rows(f"SELECT COUNT(*) FROM pickup_{table}") == [(0,)]
    untouched = make_phone(migrate=False, url=f"sqlite:///{tmp_path / 'none.db'}")
    preview(untouched, "--from", CALLER)
    assert not (tmp_path / "none.db").exists()
    assert not untouched.app.extensions["pickup"].options.spool.exists()


def test_an_arm_can_be_shown(make_phone: MakePhone) -> None:
    """An author sees any arm, whatever the number's own is."""
    phone = make_phone()
    for arm, greeting in WORDS.items():
        shown = preview(phone, "--from", CALLER, "--experiment", "warm-opening", "--arm", arm)
        assert shown["answer"]["assistant"]["first_message"] == greeting  # type: ignore[index]


def test_ranges_of_layers_are_shown(make_phone: MakePhone) -> None:
    """The preview shows who has which range of a layer, running or paused, and what is free."""
    others = {"a": ("paused", "[0.0, 0.25]"), "b": ("running", "[0.5, 0.75]"), "c": ("draft", "[0.25, 0.5]")}
    files = dict(CONTENT)
    for name, (status, layer_range) in others.items():
        toml = f'layer = "voice"\nlayer_range = {layer_range}\n{EXPERIMENT.replace("running", status)}'
        files |= {f"experiments/{name}/experiment.toml": toml, f"experiments/{name}/warm/override.json": {"a": {}}}
    phone = make_phone(files)
    text = " ".join(run("preview", "--from", CALLER, app=phone.app).stdout.split())
    assert "layer voice a [0.0, 0.25], b [0.5, 0.75], free [0.25, 0.5], free [0.75, 1.0]" in text
    assert preview(phone, "--from", CALLER)["layers"] == {"voice": {"a": [0, 0.25], "b": [0.5, 0.75]}}


def test_another_time_can_be_shown(make_phone: MakePhone) -> None:
    """A time is in the business's own zone unless it names one; outside the hours the call is rejected."""
    phone = make_phone({**CONTENT, "greetings/hours.toml": HOURS, "greetings/closed.j2": "We are closed."})
    assert preview(phone, "--from", CALLER, "--at", "2026-03-02T12:00")["open"] is True
    for at in ("2026-03-02T17:30", "2026-03-02T16:30:00+00:00", "2026-03-03T12:00"):
        shown = preview(phone, "--from", CALLER, "--at", at)
        assert (shown["open"], shown["answer"]) == (False, {"error": "We are closed."})


def test_why_a_caller_is_in_no_arm(make_phone: MakePhone) -> None:
    """Whoever is in no arm of an experiment is shown with the reason."""
    shown = preview(make_phone(), "--from", "anonymous")
    assert shown["assignments"] == {"warm-opening": {"arm": None, "reason": "unidentified"}}
    assert shown["caller"] == {"key": None, "country": None, "language": None, "identified": False}


def test_line_is_taken_into_account(make_phone: MakePhone) -> None:
    """The number called decides its own greeting."""
    line = '[lines."+31850835037"]\ngreetings = "lines/desk"\n'
    files = {"greetings/settings.toml": line, "greetings/lines/desk/first_message.j2": "The desk."}
    phone = make_phone({"greetings/first_message.j2": "Good day.", **files})
    assert preview(phone, "--to", "085 083 5037")["answer"] == {"assistant": {"first_message": "The desk."}}


def test_preview_for_people(make_phone: MakePhone) -> None:
    """For people it is a list of what there is to know, the words, and the answer; no number stands in it."""
    result = run("preview", "--from", CALLER, "--experiment", "warm-opening", "--arm", "warm", app=make_phone().app)
    lines = result.stdout.splitlines()
    labels = ["caller", "language", "open", "decision", "experiments", "warm-opening", "greeting"]
    assert [line.split()[0] for line in lines[: len(labels)]] == labels
    assert lines[len(labels) - 1].endswith(WORDS["warm"])
    assert lines[2].endswith("always, as no hours are set")
    assert all(line == line.rstrip() for line in lines)
    assert json.loads(result.stdout.partition("gets it:\n")[2])["assistant"]["first_message"] == WORDS["warm"]
    assert "612345678" not in result.output


def test_number_that_identifies_nobody_is_said(make_phone: MakePhone) -> None:
    """A line of the business's own must not pass for a caller."""
    settings = {"greetings/settings.toml": f'[lines."{LINE}"]\nname = "Desk"\n'}
    result = run("preview", "--from", LINE, app=make_phone({**CONTENT, **settings}).app)
    assert "identifies no caller" in result.stderr
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--from", "abc"), "Write it as +31612345678"),
        (("--from", "112"), "Write it as +31612345678"),
        ((CALLER,), "Give the caller's number with --from"),
        (("--at", "tomorrow"), "Write it as 2026-12-24T22:00"),
        (("--experiment", "warm-opening"), "name both"),
        (("--arm", "warm"), "name both"),
        (("--experiment", "cold", "--arm", "warm"), "There are: warm-opening."),
        (("--experiment", "warm-opening", "--arm", "cold"), "There are: control, warm."),
        (("--form", "x"), "No such option"),
    ],
)
def test_asked_wrongly_is_two(make_phone: MakePhone, arguments: tuple[str, ...], says: str) -> None:
    """What cannot be shown is said with what can, and the exit status is 2."""
    result = run("preview", *arguments, app=make_phone().app)
    assert (result.exit_code, says in result.stderr) == (2, True)


def test_failing_content_is_not_well(make_phone: MakePhone) -> None:
    """Where a template fails for this caller, the answer steps down, it is said why, and the exit status is 1."""
    files = {**CONTENT, "experiments/warm-opening/warm/first_message.j2": "{{ 1 // 0 }}"}
    result = run("preview", "--experiment", "warm-opening", "--arm", "warm", app=make_phone(files).app)
    assert result.exit_code == 1
    assert "experiments/warm-opening/warm" in result.stderr
    assert "Good day." in result.stdout


def test_preview_asks_the_customer_hook(make_phone: MakePhone) -> None:
    """What the host knows of the caller is in the preview, as on a call."""
    from flask_pickup import Pickup  # noqa: PLC0415

    pickup = Pickup()
    pickup.customer(lambda caller: {"first_name": "Ada"} if caller.number == CALLER else None)
    phone = make_phone({"greetings/first_message.j2": "Hello {{ customer.first_name }}!"}, pickup=pickup)
    assert preview(phone, "--from", CALLER)["answer"] == {"assistant": {"first_message": "Hello Ada!"}}
