"""Reading JSON: whatever a platform signed is read, if it is an object at all."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_pickup import BadWebhook
from flask_pickup.platforms.reading import read_object

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4), values, max_size=4), st.booleans())
def test_any_object_is_read(value: dict[str, Any], is_ascii: bool) -> None:  # noqa: FBT001
    """Every JSON object is read as Python's own reader reads it."""
    assert read_object(json.dumps(value, ensure_ascii=is_ascii).encode()) == value


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": "\\ud83d"}', {"a": "\N{REPLACEMENT CHARACTER}"}),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "\N{GRINNING FACE}"}),
        (b'{"a": ["\\udc00 \\ud83d\\ude00"]}', {"a": ["\N{REPLACEMENT CHARACTER} \N{GRINNING FACE}"]}),
        (b'{"\\ud800": NaN, "b": Infinity, "c": -Infinity}', {"\N{REPLACEMENT CHARACTER}": None, "b": None, "c": None}),
        (b'{"a": 1e999, "b": "\\ud800"}', {"a": None, "b": "\N{REPLACEMENT CHARACTER}"}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
    ],
)
def test_what_one_reader_refuses_is_read_by_the_other(body: bytes, value: dict[str, Any]) -> None:
    """A lone surrogate becomes U+FFFD, and NaN and infinities are unknown, so that no signed report is lost."""
    assert read_object(body) == value


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b"null", b"\xff", b'{"a": ', b"[" * 100_000, b'{"a": \x00}'])
def test_anything_else_is_refused(body: bytes) -> None:
    """A body that is no JSON object is refused, without a word of it."""
    with pytest.raises(BadWebhook, match="The body is not") as caught:
        read_object(body)
    assert caught.value.__context__ is None
