"""Whatever a platform sends or an author writes in place of a value, no call is lost, and nothing raises an error of ours."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bells import bell
from checkouts import ROOT
from contracts import CALL, METADATA, SECRETS, WORDS, platform_of
from flask_pickup import BadWebhook
from flask_pickup.platforms import Answer, CallEnded, Delivery, Event, Platform, Rejection, Words
from flask_pickup.reports import Reading, outcomes_of
from toys import enabled

NAMES = sorted(SECRETS)
NEEDED = {
    *("event", "event_type", "type", "eventType", "message", "data", "payload", "call_inbound", "call", "id", "callId"),
    *("call_id", "call_control_id", "direction", "call_type", "telnyx_conversation_channel", "phone_call", "metadata"),
}
"""Keys that say what a delivery is and which call it is about, or hold those that do."""
KEYS = ("role", "content", "text", "value", "result", "json_schema", "type", "messages", "prompt", "pickup", "metadata")

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=2), inner, max_size=2),
    max_leaves=5,
)  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _registry() -> Iterator[None]:
    with enabled(bell()):
        yield


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of everything below a value."""
    for key, child in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from paths(child, (*path, key))


def damaged(value: Any, path: tuple[Any, ...], damage: Any) -> Any:
    """Return a value with another one at a path."""
    found = copy.deepcopy(value)
    node = found
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = damage
    return found


def read(platform: Platform, delivery: Delivery) -> Event | BadWebhook:
    """Return the event in a delivery, or why it is refused."""
    try:
        return platform.parse(delivery)
    except BadWebhook as refusal:
        return refusal


@given(body=st.binary(max_size=40), name=st.sampled_from(NAMES))
def test_any_bytes_are_read_or_refused(body: bytes, name: str) -> None:
    """Any signed bytes are an event or a refusal."""
    assert read(platform_of(name), Delivery({}, body))


@settings(max_examples=400)
@given(name=st.sampled_from(NAMES), data=st.data(), damage=values)
def test_damaged_value_costs_no_event(name: str, data: st.DataObject, damage: Any) -> None:
    """With any other value in one place an event is still that event, unless the place says what or whose it is."""
    platform = platform_of(name)
    samples = [each for each in platform.samples(CALL) if each.call and not each.is_refused]
    sample = data.draw(st.sampled_from(samples))
    body = json.loads(sample.body)
    path = data.draw(st.sampled_from(list(paths(body))))
    delivery = platform.sign(json.dumps(damaged(body, path, damage)).encode(), sample.event)
    event = read(platform, delivery)
    if isinstance(event, BadWebhook):
        assert event.field
        assert path[-1] in NEEDED
        return
    if path[-1] not in NEEDED:
        assert type(event) is sample.event
    assert all(isinstance(each, str | None) for each in (event.caller_number, event.line_number))
    if isinstance(event, CallEnded):
        outcomes_of(event, Reading(None))


def override_of(name: str) -> dict[str, Any]:
    """Return the sample content's override; the toy platform has its own."""
    path = ROOT / f"greetings/override.{name}.json"
    found: dict[str, Any] = (
        json.loads(path.read_text("utf-8")) if path.exists() else {"voice": "kind", "note": {"a": 1}}
    )
    return found


@settings(max_examples=400)
@given(name=st.sampled_from(NAMES), data=st.data(), damage=values)
def test_damaged_override_is_answered(name: str, data: st.DataObject, damage: Any) -> None:
    """Whatever an author writes in one place, there is an answer, the rest is read, and the override stays as it is."""
    platform, override = platform_of(name), override_of(name)
    known = list(paths(platform.answer(Answer(WORDS, "en", override, METADATA))))
    path = data.draw(st.sampled_from([each for each in known if all(isinstance(key, str) for key in each)]))
    written: Mapping[str, Any] = {}
    with suppress(KeyError, TypeError):
        override = damaged(override, path, damage)
    before = copy.deepcopy(override)
    for answer in (
        Answer(WORDS, "en", override, METADATA),
        Answer(Words(), "en", override),
        Rejection("No.", None, override),
    ):
        written = platform.answer(answer)
        platform.answer_schema.validate(written)
        list(platform.notes(answer))
    platform.answer_schema.validate(override)
    for settings_ in (override, written):
        words = platform.words(settings_)
        assert all(isinstance(each, str | None) for each in (words.greeting, words.prompt))
        assert isinstance(platform.metadata(settings_), Mapping)
        assert isinstance(platform.rejection(settings_), str | None)
        assert all(isinstance(each, Mapping) for each in platform.analysis_fields(settings_).values())
    assert override == before
