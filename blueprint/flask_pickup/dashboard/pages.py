"""The addresses of the pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from flask import Response, send_from_directory

from flask_pickup.dashboard.call import call_page
from flask_pickup.dashboard.calls import calls_page, table_download
from flask_pickup.dashboard.experiment import definition_page, experiment_page, numbers_download
from flask_pickup.dashboard.frame import Frame
from flask_pickup.dashboard.overview import overview, overview_download
from flask_pickup.dashboard.plan import plan_page
from flask_pickup.dashboard.preview import preview_page

_STATIC = Path(__file__).parents[1] / "static"

Rule = tuple[str, str, Callable[..., Response], list[str]]


def routes(frame: Frame) -> Iterator[Rule]:
    """Yield each page's rule, its endpoint, its view and the methods that it answers."""
    for rule, endpoint, view in (
        ("/", "overview", overview),
        ("/overview.<kind>", "overview_download", overview_download),
        ("/experiments/<name>", "experiment", experiment_page),
        ("/experiments/<name>/numbers.<kind>", "numbers", numbers_download),
        ("/definitions/<fingerprint>", "definition", definition_page),
        ("/calls", "calls", calls_page),
        ("/calls/call", "call", call_page),
        ("/plan", "plan", plan_page),
        ("/preview", "preview", preview_page),
        ("/download/<table>.<kind>", "download", table_download),
    ):
        yield rule, endpoint, frame.guarded(view), ["GET", "POST"] if endpoint == "preview" else ["GET"]
    yield "/assets/<path:name>", "asset", frame.guarded(_asset, is_asset=True), ["GET"]


def _asset(frame: Frame, name: str) -> Response:  # noqa: ARG001 (as every page's view)
    # The browser keeps it, and asks each time whether it has changed.
    return send_from_directory(_STATIC, name)
