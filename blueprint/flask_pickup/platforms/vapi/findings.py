"""What the platform's analysis of a call found, flat: its structured outputs, structured data and success evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask_pickup.platforms.events import JsonObject
from flask_pickup.platforms.reading import (
    SentValues,
    as_boolean,
    as_number,
    json_object,
    mappings,
    object_at,
    text,
    words_of,
)

SUCCESS = "success_evaluation"
"""The finding's name for the platform's ``successEvaluation``."""


def read_findings(message: JsonObject, analysis: SentValues) -> dict[str, Any]:
    """Return the findings in a report: those of ``analysis`` win over structured outputs of the same name.

    :param analysis: the report's ``analysis``; it counts what cannot be read.
    """
    found: dict[str, Any] = {}
    outputs = object_at(message, "artifact", "structuredOutputs")
    for output in mappings(list(outputs.values())) or ():
        result = output.get("result")
        # An object's properties have names of their own.
        found |= result if isinstance(result, Mapping) else {output_name(output): result}
    found |= analysis.get("structuredData", json_object, "analysis") or {}
    success = analysis.of.get("successEvaluation")
    if success is not None:
        found[SUCCESS] = _success(success)
    return found


def output_name(output: JsonObject) -> str:
    """Return the finding's name for a structured output that is no object: the output's own, in small letters."""
    return "_".join(words_of(text(output.get("name")) or ""))


def _success(sent: Any) -> Any:
    """Return what a rubric says as a boolean or a number, such as ``"true"``, ``"8"`` or ``"85%"``; else as it was sent."""
    if not isinstance(sent, str):
        return sent
    # On a scale from 1 to 10, 1 is no boolean.
    number = as_number(sent.rstrip(" %"))
    found = as_boolean(sent) if number is None else number
    return sent if found is None else found
