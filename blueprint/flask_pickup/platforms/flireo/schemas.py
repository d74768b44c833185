"""The schemas of the platform's own page on ``assistant-request``: its payload, and the answer to it.

Answers are validated strictly: the platform does not say what it does with an invalid one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, post_load, validates_schema
from marshmallow.validate import Length, OneOf, Range

from flask_pickup.platforms.events import Event
from flask_pickup.platforms.flireo.payloads import read_event


class _Lenient(Schema):
    class Meta:
        unknown = EXCLUDE


class AssistantRequestPayloadSchema(_Lenient):
    """Loads a payload of the current generation, ``{"message": {"type": "assistant-request", …}}``, into its event."""

    message = fields.Dict(required=True)

    @post_load
    def _read(self, found: dict[str, Any], **_: Any) -> Event:
        return read_event(found["message"])


class _Strict(fields.Field[Any]):
    """A field that is of its type already: marshmallow's own take ``"1"`` for 1 and ``"yes"`` for true."""

    def __init__(self, kind: type | tuple[type, ...], right: str, **options: Any) -> None:
        super().__init__(**options)
        self._kind, self._right = kind, right

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        # Python takes true for a number.
        if not isinstance(value, self._kind) or isinstance(value, bool) is not (self._kind is bool):
            raise ValidationError(f"It has to be {self._right}.")
        return value


_Text = partial(_Strict, str, "a text, in quotes")
_Boolean = partial(_Strict, bool, "true or false, without quotes")
_Integer = partial(_Strict, int, "a whole number, without quotes: a template gives a text")
_Number = partial(_Strict, (int, float), "a number, without quotes: a template gives a text")
_Object = partial(_Strict, Mapping, "an object: {…}")
_List = partial(_Strict, (list, tuple), "a list: […]")

_SAID = Length(min=1)
_POSITIVE = Range(min=0, min_inclusive=False)
_SHARE = Range(min=0, max=1)
_APP_ONLY = {"app_only": True}
_WHOLE: dict[str, Any] = {"required": "The platform replaces the whole llm_config: write provider and model as well."}


def _object(**keys: fields.Field[Any]) -> type[Schema]:
    return _Lenient.from_dict(keys)


_TURN = _object(
    role=_Text(required=True, validate=OneOf(("system", "user", "assistant"))),
    content=_Text(required=True),
)
_TURNS = fields.List(fields.Nested(_TURN))
_LLM_CONFIG = _object(
    provider=_Text(required=True, validate=_SAID, error_messages=_WHOLE),
    model=_Text(required=True, validate=_SAID, error_messages=_WHOLE),
    temperature=_Number(validate=Range(min=0, max=2)),
    messages=_TURNS,
    tools=_List(),
)
_STT_CONFIG = _object(
    provider=_Text(required=True, validate=_SAID),
    model=_Text(required=True, validate=_SAID),
    language=_Text(required=True, validate=_SAID),
)
_TTS_CONFIG = _object(
    provider=_Text(required=True, validate=_SAID),
    voice_id=_Text(required=True, validate=_SAID),
    stability=_Number(validate=_SHARE),
    similarity_boost=_Number(validate=_SHARE),
    style=_Number(validate=_SHARE),
    speed=_Number(validate=Range(min=0.5, max=2)),
)
_ANALYSIS_PLAN = _object(
    structured_data_plan=fields.Nested(_object(enabled=_Boolean(), schema=_Object(), messages=_TURNS)),
    min_messages_threshold=_Integer(validate=Range(min=0)),
)
_ASSISTANT = _object(
    first_message=_Text(),
    llm_config=fields.Nested(_LLM_CONFIG),
    stt_config=fields.Nested(_STT_CONFIG),
    tts_config=fields.Nested(_TTS_CONFIG),
    analysis_plan=fields.Nested(_ANALYSIS_PLAN),
    metadata=_Object(),
    voicemail_message=_Text(),
    silence_timeout_seconds=_Number(validate=_POSITIVE),
    max_duration_seconds=_Integer(validate=_POSITIVE),
    webhook_url=_Text(metadata=_APP_ONLY),
    webhook_secret=_Text(metadata=_APP_ONLY),
    webhook_events=fields.List(_Text(), metadata=_APP_ONLY),
)


class AssistantRequestResponseSchema(_Lenient):
    """The answer to ``assistant-request``: ``validate(answer)`` returns what the platform would not understand.

    Keys and providers that it does not know pass, because the platform grows faster than this page; no value is
    coerced into another type.
    """

    error = _Text(validate=_SAID)
    assistant = fields.Nested(_ASSISTANT)
    assistant_id = _Text(validate=_SAID)
    assistant_override = fields.Nested(_ASSISTANT, metadata={"write_instead": "assistant"})
    max_duration_seconds = _Integer(validate=_POSITIVE)

    @validates_schema(pass_original=True)
    def _check_override(self, _: Any, answer: Mapping[str, Any], **__: Any) -> None:
        if "assistant_override" in answer and "assistant_id" not in answer:
            raise ValidationError("It overrides nothing: there is no assistant_id.", "assistant_override")
