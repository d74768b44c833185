"""End-of-call reports: which outcomes they become, whether the arm was delivered, and what is dropped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import CALLER, CONTENT, FLIREO, LINE, MakePhone, Phone
from flask_pickup.platforms import CallEnded, Delivery
from flask_pickup.reports import Reading, outcomes_of

SAID_NOTHING = [{"role": "assistant", "content": "Good day."}]
SPOKE = [*SAID_NOTHING, {"role": "user", "content": "When are you open?"}]
WORDLESS: tuple[Any, ...] = (7, None, "", " ", [], [{}])
SCHEMA = {
    "sentiment": {"type": "string", "enum": ["positive", "very happy", "negative"]},
    "booked": {"type": "boolean"},
}


def plan(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"analysis_plan": {"structured_data_plan": {"schema": {"type": "object", "properties": properties}}}}


WITH_PLAN = {**CONTENT, "greetings/override.json": {"assistant": plan(SCHEMA)}}


@pytest.fixture
def phone(make_phone: MakePhone) -> Phone:
    """An app on SQLite: outcomes are decided before a database sees them."""
    return make_phone()


def found(phone: Phone) -> dict[str, float]:
    return {str(name): value for name, value in phone.rows("SELECT name, value FROM pickup_outcomes")}


def unread(phone: Phone) -> Any:
    return phone.client.get("/pickup/health").get_json()["unread"]


def test_report_tells_duration_and_messages(phone: Phone) -> None:
    """A call has its length, and how often the caller said something."""
    phone.report(messages=SPOKE, end_reason="user_hangup")
    assert found(phone) == {
        "duration_seconds": 84, "user_messages": 1, "early_hang_up": 0,
        "completed": 1, "transferred": 0, "voicemail": 0, "silence": 0, "error": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        *((reason, "completed") for reason in (
            "user_hangup", "customer-ended-call", "callerHangup", "Caller hung up.", "assistant-ended-call-after-message-spoken",
            "agent_hangup", "call.in-progress.sip-completed-call", "customer-ended-call-during-transfer",
        )),
        *((reason, "transferred") for reason in ("call_transferred", "callTransfer", "assistant-forwarded-call")),
        *((reason, "voicemail") for reason in ("voicemail-detected", "Voicemail", "voicemail_reached")),
        *((reason, "silence") for reason in ("silence_timeout", "silence-timed-out", "Inactivity")),
        *((reason, "error") for reason in (
            "pipeline-error-openai-llm-failed", "call.in-progress.error-vapifault-worker-died", "SIP error 503", "call failed",
            "assistant-request-failed", "error_llm_websocket_open", "pipelineErrorVoice", "HTTPError:503", "error503",
            "twilio/connect failure (timeout)", "Errors: voicemail", "errored", "call-errored", "callErrored",
        )),
        *((reason, "") for reason in ("exceeded-max-duration", "maxDurationReached", "Maximum duration was reached")),
    ],
)  # fmt: skip
def test_known_end_reason_is_an_outcome(phone: Phone, reason: str, name: str) -> None:
    """A known end reason is 1 under its name, and the others are 0, however its words are joined."""
    phone.report(end_reason=reason)
    ends = {key: found(phone)[key] for key in ("completed", "transferred", "voicemail", "silence", "error")}
    assert ends == {each: float(each == name) for each in ends}


@given(
    st.lists(st.sampled_from(["error", "Failed", "FAILURE", "call", "sip", "503"]), min_size=1),
    st.text(".,:;/|-_ ()[]#!\n", min_size=1, max_size=3),
)
def test_error_is_found_between_any_marks(words: list[str], mark: str) -> None:
    """A reason with a word for an error is one, whatever stands between its words."""
    message = {"type": "end-of-call-report", "call": {"id": "x"}, "end_reason": mark.join(words)}
    event = FLIREO.parse(Delivery({}, json.dumps({"message": message}).encode()))
    assert isinstance(event, CallEnded)
    assert (event.ending == "error") is not {"call", "sip", "503"}.issuperset(words)


@pytest.mark.parametrize(
    "reason", ["gremlins", "default-reason", "transfer_cancelled", "customer-did-not-answer", "…", ["x"]]
)
def test_unknown_end_reason_maps_to_nothing(phone: Phone, reason: Any) -> None:
    """An unknown end reason makes no outcome; it is counted for the operator."""
    phone.report(end_reason=reason, messages=SAID_NOTHING)
    assert found(phone) == {"duration_seconds": 84, "user_messages": 0}
    assert unread(phone) == {"end reasons": 1}


@pytest.mark.parametrize(
    ("message", "early"),
    [
        ({"messages": SAID_NOTHING, "end_reason": "user_hangup"}, 1),
        ({"messages": SAID_NOTHING}, 1),
        ({"messages": SPOKE, "end_reason": "user_hangup", "duration_seconds": 1}, 0),
        ({"messages": SPOKE, "end_reason": "gremlins"}, 0),
        *(({"messages": [*SPOKE, {"role": "user", "content": content}]}, 0) for content in WORDLESS),
        *(({"messages": SAID_NOTHING, "end_reason": reason}, 0)
          for reason in ("silence_timeout", "call_transferred", "voicemail", "error", "agent_hangup")),
        ({"messages": SAID_NOTHING, "call": {"id": "call-1", "status": "ended-with-error"}}, 0),
        ({"messages": [], "duration_seconds": 2}, 1),
        ({"end_reason": "user_hangup", "duration_seconds": 2}, 1),
        ({"end_reason": "user_hangup", "duration_seconds": 60}, 0),
        ({"end_reason": "silence_timeout", "duration_seconds": 2}, 0),
    ],
)  # fmt: skip
def test_early_hang_up_is_a_caller_who_said_nothing(phone: Phone, message: dict[str, Any], early: float) -> None:
    """An early hang-up is a caller who ends the call without a word: no error, transfer, voicemail or silence."""
    phone.report(**message)
    assert found(phone)["early_hang_up"] == early


@pytest.mark.parametrize(
    "transcript",
    [
        *({"messages": messages} for messages in ("User: Hello?", [{"speaker": "user", "utterance": "Hello?"}])),
        *({"messages": [*SAID_NOTHING, {"role": "user", "content": content}]} for content in WORDLESS),
        {"messages": None, "transcript": "User: Hello?"},
        {"messages": [], "transcript": "User: Hello?"},
        {"transcript": [{"speaker": "user", "utterance": "Hello?"}]},
    ],
)
def test_unreadable_transcript_is_no_early_hang_up(phone: Phone, transcript: dict[str, Any]) -> None:
    """Where what the caller said cannot be read, a call of any length says nothing of early hang-ups; a later report does."""
    phone.report(**transcript, duration_seconds=2)
    assert found(phone) == {"duration_seconds": 2, "unread.messages": 1}
    assert unread(phone) == {"messages": 1}
    phone.report(messages=SPOKE, timestamp="2025-12-13T12:06:00Z")
    assert found(phone) == {"duration_seconds": 84, "user_messages": 1, "early_hang_up": 0}


def threshold(make_phone: MakePhone, files: Mapping[str, Any]) -> float:
    found = make_phone(files).app.extensions["pickup"].reading.early
    assert isinstance(found, float)
    return found


LONG = "Hello and welcome, how lovely that you call us on this fine day, what can we do for you? " * 3


BRANCHES = "{% if a %}" + LONG + "{% elif b %}" + LONG + "{% else %}" + LONG + "{% endif %}"
EXTENDED = "{% extends 'greetings/first_message.j2' %}{% block x %}" + LONG + "{% endblock %}"


@pytest.mark.parametrize(
    "files",
    [
        {"experiments/warm-opening/warm/first_message.j2": LONG},
        {"experiments/warm-opening/warm/first_message.j2": EXTENDED},
        {"greetings/first_message.nl.j2": LONG},
        {"greetings/override.json": {"assistant": {"first_message": LONG}}},
        {"greetings/first_message.j2": "{% include 'partials/long.j2' %}", "greetings/partials/long.j2": LONG},
        {"greetings/first_message.j2": BRANCHES},
        {"greetings/first_message.j2": "{{ '" + LONG + "' }}"},
    ],
)
def test_threshold_is_longer_than_the_longest_greeting(make_phone: MakePhone, files: dict[str, Any]) -> None:
    """Without a transcript, early is before any greeting could be over, of whichever language, branch, partial or arm."""
    assert len(LONG) / 15 + 5 < threshold(make_phone, {**CONTENT, **files}) < len(LONG) / 10 + 10
    assert threshold(make_phone, CONTENT) < 15


def test_saved_agents_opening_is_not_guessed(make_phone: MakePhone) -> None:
    """Where no folder has an opening, a call without a transcript says nothing of early hang-ups."""
    phone = make_phone({"greetings/override.json": {"assistant_id": "agent"}})
    phone.report(duration_seconds=1)
    assert found(phone) == {"duration_seconds": 1}


BOOLEAN, NUMBER, NULLABLE = {"type": "boolean"}, {"type": "number"}, {"anyOf": [{"type": "boolean"}, {"type": "null"}]}


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        (BOOLEAN, {"true": 1, "False": 0, " TRUE ": 1, "yes": 1, "no": 0, 1: 1, 0: 0}),
        (NUMBER, {"7": 7, " 7.5 ": 7.5, "-1e2": -100, 12: 12}),
        ({"type": ["integer", "null"]}, {"7": 7, "7.0": 7, 12: 12, 8.0: 8}),
        *(({"enum": [1, 2]}, {1: 1, "2": 2}), ({"enum": ["meh", 0.5]}, {0.5: 0.5}), ({"description": "Any."}, {7: 7})),
        (NULLABLE, {"true": 1, False: 0}),
        ({"type": ["boolean", "number"]}, {"true": 1, "7": 7, 7: 7}),
        ({"oneOf": [BOOLEAN, NUMBER]}, {"false": 0, "7": 7}),
        *(({"allOf": [BOOLEAN]}, {"true": 1}), ({"const": 7}, {"7": 7}), ({"type": "bool"}, {True: 1, 7.5: 7.5})),
        ({}, {7: 7, True: 1}),
    ],
)
def test_analysis_is_read_by_its_schema(make_phone: MakePhone, schema: Any, values: Mapping[Any, float]) -> None:
    """A boolean or a number may be written as a text, whether the report or a folder has the plan."""
    in_folder = make_phone({**CONTENT, "greetings/override.json": {"assistant": plan({"key": schema})}})
    for index, (value, expected) in enumerate(values.items()):
        in_folder.report(f"folder-{index}", analysis={"key": value})
        in_folder.report(f"report-{index}", analysis={"key": value}, assistant=plan({"key": schema}))
        assert (
            in_folder.rows(
                f"SELECT name, value FROM pickup_outcomes WHERE call_id LIKE '%-{index}' AND name LIKE 'analysis.%'"
            )
            == [("analysis.key", expected)] * 2
        )
    assert unread(in_folder) == {}


DEFINITIONS = {
    "Intent": {"type": "string", "enum": ["book", "ask"]},
    "Alias": {"$ref": "#/$defs/Intent", "title": "Alias"},
    "Either": {"anyOf": [{"$ref": "#/$defs/Intent"}, {"$ref": "#/$defs/Alias"}]},
    "Flag": BOOLEAN,
    "a/b ~": BOOLEAN,
    "Circle": {"$ref": "#/$defs/Back"},
    "Back": {"$ref": "#/$defs/Circle"},
    "Itself": {"anyOf": [{"$ref": "#/$defs/Itself"}, {"$ref": "#/$defs/Flag"}]},
}
BOOKS = {"key.book": 1.0, "key.ask": 0.0}


def defined(name: str, **beside: Any) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{name}", **beside}


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        *((schema, "book", BOOKS) for schema in (
            defined("Intent"), defined("Intent", description="Why?", default="ask"), defined("Alias"), defined("Either"),
            {"anyOf": [defined("Intent"), {"type": "null"}], "default": None}, {"allOf": [defined("Alias")]}, {"oneOf": [5, defined("Intent")]})),
        *((schema, "yes", {"key": 1.0}) for schema in (defined("Flag"), defined("a~1b%20~0"), {"anyOf": [defined("Flag")]}, defined("Itself"))),
        *((schema, 7, {"key": 7.0}) for schema in (
            defined("Circle"), defined("Nowhere"), {"$ref": "https://example.com/#/$defs/Flag"}, {"$ref": 5}, {"allOf": [defined("Circle")]})),
    ],
)  # fmt: skip
@pytest.mark.parametrize("definitions", ["$defs", "definitions"])
def test_analysis_is_read_by_what_its_schema_refers_to(
    make_phone: MakePhone, schema: Any, value: Any, expected: Mapping[str, float], definitions: str
) -> None:
    """A reference to a part of the schema is that part, as Pydantic writes enums; a circle or another document is none."""
    whole = {"properties": {"key": schema}, "type": "object", "$defs": DEFINITIONS}
    written = json.loads(json.dumps(whole).replace("$defs", definitions))
    with_schema = {"analysis_plan": {"structured_data_plan": {"schema": written}}}
    phone = make_phone({**CONTENT, "greetings/override.json": {"assistant": with_schema}})
    phone.report("a-folder", analysis={"key": value})
    phone.report("a-report", analysis={"key": value}, assistant=with_schema)
    outcomes = "SELECT name, value FROM pickup_outcomes WHERE name LIKE 'analysis.%' AND call_id = '{}'"
    for call_id in ("a-folder", "a-report"):
        assert dict(phone.rows(outcomes.format(call_id))) == {f"analysis.{key}": each for key, each in expected.items()}


@pytest.mark.parametrize(
    "written",
    [
        {"$ref": "#/$defs/Root", "$defs": {"Root": {"properties": {"key": defined("Flag")}}, "Flag": BOOLEAN}},
        {"$ref": "#", "properties": {"key": BOOLEAN}},
    ],
)
def test_whole_schema_may_be_a_reference(phone: Phone, written: Any) -> None:
    """The schema of a recursive model is a reference to its own definitions."""
    phone.report(analysis={"key": "no"}, assistant={"analysis_plan": {"structured_data_plan": {"schema": written}}})
    assert found(phone)["analysis.key"] == 0


@pytest.mark.parametrize(
    ("schema", "values", "kind"),
    [
        (BOOLEAN, ["maybe", "7", 7, 0.5, "", [True], {"value": True}], "analysis"),
        (NUMBER, ["seven", "7,5", "7 of 10", "1e999", True, 10**200, [7]], "analysis"),
        (NULLABLE, ["unknown"], "analysis"),
        *((schema, ["ugly", ["good"], 7, True], "analysis")
          for schema in ({"type": "string", "enum": ["good", "bad"]}, {"enum": ["good", "bad", None]})),
        *((schema, [7, 7.5, True], "analysis")
          for schema in ({"type": "string"}, {"type": ["string", "null"]}, {"anyOf": [{"type": "string"}]}, {"type": "array"})),
        ({"type": "integer"}, ["7.5", 7.5, -0.5, True], "analysis"),
        ({"type": ["boolean", "string"]}, ["maybe"], "text"),
        ({"type": "string"}, ["true", "7"], "text"),
        ({}, ["true", "7", ["x"]], "text"),
        (NUMBER, [CALLER, CALLER.removeprefix("+"), int(CALLER)], "analysis"),
    ],
)  # fmt: skip
def test_other_values_are_counted(make_phone: MakePhone, schema: Any, values: list[Any], kind: str) -> None:
    """What its schema does not explain makes no outcome. It is counted, and told of its call unless it is free text."""
    phone = make_phone({**CONTENT, "greetings/override.json": {"assistant": plan({"key": schema})}})
    for index, value in enumerate(values):
        phone.report(f"call-{'abcdefgh'[index]}", analysis={"key": value, "other": 1})
    assert unread(phone) == {kind: len(values)}
    told = phone.rows(
        "SELECT DISTINCT name, value FROM pickup_outcomes WHERE name NOT IN ('duration_seconds', 'early_hang_up')"
    )
    assert sorted(told) == [("analysis.other", 1), ("unread.analysis", 1)][: 1 + (kind == "analysis")]


@pytest.mark.parametrize(
    ("word", "message", "expected"),
    [
        ("very happy", {}, {"positive": 0, "very happy": 1, "negative": 0}),
        # The plan that the call really had.
        ("meh", {"assistant": plan({"sentiment": {"enum": ["meh", 3]}})}, {"meh": 1}),
        ("front", {"assistant": plan({"sentiment": {"enum": ["front", CALLER]}})}, {"front": 1}),
    ],
)
def test_enum_is_an_outcome_for_each_value(
    make_phone: MakePhone, word: str, message: dict[str, Any], expected: dict[str, int]
) -> None:
    """A word that the plan lets the analysis choose is 1 under its name, and the others but phone numbers are 0."""
    phone = make_phone(WITH_PLAN)
    phone.report(analysis={"sentiment": word}, **message)
    start = "analysis.sentiment."
    analysis = {name.removeprefix(start): value for name, value in found(phone).items() if name.startswith(start)}
    assert analysis == expected


def test_persons_words_are_no_outcome(make_phone: MakePhone) -> None:
    """Free text, a word outside the enum, lists, odd keys and absurd numbers are dropped and counted, never stored."""
    phone = make_phone(WITH_PLAN)
    words = {"note": "my name is Ann", "sentiment": "furious Ann", "list": ["Ann"], "Ann says hello!": True, "": 1}
    phone.report(analysis={**words, "x" * 65: True, "amount": 10**200})
    assert found(phone) == {"duration_seconds": 84, "early_hang_up": 0, "unread.analysis": 5}
    assert unread(phone) == {"text": 2, "analysis": 5}
    assert "Ann" not in str(phone.rows("SELECT * FROM pickup_outcomes"))


def test_report_is_bounded(phone: Phone) -> None:
    """An analysis with thousands of values does not fill the tables."""
    phone.report(analysis={f"k{i}": i for i in range(5000)})
    assert len(found(phone)) == 200 + len({"unread.analysis"})
    assert unread(phone)["analysis"] > 4000


@given(
    st.dictionaries(
        st.text(max_size=80),
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        max_size=6,
    ),
    st.text(max_size=30),
)
def test_whatever_the_analysis_says_is_numbers_under_sane_names(analysis: dict[str, Any], reason: str) -> None:
    """Any report becomes finite numbers under names of plain letters."""
    message = {"type": "end-of-call-report", "call": {"id": "x"}, "analysis": analysis, "end_reason": reason}
    report = FLIREO.parse(Delivery({}, json.dumps({"message": message}).encode()))
    assert isinstance(report, CallEnded)
    for name, value in outcomes_of(report, Reading())[0].items():
        assert name.isascii()
        assert name.isprintable()
        assert len(name) < 80
        assert abs(value) < float("inf")


# --- whether the arm was delivered ------------------------------------------------------------------------------------


def delivered(phone: Phone) -> bool | None:
    [(value,)] = phone.rows("SELECT delivered FROM pickup_assignments")
    return None if value is None else bool(value)


SAVED = {"llm_config": {"messages": [{"role": "system", "content": "You are the saved agent."}]}}


@pytest.mark.parametrize(
    ("changed", "is_delivered"),
    [
        ({"silence_timeout_seconds": 30}, True),
        ({"first_message": "Hello, the saved agent here."}, False),
        ({"first_message": None}, False),
        (SAVED, False),
        ({"first_message": "Hello, the saved agent here.", "metadata": {}}, False),
    ],
)
def test_arm_is_delivered_with_its_texts(phone: Phone, changed: dict[str, Any], is_delivered: bool) -> None:  # noqa: FBT001
    """An arm is delivered if the report has our metadata and the texts that were sent."""
    assistant = phone.ring().get_json()["assistant"]
    phone.report(assistant={**assistant, **changed})
    assert delivered(phone) is is_delivered


def test_answer_without_prompt_is_delivered_with_any(make_phone: MakePhone) -> None:
    """Where the answer leaves the prompt to the saved agent, any prompt is right."""
    files = {name: text for name, text in CONTENT.items() if name.startswith("experiments")}
    phone = make_phone({**files, "greetings/first_message.j2": "Good day."})
    assistant = phone.ring().get_json()["assistant"]
    phone.report(assistant={**assistant, **SAVED})
    assert delivered(phone) is True


def test_delivery_is_unknown_without_the_assistant(phone: Phone) -> None:
    """A report that does not show the call's assistant leaves it open, and a later one can still tell."""
    assistant = phone.ring().get_json()["assistant"]
    phone.report()
    assert delivered(phone) is None
    phone.report(assistant=assistant, timestamp="2025-12-13T12:06:00Z")
    assert delivered(phone) is True


def test_control_is_answered_as_every_arm_is(make_phone: MakePhone) -> None:
    """Control carries metadata too, in the same form, so that delivery can be compared."""
    phone = make_phone()
    answers = [phone.ring(f"call-{i}", caller=f"+3161234567{i}").get_json()["assistant"] for i in range(10)]
    arms = {answer["metadata"]["pickup"]["assignments"]["warm-opening"]["arm"]: answer for answer in answers}
    assert arms.keys() == {"control", "warm"}
    assert arms["control"].keys() == arms["warm"].keys()
    assert arms["control"]["metadata"]["pickup"].keys() == arms["warm"]["metadata"]["pickup"].keys()


def test_later_report_that_says_nothing_still_stands(phone: Phone) -> None:
    """An earlier report that comes later brings nothing back, also where the latest had no figures at all."""
    call = {"call": {"id": "call-1", "status": "ended"}, "phone_number": {"number": LINE}, "type": "end-of-call-report"}
    phone.send({**call, "timestamp": "2025-12-13T12:05:32Z"})
    phone.report(timestamp="2025-12-13T12:05:31Z")
    assert found(phone) == {}


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (f"call to sip:{CALLER}@carrier.example failed: 486", "call to sip:…@carrier.example failed: 486"),
        ("transferred to 06-12 34 56 78", "transferred to …"),
        ("silence after 30 s, code 1234", "silence after 30 s, code 1234"),
    ],
)
def test_platforms_words_are_kept_without_a_number(phone: Phone, words: str, kept: str) -> None:
    """A reason, a status or a type that quotes somebody's number is kept without it."""
    phone.ring(call={"id": "call-1", "type": words})
    phone.report(call={"id": "call-1", "status": words}, end_reason=words)
    assert phone.rows("SELECT call_type, status, end_reason FROM pickup_calls") == [(kept, kept, kept)]


@pytest.mark.parametrize(
    "analysis",
    [
        {"callback": 31612345678},
        {"callback": 612345678.0},
        {"callback": 31687654321},
        {"31612345678": True},
        {"called_06-1234-5678": 1},
    ],
)
def test_number_of_somebody_is_no_outcome(phone: Phone, analysis: Mapping[str, Any]) -> None:
    """An analysis that finds the caller's number, as an amount or as a key, puts it into no table."""
    phone.report(analysis={**analysis, "worth": 61234567, "seen_2025-12-13": True})
    assert {name for name in found(phone) if name.startswith("analysis.")} == {
        "analysis.worth",
        "analysis.seen_2025-12-13",
    }
    assert sum(unread(phone).values()) == 1
