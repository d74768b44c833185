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
from http import HTTPStatus
from itertools import islice
from typing import Any

from flask import Response, abort, render_template, request, url_for
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from flask_pickup.catalog import Catalog, Experiment, Line
from flask_pickup.dashboard import plan, rows
from flask_pickup.dashboard.access import Access, is_same_site_form
from flask_pickup.dashboard.arm_preview import (
    MadeUpCaller,
    arm_previews,
    current_greetings,
    customer_fields,
    parse_moment,
)
from flask_pickup.dashboard.assets import asset
from flask_pickup.dashboard.changes import definition_changes, setting_names
from flask_pickup.dashboard.plots import difference_in, shown, winner
from flask_pickup.dashboard.speech import NOTHING, Speech, speech_of
from flask_pickup.flireo.answer import prompt, spoken
from flask_pickup.previewing import preview
from flask_pickup.results import numbers
from flask_pickup.results.snapshots import Snapshots
from flask_pickup.results.wording import with_messages
from flask_pickup.translation import gettext, in_language, ngettext
from flask_pickup.webhook import Webhook

log = logging.getLogger("flask_pickup")

ALARMING = frozenset({"split", "delivery", "missing", "changed", "two-arms"})
"""The findings that stand above everything else."""

_KINDS = {"csv": "text/csv", "json": "application/json"}

_BATCH = 500
"""Rows of a download that are written at once."""

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
    snapshots: Snapshots
    engine: Callable[[], Engine]

    @property
    def catalog(self) -> Catalog:
        """The content that callers hear now."""
        return self.webhook.catalog

    def routes(self) -> Iterator[tuple[str, str, Callable[..., Response], list[str]]]:
        """Yield each page's rule, its endpoint, its view and the methods that it answers."""
        for rule, endpoint, view in (
            ("/", "overview", self._overview),
            ("/experiments/<name>", "experiment", self._experiment),
            ("/experiments/<name>/numbers.<kind>", "numbers", self._numbers),
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
            with in_language(self._speech().language):
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
        if request.method not in {"GET", "HEAD"} and not is_same_site_form(request):
            return self._problem(gettext("This form came from another site."), 403)
        try:
            return view(**arguments)  # type: ignore[no-any-return]
        except HTTPException as error:
            return self._problem(gettext("There is no such page."), error.code or 404)
        except SQLAlchemyError as error:
            log.warning("A page could not be made: %s.", type(error).__name__)
            text = gettext(
                "The database does not answer, or not in time. Calls are answered all the same, and their rows wait."
            )
            return self._problem(text, 503)

    def _problem(self, text: str, status: int) -> Response:
        again = status == HTTPStatus.SERVICE_UNAVAILABLE and request.method == "GET"
        return self._page("problem", status, text=text, again=again)

    def _page(self, name: str, status: int = 200, **values: Any) -> Response:
        speech = self._speech()
        shared = {
            "_": gettext, "ngettext": ngettext, "speech": speech, "here": request.root_path + request.path, "spoken": spoken, "asset": _address, "line_name": self._line_name,
            "difference_in": difference_in, "winner": winner,
        }  # fmt: skip
        return Response(render_template(f"pickup/{name}.html", **shared, **values), status, mimetype="text/html")

    def _speech(self) -> Speech:
        return speech_of(request, self.catalog.zone(Line(None)))

    def _line_name(self, number: str | None) -> str:
        """Return what the business calls a number of its own; the number where it has no name."""
        return self.catalog.line(number, None).name or number or NOTHING

    def _overview(self) -> Response:
        names = [one.name for one in self.catalog.experiments if one.status != "draft"]
        latest = self.snapshots.latest(names)
        results = {name: with_messages(body["results"]) for name, body in latest.items() if "results" in body}
        return self._page(
            "overview",
            experiments=self.catalog.experiments,
            greetings={one.name: current_greetings(self.catalog, one) for one in self.catalog.experiments},
            results=results,
            days={name: _days_of(result) for name, result in results.items() if result["since"]},
            computing=len(latest) < len(names),
            failed=len(results) < len(latest),
            alarms=list(self._alarms(results, failed=len(results) < len(latest))),
        )

    def _alarms(self, results: Mapping[str, Any], *, failed: bool) -> Iterator[Mapping[str, str]]:
        speech = self._speech()
        if failed:
            yield {"text": _failed()}
        if self.catalog.broken:
            yield {
                "text": gettext("The greetings do not load: callers hear the saved agent. flask pickup check says why.")
            }
        facts = self.webhook.facts()
        if waiting := facts["waiting"]["memory"] + facts["waiting"]["spool"]:
            yield {"text": gettext("Rows that wait for the database: %(count)s.", count=speech.count(waiting))}
        if aside := facts["put_aside"]:
            yield {
                "text": gettext(
                    "Rows that could not be written and were put aside: %(count)s.", count=speech.count(aside)
                )
            }
        for name, result in results.items():
            for warning in result["warnings"]:
                if warning["code"] in ALARMING:
                    yield {"experiment": name, "text": warning["message"]}
        if left_out := self.catalog.left_out:
            text = gettext(
                "These experiments do not load and are left out; flask pickup check says why: %(names)s.",
                names=", ".join(left_out),
            )
            yield {"text": text}

    def _experiment(self, name: str) -> Response:
        experiment = self._found(name)
        speech = self._speech()
        fields = customer_fields(self.catalog, name)
        caller = MadeUpCaller.from_form(request.args, fields)
        definitions = rows.definitions(self.engine(), name)
        return self._page(
            "experiment",
            experiment=experiment,
            caller=caller,
            customer_fields=fields,
            languages=sorted(self.catalog.languages),
            arms=arm_previews(self.catalog, experiment, caller),
            definitions=definitions,
            changes=definition_changes(definitions),
            **shown(self._latest(experiment), experiment, speech),
        )

    def _found(self, name: str) -> Experiment:
        experiment = next((one for one in self.catalog.experiments if one.name == name), None)
        return experiment or abort(404)

    def _numbers(self, name: str, kind: str) -> Response:
        if kind not in _KINDS:
            abort(404)
        latest = self._latest(self._found(name))
        if latest is None:
            return self._problem(gettext("The results are being computed; this page comes again by itself."), 503)
        if "failed" in latest:
            return self._problem(_failed(), 500)
        result = latest.get("results")
        lines = iter([numbers.COLUMNS, *(numbers.lines(result) if result else ())])
        return _taken_along(lines, name, kind)

    def _latest(self, experiment: Experiment) -> Mapping[str, Any] | None:
        """Return an experiment's latest results, none of a draft; None while there are none yet."""
        if experiment.status == "draft":
            return {}
        return self.snapshots.latest([experiment.name]).get(experiment.name)

    def _definition(self, fingerprint: str) -> Response:
        found = rows.definition(self.engine(), fingerprint)
        if found is None:
            abort(404)
        return self._page("definition", definition=found, names=setting_names())

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
        return self._page("plan", form=request.args, problem=asked.problem, plan=asked.plan())

    def _preview(self) -> Response:
        # A number in an address would end in logs: it comes in a form's body alone.
        form = request.form
        shown = None
        if request.method == "POST":
            shown = preview(
                self.webhook,
                number=form.get("number") or None,
                line=form.get("line") or None,
                at=parse_moment(form.get("at")),
            )
        answer = shown.decision.answer if shown else {}
        return self._page(
            "preview",
            shown=shown,
            told=prompt(answer),
            answer=json.dumps(answer, indent=2, ensure_ascii=False),
            form=form,
            lines=self.catalog.settings.lines,
        )

    def _download(self, table: str, kind: str) -> Response:
        if table not in rows.TABLES or kind not in _KINDS:
            abort(404)
        return _taken_along(rows.table_rows(self.engine(), rows.TABLES[table]), f"pickup_{table}", kind)

    def _asset(self, name: str) -> Response:
        file = asset(name)
        if file is None:
            return Response(status=404)
        packs = "gzip" in request.headers.get("Accept-Encoding", "")
        response = Response(file.packed if packs else file.content, mimetype=file.type)
        response.headers["Cache-Control"] = "private, max-age=31536000, immutable"
        response.headers["Vary"] = "Accept-Encoding"
        if packs:
            response.headers["Content-Encoding"] = "gzip"
        return response


def _days_of(result: Mapping[str, Any]) -> int:
    return (datetime.fromisoformat(result["until"]) - datetime.fromisoformat(result["since"])).days


def _failed() -> str:
    return gettext("The results could not be computed. The log says why; calls are answered all the same.")


def _taken_along(pieces: Iterator[Any], name: str, kind: str) -> Response:
    """Return a download; the first piece names the columns of the others."""
    written = _csv(pieces) if kind == "csv" else _json(pieces)
    response = Response(written, mimetype=_KINDS[kind])
    response.headers["Content-Disposition"] = f"attachment; filename={name}.{kind}"
    return response


def _address(name: str) -> str:
    """Return a file's address, which changes with its content."""
    file = asset(name)
    assert file
    return url_for(".asset", name=name, v=file.version)


def _csv(pieces: Iterator[Any]) -> Iterator[str]:
    for some in _batches(pieces):
        lines = io.StringIO()
        csv.writer(lines).writerows([_as_text(value) for value in piece] for piece in some)
        yield lines.getvalue()


def _json(pieces: Iterator[Any]) -> Iterator[str]:
    names = next(pieces)
    before = "["
    for some in _batches(pieces):
        rows = [{name: _plain(value) for name, value in zip(names, piece, strict=True)} for piece in some]
        yield before + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        before = ",\n"
    yield "]\n" if before != "[" else "[]\n"


def _batches(pieces: Iterator[Any]) -> Iterator[list[Any]]:
    while some := list(islice(pieces, _BATCH)):
        yield some


def _as_text(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else _plain(value)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
