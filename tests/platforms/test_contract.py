"""The contract of every platform. The toy platform of docs/platforms/adding.md passes as well."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bells import bell
from checkouts import ROOT
from conftest import CALLER, CONTENT, NOW, MakePhone
from contracts import (
    ALL,
    CALL,
    LEAST_TOLERANCE,
    METADATA,
    NEW_SECRETS,
    OLDEST,
    SECRETS,
    SILENT,
    UNTIMED,
    WORDS,
    platform_of,
)
from flask_pickup import BadWebhook, Pickup
from flask_pickup.catalog import Complaint
from flask_pickup.checking.runner import check_here
from flask_pickup.errors import BadSignature
from flask_pickup.options import ConfigReader
from flask_pickup.platforms import (
    DEFAULT,
    Answer,
    CallEnded,
    Delivery,
    IncomingCall,
    OtherEvent,
    Platform,
    Rejection,
    StatusChanged,
    ToolCall,
    ToolCalls,
    Words,
    closing,
    enabled_platforms,
)
from flask_pickup.testing import PickupClient
from toys import enabled


@pytest.fixture(autouse=True, scope="module")
def _registry() -> Iterator[None]:
    """Register the toy platform as its page says."""
    with enabled(bell()):
        yield


@pytest.fixture(params=sorted(SECRETS))
def platform(request: pytest.FixtureRequest) -> Platform:
    """Each platform in turn."""
    return platform_of(request.param)


# --- events -----------------------------------------------------------------------------------------------------------


def test_samples_are_verified_and_parsed(platform: Platform) -> None:
    """Every sample verifies, and parses into its event about its call, or is refused."""
    seen = set()
    for sample in platform.samples(CALL):
        delivery = platform.sign(sample.body, sample.event)
        assert platform.verify(delivery) in {None, float(NOW)}
        if sample.is_refused or (sample.call is None and sample.event is IncomingCall):
            with pytest.raises(BadWebhook):
                platform.parse(delivery)
            continue
        event = platform.parse(delivery)
        assert type(event) is sample.event, sample.title
        seen.add(sample.event)
        if sample.call:
            assert (event.caller_number, event.line_number) == (sample.call.caller, sample.call.line), sample.title
            if sample.event is IncomingCall:
                # A platform whose requests have no id is told of rehearsals in its own way.
                assert event.call_id == sample.call.id, sample.title
    assert {IncomingCall, CallEnded, OtherEvent} <= seen


def test_first_sample_is_the_call(platform: Platform) -> None:
    """A rehearsal begins with the call itself."""
    first = next(iter(platform.samples(CALL)))
    assert (first.event, first.call) == (IncomingCall, CALL)


def test_tools_and_status(platform: Platform) -> None:
    """A tool's name and arguments arrive as they were sent, and a call that has ended is known for it.

    Not every platform sends both events.
    """
    sent = {sample.event for sample in platform.samples(CALL)}
    if ToolCalls in sent:
        call = replace(CALL, tool=ToolCall(id="tool-1", name="look_up", arguments={"order": "1042"}))
        event = platform.parse(platform.sign(platform.payload(ToolCalls, call), ToolCalls))
        assert isinstance(event, ToolCalls)
        assert [(tool.name, tool.arguments) for tool in event.tool_calls] == [("look_up", {"order": "1042"})]
        assert platform.tool_results(event, {"a": 1}) != platform.tool_results(event, {}, "The tool failed.")
    if StatusChanged in sent:
        for status, has_ended in (("ended", True), ("in-progress", False)):
            body = platform.payload(StatusChanged, replace(CALL, status=status))
            changed = platform.parse(platform.sign(body, StatusChanged))
            assert isinstance(changed, StatusChanged)
            assert (changed.status, changed.has_ended) == (status, has_ended)


# --- authentication ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_other_secrets_are_refused(name: str) -> None:
    """Each configured secret verifies, and no other; no object shows one."""
    new, others = NEW_SECRETS.get(name, ("a-new-secret-of-ours", "somebody-elses-secret"))
    rotating = platform_of(name, {key: [new, secret] for key, secret in SECRETS[name].items()})
    other = platform_of(name, dict.fromkeys(SECRETS[name], others))
    for event in (IncomingCall, CallEnded):
        body = rotating.payload(event, CALL)
        for known in (platform_of(name), rotating):
            rotating.verify(known.sign(body, event))
        for forged in (other.sign(body, event), Delivery({}, body)):
            with pytest.raises(BadSignature):
                rotating.verify(forged)
    assert not any(secret in repr(rotating) for secret in SECRETS[name].values())


@given(body=st.binary(max_size=60), more=st.binary(min_size=1, max_size=3), name=st.sampled_from(sorted(SECRETS)))
def test_any_bytes_are_signed(body: bytes, more: bytes, name: str) -> None:
    """Any bytes verify once they are signed, and no others do in their place."""
    ours = platform_of(name)
    signed = ours.sign(body, CallEnded)
    assert ours.verify(signed) in {None, NOW}
    for other in (body + more, more + body):
        # A token vouches for no body.
        if name != "bell" and other != body:
            with pytest.raises(BadSignature):
                ours.verify(replace(signed, body=other))


@given(name=st.sampled_from(sorted(SECRETS)), event=st.sampled_from([IncomingCall, CallEnded]), data=st.data())
def test_other_headers_are_refused(name: str, event: Any, data: st.DataObject) -> None:
    """A header of a delivery that is missing, cut or anything else verifies nothing, and raises nothing else."""
    ours = platform_of(name)
    signed = dict(ours.sign(b"{}", event).headers)
    header = data.draw(st.sampled_from(sorted(signed.keys() - {"Content-Type", "X-Webhook-Event"})))
    value = signed.pop(header)
    digits = {ord("0") + digit: 0x660 + digit for digit in range(10)}
    last = f"{value[:-1]}{'2' if value.endswith('1') else '1'}"
    changes = {last, value[:-2], f"{value} ", f"{value},{value}", value.translate(digits)} - {value}
    other = data.draw(st.text(max_size=80) | st.sampled_from(sorted(changes)))
    for headers in (signed, {**signed, header: other}):
        with pytest.raises(BadSignature):
            ours.verify(Delivery(headers, b"{}"))


@pytest.mark.parametrize("event", [IncomingCall, CallEnded])
@pytest.mark.parametrize("tolerance", [60, 300, 900])
def test_signed_time_is_near(platform: Platform, event: Any, tolerance: int) -> None:
    """A delivery from the future or from before the tolerance is refused, unless the vendor's own verifier accepts it."""
    delivery = platform.sign(b"{}", event)
    if platform.name in UNTIMED or platform.verify(delivery) is None:
        return
    ahead = max(tolerance, LEAST_TOLERANCE.get(platform.name, 0))
    behind = max(ahead, OLDEST.get(platform.name, 0))
    for away in (0, ahead, ahead + 1, -behind, -behind - 1):
        then = platform_of(platform.name, {"PICKUP_SIGNATURE_TOLERANCE": tolerance}, NOW - away)
        if -behind <= away <= ahead:
            assert then.verify(delivery) == NOW
        else:
            with pytest.raises(BadSignature):
                then.verify(delivery)


@pytest.mark.parametrize("name", sorted(SECRETS.keys() - {"telnyx"}))
@pytest.mark.parametrize("event", [IncomingCall, CallEnded])
def test_each_secret_is_compared_in_constant_time(name: str, event: Any) -> None:
    """Every secret is compared: the time taken reveals neither how much was right nor which one it was.

    Ed25519 has public keys alone.
    """
    rotating = platform_of(name, {key: [secret, "a-new-secret-of-ours"] for key, secret in SECRETS[name].items()})
    with patch("hmac.compare_digest", wraps=hmac.compare_digest) as compare:
        rotating.verify(rotating.sign(b"{}", event))
    assert len({call.args[1] for call in compare.call_args_list}) == 2


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_platform_needs_its_secrets(name: str) -> None:
    """Without its secrets a platform is not there."""
    assert name not in enabled_platforms(ConfigReader({**SECRETS["flireo" if name != "flireo" else "bell"]}))


# --- answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [WORDS, Words("Good day."), Words(prompt="You are kind."), Words()])
def test_answer_comes_back_with_the_report(platform: Platform, words: Words) -> None:
    """The greeting, the prompt and our metadata reach the platform's JSON, and are read from its report."""
    written = platform.answer(Answer(words, "en", {}, METADATA))
    assert platform.words(written) == words
    assert platform.metadata(written) == METADATA
    call = replace(CALL, answer=written)
    event = platform.parse(platform.sign(platform.payload(CallEnded, call), CallEnded))
    assert isinstance(event, CallEnded)
    assert event.metadata == ({} if platform.name in SILENT else METADATA)
    assert event.applied in {words, None}


def test_settings_stay_and_words_win(platform: Platform) -> None:
    """An override's other keys leave as they are; a greeting that is rendered replaces the override's."""
    base = platform.answer(Answer(Words("Base."), "en"))
    settings = {**base, "unknown_key": {"deep": [1]}}
    assert platform.words(settings).greeting == "Base."
    written = platform.answer(Answer(WORDS, "en", settings))
    assert written["unknown_key"] == {"deep": [1]}
    assert platform.words(written) == WORDS
    assert platform.words(settings).greeting == "Base."


def test_rejection_and_default(platform: Platform) -> None:
    """A rejection carries its words, as an error or as a greeting that a prompt follows; every answer is valid."""
    written = platform.answer(Rejection("We are closed.", METADATA))
    if (words := platform.rejection(written)) is None:
        assert (platform.words(written), platform.metadata(written)) == (
            Words("We are closed.", closing.PROMPT),
            METADATA,
        )
    else:
        assert words == "We are closed."
    assert platform.rejection({}) is None
    assert all(note.endswith(".") for note in platform.notes(Answer(WORDS, "en")))
    for answer in (written, platform.default(), platform.answer(Answer(Words("Hi."), "en", {}, METADATA))):
        assert platform.answer_schema.validate(answer) == {}


def test_sample_content_is_valid(platform: Platform) -> None:
    """``greetings/`` and ``experiments/`` have no errors on a platform alone, nor beside the default one."""
    for beside in ({}, {DEFAULT: platform_of(DEFAULT)}):
        found: list[Complaint] = []
        folders = (ROOT / "experiments", ROOT / "greetings")
        both = {**beside, platform.name: platform}.values()
        check_here(*folders, region="NL", platforms=both, found=found.append)
        assert [str(each) for each in found if each.level == "error"] == []


# --- over HTTP --------------------------------------------------------------------------------------------------------


@pytest.fixture(params=sorted(SECRETS))
def client(request: pytest.FixtureRequest, make_phone: MakePhone) -> PickupClient:
    """A client that calls an app on each platform in turn; the app has all of them."""
    # Without an override, which is one platform's JSON, and a prompt, for which Flireo needs one.
    content = {path: text for path, text in CONTENT.items() if "override" not in path and "prompt" not in path}
    phone = make_phone(content, pickup=Pickup(clock=lambda: NOW), **ALL)
    return PickupClient(phone.app, platform=request.param)


def test_call_and_report_become_rows(client: PickupClient) -> None:
    """A call is answered with its arm, its report is joined, and the row names the platform."""
    response = client.post_call()
    assert response.status_code == 200
    assert client.post_report().status_code == 200
    with client.pickup.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT platform, decision, name, value, delivered FROM pickup_calls JOIN pickup_assignments USING (call_id)"
            " JOIN pickup_outcomes USING (call_id) WHERE name = 'duration_seconds'"
        ).all()
    name = client.platform.name
    delivered = None if name in SILENT else 1
    assert [tuple(row) for row in rows] == [(name, "arm", "duration_seconds", 42.0, delivered)]


def test_other_words_were_not_delivered(client: PickupClient) -> None:
    """A report that brings other words back than those of the answer says that the arm was not delivered."""
    ours, answer = client.platform, client.post_call("call-1").get_json()
    other = ours.answer(Answer(Words("Hi.", "Another."), "en", {}, ours.metadata(answer)))
    call = replace(CALL, id="call-1", answer=other)
    client.post_signed(ours.payload(CallEnded, call), CallEnded)
    with client.pickup.engine.connect() as connection:
        delivered = connection.exec_driver_sql("SELECT delivered FROM pickup_assignments").scalar()
    assert delivered == (None if ours.name in SILENT else 0)


def test_every_sample_is_answered(client: PickupClient) -> None:
    """Every readable sample is acknowledged; unreadable and unsigned ones are refused."""
    call = replace(CALL, id="pickup-rehearsal-samples")
    for sample in client.platform.samples(call):
        response = client.post_signed(sample.body, sample.event)
        assert response.status_code == (400 if sample.is_refused else 200), sample.title
        assert client.post(client.webhook_url, data=sample.body).status_code == 401


@pytest.mark.parametrize("event", [IncomingCall, CallEnded])
def test_doubled_header_is_refused(client: PickupClient, event: Any) -> None:
    """A delivery with a header of its authentication twice is refused, even where both are the same."""
    delivery = client.platform.sign(client.platform.payload(event, CALL), event)
    for name, value in delivery.headers.items():
        if name not in {"Content-Type", "X-Webhook-Event"}:
            headers = [*delivery.headers.items(), (name, value)]
            assert client.post(client.webhook_url, data=delivery.body, headers=headers).status_code == 401, name


def test_unreadable_call_gets_the_default(client: PickupClient) -> None:
    """A verified call that cannot be read is answered with the platform's default, and counted."""
    [sample] = [each for each in client.platform.samples(CALL) if each.event is IncomingCall and each.call is None]
    response = client.post_signed(sample.body, sample.event)
    assert (response.status_code, response.get_json()) == (200, client.platform.default())
    assert client.get("/pickup/health").get_json()["refused"] == {"unreadable call": 1}


def test_closing_words_are_said_with_the_bases_settings(make_phone: MakePhone, platform: Platform) -> None:
    """Outside the hours the closing words are the answer; where an agent has to say them, it has the base's settings."""
    content = {
        "greetings/closed.j2": "We are closed.",
        "greetings/hours.toml": 'timezone = "Europe/Amsterdam"\n[week]\n',
        "greetings/override.json": {"unknown_key": {"deep": [1]}},
    }
    phone = make_phone(content, pickup=Pickup(clock=lambda: NOW), **ALL)
    answer = PickupClient(phone.app, platform=platform.name).post_call().get_json()
    if platform.rejection(answer) is None:
        assert platform.words(answer) == Words("We are closed.", closing.PROMPT)
        assert answer["unknown_key"] == {"deep": [1]}
    else:
        assert platform.rejection(answer) == "We are closed."


def test_same_caller_hears_the_same_arm_on_every_platform(client: PickupClient) -> None:
    """A caller's arm follows from their number, not from the platform."""
    arms = set()
    for name in SECRETS:
        caller = PickupClient(client.application, platform=name)
        answer = caller.post_call("same-" + name).get_json()
        arms.add(caller.platform.metadata(answer)["assignments"]["warm-opening"]["arm"])
    assert len(arms) == 1


SAID = "{{ customer.name }}, {{ customer.open }}{{ customer.open }}x, {{ line.number }}, {{ caller.number }}, {{ call.id }}."


@pytest.mark.parametrize("caller", [CALLER, "{{telnyx_current_time}}"])
def test_no_data_names_a_variable(make_phone: MakePhone, platform: Platform, caller: str) -> None:
    """A platform's own template engine finds no braces of a customer, a line, a caller or a call, only those of authors."""
    pickup = Pickup(clock=lambda: NOW)
    pickup.customer(lambda _: {"name": "{{#secret}}key{%raw%}", "open": "{"})
    phone = make_phone({"greetings/first_message.j2": SAID + "{% raw %}{{time}}{% endraw %}"}, pickup=pickup, **ALL)
    client = PickupClient(phone.app, platform=platform.name)
    answer = client.post_call("call-{{y}}", from_=caller, to="{{z}}@sip.example").get_json()
    greeting = str(platform.words(answer).greeting)
    assert greeting.endswith("{{time}}")
    assert ("#secret" in greeting) == (caller == CALLER)
    if platform.templates_again:
        assert "z@sip.example" in greeting
        assert not any(brace in greeting.removesuffix("{{time}}") for brace in "{}")
