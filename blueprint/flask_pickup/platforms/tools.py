"""Reading the tool calls of an agent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from flask_pickup.platforms.events import ToolCall, Unread
from flask_pickup.platforms.reading import SentValues, identifier, json_object, mapping, text


def read_tool_calls(sent: Any, unread: Counter[Unread]) -> Iterator[ToolCall]:
    """Yield the tool calls in a list. The name and the arguments stand in the call's ``function``, or in the call itself.

    :param unread: counts the calls whose name or arguments cannot be read, and those values.
    """
    for call in sent if isinstance(sent, list) else [sent] * (sent is not None):
        function = SentValues({**mapping(call), **mapping(mapping(call).get("function"))})
        name = function.get("name", text, "tool calls") or ""
        # Vapi's page on events calls them parameters.
        key = "arguments" if "arguments" in function.of else "parameters"
        arguments = function.get(key, json_object, "tool calls") or {}
        if not name or function.unread:
            unread["tool calls"] += 1
        if isinstance(call, Mapping):
            yield ToolCall(id=identifier(call.get("id")) or "", name=name, arguments=arguments)
