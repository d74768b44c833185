"""The pages: each reads, and hands what it read to a template."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flask import Response, abort, render_template, request, send_from_directory, url_for
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from flask_pickup.catalog import Catalog, Experiment, Line
from flask_pickup.dashboard import rows
from flask_pickup.dashboard.access import Access, is_same_site_form
from flask_pickup.dashboard.arm_preview import (
    arm_decisions,
    current_greetings,
    customer_fields,
    word_diff,
)
from flask_pickup.dashboard.definitions import definition, definition_changes, definitions, setting_values
from flask_pickup.dashboard.downloads import TABLES, download, table_chunks
from flask_pickup.dashboard.parameters import BadParameter, chosen, entered_moment, refuse_null_characters
from flask_pickup.dashboard.plan import planned
from flask_pickup.dashboard.plots import plots_of
from flask_pickup.enrolment import Enrolment, enrolment
from flask_pickup.previewing import preview
from flask_pickup.results.aggregates import RECENT
from flask_pickup.results.model import CSV_COLUMNS, csv_rows
from flask_pickup.results.snapshots import Snapshots
from flask_pickup.results.wording import with_messages
from flask_pickup.translation import DASH, LANGUAGES, PageFormat, format_number, gettext, in_language, ngettext
from flask_pickup.webhook import Webhook

log = logging.getLogger("flask_pickup")

_STATIC = Path(__file__).parents[1] / "static"

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
    """The pages of one app."""

    access: Access
    webhook: Webhook
    snapshots: Snapshots

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
            ("/calls/call", "call", self._call),
            ("/plan", "plan", self._plan),
            ("/preview", "preview", self._preview),
            ("/download/<table>.<kind>", "download", self._download),
            ("/assets/<path:name>", "asset", _asset),
        ):
            yield rule, endpoint, self._guarded(view), ["GET", "POST"] if endpoint == "preview" else ["GET"]

    def _guarded(self, view: Callable[..., Response]) -> Callable[..., Response]:
        @wraps(view)
        def guarded(**arguments: Any) -> Response:
            refusal = self.access.refuse(request, url_for(".overview"))
            with in_language(_language()):
                response = self._refused(refusal) if refusal else self._made(view, arguments)
            for header, value in _HEADERS.items():
                response.headers.setdefault(header, value)
            return response

        return guarded

    def _refused(self, refusal: Response) -> Response:
        if refusal.status_code not in {401, 403} or refusal.get_data():
            return refusal
        return self._page("closed", refusal.status_code)

    def _made(self, view: Callable[..., Response], arguments: Mapping[str, Any]) -> Response:
        if request.method not in {"GET", "HEAD"} and not is_same_site_form(request):
            return self._problem(gettext("This form came from another site."), 403)
        try:
            refuse_null_characters((*arguments.values(), *request.values.values()))
            return view(**arguments)
        except BadParameter as error:
            return self._problem(str(error), 400)
        except HTTPException as error:
            return self._problem(gettext("There is no such page."), error.code or 404)
        except SQLAlchemyError as error:
            log.warning("A page could not be made: %s.", type(error).__name__)
            text = gettext("The database does not answer in time. Calls are answered, and their rows wait.")
            return self._problem(text, 503)

    def _problem(self, text: str, status: int) -> Response:
        again = status == HTTPStatus.SERVICE_UNAVAILABLE and request.method == "GET"
        return self._page("problem", status, text=text, again=again)

    def _page(self, name: str, status: int = 200, **values: Any) -> Response:
        shared = {
            "_": gettext, "ngettext": ngettext, "number": format_number,
            "formats": PageFormat(_language(), self.catalog.zone(Line(None))),
            "here": request.root_path + request.path, "line_name": self._line_name,
        }  # fmt: skip
        return Response(render_template(f"pickup/{name}.html", **shared, **values), status, mimetype="text/html")

    def _line_name(self, number: str | None) -> str:
        """Return what the business calls a number of its own; the number where it has no name."""
        return self.catalog.line(number, None).name or number or DASH

    def _overview(self) -> Response:
        experiments, platform = self.catalog.experiments, self.webhook.default_platform
        names = [one.name for one in experiments if one.status != "draft"]
        latest = self.snapshots.latest(names)
        results = {name: with_messages(body["results"]) for name, body in latest.items() if "results" in body}
        return self._page(
            "overview",
            experiments=experiments,
            greetings={one.name: current_greetings(self.catalog, platform, one) for one in experiments},
            results=results,
            layers=self.catalog.layers,
            free_ranges=self.catalog.free_ranges,
            computing=len(latest) < len(names),
            failed=len(results) < len(latest),
            health=self.webhook.facts(),
            last_events=self._last_events(),
        )

    def _last_events(self) -> Mapping[str, tuple[datetime | None, datetime | None]]:
        with suppress(SQLAlchemyError):
            return rows.last_events(self.webhook.engine, self.webhook.now - RECENT)
        # The page says what else is wrong while the database does not answer.
        return {}

    def _experiment(self, name: str) -> Response:
        experiment = self._found(name)
        defined = definitions(self.webhook.engine, name)
        latest = self._latest(experiment)
        body = latest or {}
        result, details = body.get("results"), body.get("details")
        return self._page(
            "experiment",
            experiment=experiment,
            computing=latest is None,
            failed="failed" in body,
            result=with_messages(result) if result and details else None,
            details=details,
            plots=plots_of(result, details, experiment) if result and details else {},
            form=request.args,
            customer_fields=customer_fields(self.catalog, name),
            languages=sorted(self.catalog.languages),
            arms=arm_decisions(self.catalog, self.webhook.default_platform, experiment, request.args),
            word_diff=word_diff,
            definitions=zip(defined, definition_changes([row["body"] for row in defined]), strict=False),
        )

    def _found(self, name: str) -> Experiment:
        experiment = next((one for one in self.catalog.experiments if one.name == name), None)
        return experiment or abort(404)

    def _latest(self, experiment: Experiment) -> Mapping[str, Any] | None:
        """Return an experiment's latest results, none of a draft; None while there are none yet."""
        if experiment.status == "draft":
            return {}
        return self.snapshots.latest([experiment.name]).get(experiment.name)

    def _numbers(self, name: str, kind: str) -> Response:
        latest = self._latest(self._found(name))
        if latest is None:
            return self._problem(gettext("The results are being computed. This page reloads itself."), 503)
        if "failed" in latest:
            return self._problem(
                gettext("The results could not be computed; the log has the error. Calls are answered."), 500
            )
        result = latest.get("results")
        return download(CSV_COLUMNS, [list(csv_rows(result))] if result else (), name, kind)

    def _definition(self, fingerprint: str) -> Response:
        found = definition(self.webhook.engine, fingerprint) or abort(404)
        return self._page("definition", definition=found, settings=setting_values(found["body"]))

    def _calls(self) -> Response:
        before = request.args.get("before", "")
        if (latest := rows.latest_calls(self.webhook.engine, before)) is None:
            raise BadParameter(gettext("The call after which the page begins is not there, or not any more."))
        found, has_more = latest
        return self._page("calls", calls=found, has_more=has_more, first=not before)

    def _call(self) -> Response:
        # In the query, because servers and browsers change a path with a line break, '..' or '//' in it.
        row, transcript = rows.one_call(self.webhook.engine, request.args.get("id", "")) or abort(404)
        return self._page("call", row=row, transcript=transcript)

    def _plan(self) -> Response:
        experiments = {each.name: each for each in self.catalog.experiments if each.status != "concluded"}
        name, found = chosen(request.args, "experiment", experiments), planned(request.args)
        counted = self._enrolment(experiments[name]) if name else None
        form = {"callers_a_week": f"{counted.enrolled:.6g}" if counted else "", **request.args}
        status = 400 if "problem" in found else 200
        return self._page("plan", status, form=form, experiments=experiments, counted=counted, **found)

    def _enrolment(self, experiment: Experiment) -> Enrolment | None:
        state, seconds = self.webhook, rows.STATEMENT_TIMEOUT
        return enrolment(state.engine, self.catalog, experiment, now=state.now, seconds=seconds)

    def _preview(self) -> Response:
        # A number in an address would end in logs: it comes in a form's body alone.
        form, lines, platforms = request.form, self.catalog.settings.lines, self.webhook.platforms
        offered: dict[str, Any] = {"form": form, "lines": lines, "platforms": platforms}
        if request.method != "POST":
            return self._page("preview", shown=None, **offered)
        number, line, at = form.get("number") or None, chosen(form, "line", lines), entered_moment(form, "at")
        platform = platforms.get(chosen(form, "platform", platforms) or "")
        shown = preview(self.webhook, platform=platform, number=number, line=line, at=at)
        answer = json.dumps(shown.answer, indent=2, ensure_ascii=False)
        return self._page("preview", shown=shown, answer=answer, **offered)

    def _download(self, table: str, kind: str) -> Response:
        found = TABLES[table] if table in TABLES else abort(404)
        columns = [column.name for column in found.columns]
        return download(columns, table_chunks(self.webhook.engine, found), f"pickup_{table}", kind)


def _asset(name: str) -> Response:
    # The browser keeps it, and asks each time whether it has changed.
    return send_from_directory(_STATIC, name)


def _language() -> str:
    return request.accept_languages.best_match(LANGUAGES, LANGUAGES[0])
