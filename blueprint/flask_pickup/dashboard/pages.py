"""The pages: each reads, and hands what it read to a template."""

from __future__ import annotations

import csv
import io
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

from flask import Response, abort, render_template, request, send_from_directory, url_for
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from flask_pickup.catalog import Catalog, Line
from flask_pickup.dashboard import plan, rows
from flask_pickup.dashboard.access import Access, is_own_form
from flask_pickup.dashboard.board import Board
from flask_pickup.dashboard.heard import Imagined, customer_names, heard
from flask_pickup.dashboard.plots import shown
from flask_pickup.dashboard.speech import Speech, speech_of
from flask_pickup.flireo.answer import spoken
from flask_pickup.previewing import preview
from flask_pickup.webhook import Webhook

log = logging.getLogger("flask_pickup")

ALARMING = frozenset({"split", "delivery", "missing", "changed", "two-arms"})
"""The findings that stand above everything else."""

_ASSETS = Path(__file__).parents[1] / "static"

# The hash is of the one style sheet that the plots' library writes into the page; a test computes it anew.
PLOT_STYLE = "sha256-jSYQUrW7J0b3jPqhZP9C2Xh1PyJKHKXd4s0fpGGKrww="
POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self' '{PLOT_STYLE}'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass
class Dashboard:
    """What one app's pages are made from.

    :param url: gives the address of a page by its endpoint; the blueprint's own name stands in front of it.
    """

    access: Access
    webhook: Webhook
    board: Board
    engine: Callable[[], Engine]
    # Two of the usual four threads of a worker stay with the calls, however often a page is loaded.
    _places = BoundedSemaphore(2)

    @property
    def catalog(self) -> Catalog:
        """The content that callers hear now."""
        return self.webhook.catalog

    def routes(self) -> Iterator[tuple[str, str, Callable[..., Response], list[str]]]:
        """Yield each page's rule, its endpoint, its view and the methods that it answers."""
        for rule, endpoint, view in (
            ("/", "overview", self._overview),
            ("/experiments/<name>", "experiment", self._experiment),
            ("/definitions/<fingerprint>", "definition", self._definition),
            ("/calls", "calls", self._calls),
            ("/calls/<path:call_id>", "call", self._call),
            ("/plan", "plan", self._plan),
            ("/preview", "preview", self._preview),
            ("/download/<table>.<kind>", "download", self._download),
            ("/assets/<path:name>", "asset", self._asset),
        ):
            yield rule, endpoint, self._guarded(view), ["GET", "POST"] if endpoint == "preview" else ["GET"]

    def _guarded(self, view: Callable[..., Any]) -> Callable[..., Response]:
        @wraps(view)
        def guarded(**arguments: Any) -> Response:
            refusal = self.access.refuse(request, url_for(".overview"))
            response = self._refused(refusal) if refusal else self._made(view, arguments)
            for header, value in _HEADERS.items():
                response.headers.setdefault(header, value)
            return response

        return guarded

    def _refused(self, refusal: Response) -> Response:
        if refusal.status_code not in {401, 403} or refusal.get_data():
            return refusal
        return self._page("closed", refusal.status_code)

    def _made(self, view: Callable[..., Any], arguments: Mapping[str, Any]) -> Response:
        if request.method != "GET" and not is_own_form(request):
            return self._problem("This form came from another site.", 403)
        if not self._places.acquire(timeout=1):
            return self._problem("Too many pages are being made at once. Try again in a moment.", 503)
        try:
            return view(**arguments)  # type: ignore[no-any-return]
        except HTTPException as error:
            return self._problem("There is no such page.", error.code or 404)
        except SQLAlchemyError as error:
            log.warning("A page could not be made: %s.", type(error).__name__)
            return self._problem(
                "The database does not answer, or not in time. Calls are answered all the same, and their rows wait.",
                503,
            )
        finally:
            self._places.release()

    def _problem(self, text: str, status: int) -> Response:
        return self._page("problem", status, text=text)

    def _page(self, name: str, status: int = 200, **values: Any) -> Response:
        speech = self._speech()
        html = render_template(f"pickup/{name}.html", _=speech, here=request.path, spoken=spoken, **values)
        return Response(html, status, mimetype="text/html")

    def _speech(self) -> Speech:
        return speech_of(request, self.catalog.zone(Line(None)))

    def _overview(self) -> Response:
        bodies = [one.body for one in self.catalog.experiments if one.status != "draft"]
        answer = self.board.ask({"do": "overview", "bodies": bodies})
        results = {one["experiment"]: one for one in (answer or {}).get("results", ())}
        return self._page(
            "overview",
            experiments=self.catalog.experiments,
            results=results,
            computing=answer is None,
            alarms=list(self._alarms(results)),
        )

    def _alarms(self, results: Mapping[str, Any]) -> Iterator[Mapping[str, str]]:
        speech = self._speech()
        for name in self.catalog.left_out:
            text = speech("the experiment does not load and is left out; flask pickup check says why.")
            yield {"experiment": "", "text": f"{name}: {text}"}
        if self.catalog.broken:
            yield {
                "text": speech("The greetings do not load: callers hear the saved agent. flask pickup check says why.")
            }
        facts = self.webhook.facts()
        if waiting := facts["waiting"]["memory"] + facts["waiting"]["spool"]:
            yield {"text": speech("%(count)s rows wait for the database.", count=speech.count(waiting))}
        if facts["put_aside"]:
            yield {"text": speech("%(count)s rows could not be written and were put aside.", count=facts["put_aside"])}
        for name, result in results.items():
            for warning in result["warnings"]:
                if warning["code"] in ALARMING:
                    yield {"experiment": name, "text": warning["message"]}

    def _experiment(self, name: str) -> Response:
        experiment = next((one for one in self.catalog.experiments if one.name == name), None)
        if experiment is None:
            abort(404)
        answer = self.board.ask({"do": "experiment", "body": experiment.body})
        asked = customer_names(self.catalog)
        imagined = Imagined.read(request.args, asked)
        return self._page(
            "experiment",
            experiment=experiment,
            imagined=imagined,
            customer_names=asked,
            languages=sorted(self.catalog.languages),
            heard=heard(self.catalog, experiment, imagined),
            definitions=rows.definitions(self.engine(), name),
            changes=[],
            **shown(answer, experiment, self._speech()),
        )

    def _definition(self, fingerprint: str) -> Response:
        found = rows.definition(self.engine(), fingerprint)
        if found is None:
            abort(404)
        return self._page("definition", definition=found)

    def _calls(self) -> Response:
        written = request.args.get("before", "")
        found, end = rows.latest_calls(self.engine(), rows.Place.read(written) if written else None)
        return self._page("calls", calls=found, end=end, first=not written)

    def _call(self, call_id: str) -> Response:
        found = rows.one_call(self.engine(), call_id)
        if found is None:
            abort(404)
        row, transcript = found
        return self._page("call", row=row, transcript=transcript)

    def _plan(self) -> Response:
        asked = plan.read(request.args)
        answer = self.board.ask(asked.question) if asked.question else {}
        return self._page(
            "plan",
            form=request.args,
            problem=asked.problem,
            computing=answer is None,
            failed=bool(answer) and "failed" in answer,
            plan=answer if answer and "failed" not in answer else None,
        )

    def _preview(self) -> Response:
        # A number in an address would end in logs: it comes in a form's body alone.
        form = request.form
        shown = None
        if request.method == "POST":
            shown = preview(
                self.webhook,
                number=form.get("number") or None,
                line=form.get("line") or None,
                at=_moment(form.get("at")),
            )
        answer = json.dumps(shown.decision.answer, indent=2, ensure_ascii=False) if shown else ""
        return self._page("preview", shown=shown, answer=answer, form=form, lines=self.catalog.settings.lines)

    def _download(self, table: str, kind: str) -> Response:
        if table not in rows.TABLES or kind not in {"csv", "json"}:
            abort(404)
        pieces = rows.table_rows(self.engine(), rows.TABLES[table])
        written = _csv(pieces) if kind == "csv" else _json(pieces)
        response = Response(written, mimetype="text/csv" if kind == "csv" else "application/json")
        response.headers["Content-Disposition"] = f"attachment; filename=pickup_{table}.{kind}"
        return response

    def _asset(self, name: str) -> Response:
        response = send_from_directory(_ASSETS, name, max_age=3600)
        response.headers["Cache-Control"] = "private, max-age=3600"
        return response


def _moment(written: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(written) if written else None
    except ValueError:
        return None


def _csv(pieces: Iterator[Any]) -> Iterator[str]:
    for piece in pieces:
        line = io.StringIO()
        csv.writer(line).writerow([json.dumps(v) if isinstance(v, dict | list) else _plain(v) for v in piece])
        yield line.getvalue()


def _json(pieces: Iterator[Any]) -> Iterator[str]:
    names = next(pieces)
    yield "["
    for index, piece in enumerate(pieces):
        row = {name: _plain(value) for name, value in zip(names, piece, strict=True)}
        yield (",\n" if index else "") + json.dumps(row, ensure_ascii=False)
    yield "]\n"


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
