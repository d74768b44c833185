"""The preview: what a caller with a number would hear."""

from __future__ import annotations

import json
from collections.abc import Mapping

from flask import Response, request

from flask_pickup.dashboard.frame import Frame
from flask_pickup.dashboard.parameters import BadParameter, chosen, entered_moment
from flask_pickup.previewing import Preview, entered_number, preview
from flask_pickup.translation import gettext


def preview_page(frame: Frame) -> Response:
    """Return the form, and the answer to the call that it describes; 400 where it describes none."""
    # A number in an address would end in logs: it comes in a form's body alone.
    shown, problem = None, ""
    if request.method == "POST":
        try:
            shown = _preview(frame, request.form)
        except BadParameter as error:
            problem = str(error)
    return frame.page(
        "preview",
        400 if problem else 200,
        form=request.form,
        lines=frame.catalog.settings.lines,
        platforms=frame.webhook.platforms,
        problem=problem,
        shown=shown,
        has_hours=shown and frame.catalog.hours(shown.call.line) is not None,
        answer=json.dumps(shown.answer, indent=2, ensure_ascii=False) if shown else "",
    )


def _preview(frame: Frame, form: Mapping[str, str]) -> Preview:
    line, at = chosen(form, "line", frame.catalog.settings.lines), entered_moment(form, "at")
    platform = frame.webhook.platforms.get(chosen(form, "platform", frame.webhook.platforms) or "")
    try:
        number = entered_number(form.get("number"), frame.webhook.options.region)
    except ValueError as error:
        text = gettext("This is not a phone number, or several could be meant. Enter it as +31612345678.")
        raise BadParameter(text) from error
    return preview(frame.webhook, platform=platform, number=number, line=line, at=at)
