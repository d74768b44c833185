"""The repertoire of a rehearsal: what is in it, and how replies are judged."""

from __future__ import annotations

from typing import Any

import pytest

from flask_pickup.caller import REHEARSAL
from flask_pickup.flireo import outgoing
from flask_pickup.flireo.generations import read
from flask_pickup.rehearsal import CALLER, LINE, Delivery, Expected, Reply, judge, repertoire
from flask_pickup.rehearsal.repertoire import OTHER_CALLER, WITHHELD

DELIVERIES = repertoire("abc")


def delivery(expected: Expected) -> Delivery:
    return Delivery("x", b"", expected)


def assigned(arm: str, key: str | None = "k") -> dict[str, Any]:
    pickup = {"v": 1, "caller_key": key, "assignments": {"opening": {"arm": arm, "definition": "d", "source": "hash"}}}
    return {"assistant": {"first_message": "Hello.", "metadata": {"pickup": pickup}}}


def test_every_call_is_known_for_a_rehearsal() -> None:
    """Whatever is sent about a call has an id by which results leave it out."""
    ids = [delivery.call_id for delivery in DELIVERIES]
    assert all(call.startswith(f"{REHEARSAL}abc-") for call in ids if call)
    without = [delivery.title for delivery in DELIVERIES if not delivery.call_id]
    assert without == ["GET instead of POST", "signed, no JSON", "signed, empty", "signed, a call without id"]


def test_numbers_are_nobodys() -> None:
    """Every number in it is the platform's own example, or from a range reserved for examples, or none at all."""
    allowed = {CALLER, LINE, OTHER_CALLER, *WITHHELD.values()}
    sent = [d.message for d in DELIVERIES if isinstance(d.message, dict)]
    for message in sent:
        about = message.get("message", message)
        for key in ("customer", "phone_number", "phoneNumber"):
            assert about.get(key, {}).get("number") in allowed
        assert {about.get("fromCaller"), about.get("toAssistant")} <= allowed


def test_titles_are_told_apart_and_fit() -> None:
    """Each delivery has a title of its own, short enough for a table of 80 columns."""
    titles = [delivery.title for delivery in DELIVERIES]
    assert len(set(titles)) == len(titles)
    assert max(map(len, titles)) <= 31


@pytest.mark.parametrize("event", outgoing.EVENTS)
@pytest.mark.parametrize("generation", ["current", "camel", "flat"])
def test_every_message_of_every_generation(event: str, generation: str) -> None:
    """Each of the platform's messages is played in each generation that has it."""
    missing = generation == "flat" and event in {"status-update", "tool-calls"}
    assert (f"{generation}: {event}" in {delivery.title for delivery in DELIVERIES}) is not missing


@pytest.mark.parametrize("event", outgoing.EVENTS)
def test_generations_say_the_same(event: str) -> None:
    """The generations of a message differ in names alone: they are read as the same."""
    import json  # noqa: PLC0415

    found = {d.title: d for d in DELIVERIES if d.title.endswith(f": {event}")}
    read_as = {
        title.partition(":")[0]: read(json.dumps(d.message).encode(), flat_call_id=lambda: "none")
        for title, d in found.items()
    }
    for message in read_as.values():
        assert (message.type, message.customer_number, message.line_number) == (event, CALLER, LINE)
    for name in ("call_type", "call_status", "timestamp"):
        assert getattr(read_as["current"], name) == getattr(read_as["camel"], name)


@pytest.mark.parametrize(
    ("expected", "status", "body", "wrong"),
    [
        (Expected.ANSWER, 200, {}, ""),
        (Expected.ANSWER, 201, {"assistant": {"first_message": "Hello."}}, ""),
        (Expected.ANSWER, 500, {}, "no 2xx"),
        (Expected.ANSWER, 200, "Hello.", "no JSON object"),
        (Expected.ANSWER, 200, {"max_duration_seconds": "300"}, "not understood: max_duration_seconds"),
        (Expected.ACCEPTED, 204, "", ""),
        (Expected.ACCEPTED, 401, {}, "no 2xx"),
        (Expected.UNSIGNED, 401, {"detail": "…"}, ""),
        (Expected.UNSIGNED, 401, {"error": "…"}, "its 'error' would be spoken"),
        (Expected.UNSIGNED, 200, {}, "not 401"),
        (Expected.NO_CALL, 400, "", ""),
        (Expected.NO_POST, 404, "", "not 405"),
        (Expected.NOBODYS, 200, {}, ""),
        (Expected.NOBODYS, 200, assigned("warm", None), ""),
        (Expected.NOBODYS, 200, assigned("warm"), "taken for somebody"),
    ],
)
def test_reply_is_judged(expected: Expected, status: int, body: Any, wrong: str) -> None:
    """What is not as expected is said in a few words."""
    assert judge(delivery(expected), [Reply(status, body, 0.01)], None) == wrong


def test_late_answer_is_none() -> None:
    """After five seconds the platform goes on without the answer; a report may take longer."""
    late = Reply(200, {}, 5.1)
    assert judge(delivery(Expected.ANSWER), [late], None) == "later than 5 s"
    assert judge(delivery(Expected.ACCEPTED), [late], None) == ""


def test_same_call_must_name_the_same_arm() -> None:
    """A second delivery that names another arm is not as expected, nor are two at once that differ."""
    warm, brisk = Reply(200, assigned("warm"), 0.01), Reply(200, assigned("brisk"), 0.01)
    assert judge(delivery(Expected.SAME_ANSWER), [warm], warm) == ""
    assert judge(delivery(Expected.SAME_ANSWER), [brisk], warm) == "another arm"
    assert judge(delivery(Expected.ANSWER), [warm, warm, brisk], None) == "another arm"
