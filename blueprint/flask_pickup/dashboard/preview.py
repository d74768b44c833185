"""The preview: what a caller with a number would hear."""

from __future__ import annotations

import json
from typing import Any

from flask import Response, request

from flask_pickup.dashboard.frame import Frame
from flask_pickup.dashboard.parameters import chosen, entered_moment
from flask_pickup.previewing import preview


def preview_page(frame: Frame) -> Response:
    """Return the form, and the answer to the call that it describes."""
    # A number in an address would end in logs: it comes in a form's body alone.
    form, lines, platforms = request.form, frame.catalog.settings.lines, frame.webhook.platforms
    offered: dict[str, Any] = {"form": form, "lines": lines, "platforms": platforms}
    if request.method != "POST":
        return frame.page("preview", shown=None, **offered)
    number, line, at = form.get("number") or None, chosen(form, "line", lines), entered_moment(form, "at")
    platform = platforms.get(chosen(form, "platform", platforms) or "")
    shown = preview(frame.webhook, platform=platform, number=number, line=line, at=at)
    answer = json.dumps(shown.answer, indent=2, ensure_ascii=False)
    return frame.page("preview", shown=shown, answer=answer, **offered)
