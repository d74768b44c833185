"""The schema of the answer to ``assistant-request``.

Answers are validated strictly: an assistant that the platform finds invalid ends the call.
"""

from __future__ import annotations

from typing import Any

from marshmallow import fields
from marshmallow.validate import Length, OneOf, Range

from flask_pickup.platforms.answer_fields import BooleanField, ListField, NumberField, ObjectField, TextField, object_of

_SAID = Length(min=1)
_SHARE = Range(min=0, max=1)
_APP_ONLY = {"app_only": True}
_WHOLE: dict[str, Any] = {
    "required": "The platform takes a prompt only with the whole model: write provider and model as well."
}
_ROLES = ("system", "user", "assistant", "function", "tool")
_MODES = ("assistant-speaks-first", "assistant-speaks-first-with-model-generated-message", "assistant-waits-for-user")

_TURNS = fields.List(
    fields.Nested(object_of(role=TextField(required=True, validate=OneOf(_ROLES)), content=TextField()))
)
_MODEL = object_of(
    provider=TextField(required=True, validate=_SAID, error_messages=_WHOLE),
    model=TextField(required=True, validate=_SAID, error_messages=_WHOLE),
    messages=_TURNS,
    temperature=NumberField(validate=Range(min=0, max=2)),
    maxTokens=NumberField(validate=Range(min=50, max=10_000)),
    tools=ListField(),
    toolIds=fields.List(TextField()),
)
_TRANSCRIBER = object_of(provider=TextField(required=True, validate=_SAID), model=TextField(), language=TextField())
_VOICE = object_of(
    provider=TextField(required=True, validate=_SAID),
    voiceId=TextField(validate=_SAID),
    stability=NumberField(validate=_SHARE),
    similarityBoost=NumberField(validate=_SHARE),
    style=NumberField(validate=_SHARE),
    speed=NumberField(validate=Range(min=0, min_inclusive=False)),
)
_ANALYSIS_PLAN = object_of(
    minMessagesThreshold=NumberField(validate=Range(min=0)),
    summaryPlan=fields.Nested(object_of(enabled=BooleanField(), messages=ListField())),
    structuredDataPlan=fields.Nested(object_of(enabled=BooleanField(), schema=ObjectField(), messages=ListField())),
    successEvaluationPlan=fields.Nested(object_of(enabled=BooleanField(), rubric=TextField(), messages=ListField())),
)
_ARTIFACT_PLAN = object_of(
    structuredOutputIds=fields.List(TextField()),
    structuredOutputs=fields.List(
        fields.Nested(object_of(name=TextField(required=True, validate=_SAID), schema=ObjectField(required=True)))
    ),
)
_ASSISTANT = object_of(
    firstMessage=TextField(),
    firstMessageMode=TextField(validate=OneOf(_MODES)),
    model=fields.Nested(_MODEL),
    transcriber=fields.Nested(_TRANSCRIBER),
    voice=fields.Nested(_VOICE),
    analysisPlan=fields.Nested(_ANALYSIS_PLAN),
    artifactPlan=fields.Nested(_ARTIFACT_PLAN),
    metadata=ObjectField(),
    variableValues=ObjectField(),
    voicemailMessage=TextField(),
    endCallMessage=TextField(),
    endCallPhrases=fields.List(TextField()),
    maxDurationSeconds=NumberField(validate=Range(min=10, max=43_200)),
    server=ObjectField(metadata=_APP_ONLY),
    serverMessages=fields.List(TextField(), metadata=_APP_ONLY),
)


VapiAnswerSchema = object_of(
    error=TextField(validate=_SAID),
    assistantId=TextField(validate=_SAID),
    assistant=fields.Nested(_ASSISTANT),
    assistantOverrides=fields.Nested(_ASSISTANT, metadata={"same_as": "assistant"}),
    squadId=TextField(validate=_SAID),
    squad=ObjectField(),
    workflowId=TextField(validate=_SAID),
    workflow=ObjectField(),
    destination=ObjectField(),
)
"""Keys and providers that it does not know pass, because the platform grows faster than this page."""
