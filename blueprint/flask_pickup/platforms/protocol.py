"""What a platform has to do: the one interface between Pickup and a voice platform's webhook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from marshmallow import Schema

from flask_pickup.platforms.events import (
    Answer,
    Delivery,
    Event,
    JsonObject,
    Rejection,
    Sample,
    SampleCall,
    ToolCalls,
    Words,
)
from flask_pickup.platforms.starter import Starter


class Platform(Protocol):
    """One voice platform, made once per app with its secrets, clock and tolerance.

    Methods are called from several threads at a time.
    """

    def __hash__(self) -> int:
        """Return a hash; the object itself will do."""

    @property
    def name(self) -> str:
        """The name in ``pickup_calls.platform``, in options and in the URL."""

    @property
    def deadline(self) -> float:
        """Seconds after which the platform gives up waiting for the answer to a call."""

    @property
    def templates_again(self) -> bool:
        """Whether the platform runs its own template engine over the words, so that no data may put braces into them."""

    @property
    def needs_metadata(self) -> bool:
        """Whether every answer has to bring Pickup's metadata, and not only one that names an arm."""

    @property
    def acknowledges_large_bodies(self) -> bool:
        """Whether a body over ``PICKUP_MAX_BODY`` gets a 200, unread, because a refusal would end its deliveries."""

    @property
    def plans_analysis(self) -> bool:
        """Whether an override can say what the platform's analysis finds; if not, that is set at the vendor."""

    @property
    def untold(self) -> frozenset[str]:
        """Names of reported outcomes that no report of the platform brings."""

    @property
    def untemplated(self) -> frozenset[str]:
        """Keys of an override whose values belong to the platform's own template engine."""

    @property
    def answer_schema(self) -> Schema:
        """Validates an override, and an answer with its rendered strings.

        A field's metadata says what ``flask pickup check`` tells authors: ``app_only`` (an experiment must not set it),
        ``write_instead`` (the key that authors write for it), ``same_as`` (another key that means the same).
        """

    @property
    def starter(self) -> Starter:
        """What ``flask pickup init`` writes and prints for the platform."""

    def verify(self, delivery: Delivery) -> float | None:
        """Return the signed Unix time in seconds; ``None`` if the platform signs no time.

        :raises BadSignature: if nobody signed, somebody else did, or too long ago.
        """

    def parse(self, delivery: Delivery) -> Event:
        """Return what a verified delivery tells.

        :raises UnreadableCall: if a call waits for the answer and the delivery cannot be read.
        :raises BadWebhook: if any other delivery cannot be read; it names the field.
        """

    def answer(self, answer: Answer | Rejection) -> dict[str, Any]:
        """Return the platform's JSON for an answer.

        Where the platform cannot reject a call, the words of a rejection are the greeting, with a prompt that ends the call.
        """

    def notes(self, answer: Answer | Rejection) -> Iterable[str]:
        """Return what has to be set at the vendor for an answer to be heard, a sentence each; ``check`` shows them."""

    def default(self) -> dict[str, Any]:
        """Return the answer that changes nothing."""

    def rejection(self, settings: JsonObject) -> str | None:
        """Return the words with which an override rejects the call, empty if silently; ``None`` if it does not."""

    def words(self, settings: JsonObject) -> Words:
        """Return the greeting and prompt that an override itself, or an answer, contains."""

    def metadata(self, answer: JsonObject) -> JsonObject:
        """Return Pickup's own metadata in an answer; empty if it has none."""

    def analysis_fields(self, settings: JsonObject) -> Mapping[str, JsonObject]:
        """Return what an override lets the platform's analysis find: key to JSON Schema."""

    def tool_results(self, event: ToolCalls, result: JsonObject, error: str = "") -> JsonObject:
        """Return the body that answers tool calls: what a handler returned, or ``error`` where it failed."""

    def payload(self, event: type[Event], call: SampleCall, fields: JsonObject | None = None) -> bytes:
        """Return the body of an event about a made-up call.

        :param fields: the platform's own keys, which win over those of the sample.
        """

    def sign(self, body: bytes, event: type[Event]) -> Delivery:
        """Return a body with the headers that the platform sends with such an event, signed now."""

    def samples(self, call: SampleCall) -> Iterable[Sample]:
        """Return every body that the platform sends about a call, the incoming call first.

        A variant (an older generation of keys, a missing field) is about a call with an id of its own.
        """
