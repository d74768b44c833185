"""What all pages have in common: who may see them, their language, their errors, and what browsers are told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import wraps
from http import HTTPStatus
from typing import Any

from flask import Response, abort, render_template, request, url_for
from markupsafe import Markup
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from flask_pickup.catalog import Catalog, Experiment, Line
from flask_pickup.dashboard.access import Access, is_same_site_form
from flask_pickup.dashboard.parameters import BadParameter, refuse_null_characters
from flask_pickup.platforms import title_of
from flask_pickup.results.amounts import decimals, percent
from flask_pickup.results.snapshots import Latest, Snapshots
from flask_pickup.translation import (
    DASH,
    LANGUAGES,
    PageFormat,
    format_number,
    gettext,
    in_language,
    ngettext,
    reader_language,
)
from flask_pickup.webhook import Webhook

log = logging.getLogger("flask_pickup")

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
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
class Frame:
    """Makes pages of one app from what its views read."""

    access: Access
    webhook: Webhook
    snapshots: Snapshots
    _parts: dict[tuple[str, ...], tuple[datetime | None, Catalog, Markup]] = field(default_factory=dict, init=False)

    @property
    def catalog(self) -> Catalog:
        """The content that callers hear now."""
        return self.webhook.catalog

    @property
    def formats(self) -> PageFormat:
        """The formats of the reader's language and the business's time zone."""
        return PageFormat(reader_language(), self.catalog.zone(Line(None)))

    def guarded(self, view: Callable[..., Response], *, is_asset: bool = False) -> Callable[..., Response]:
        """Return a view that gets the frame, refuses visitors without access, and answers errors with a page.

        :param is_asset: whether the page for visitors without access needs it.
        """

        @wraps(view)
        def guarded(**arguments: Any) -> Response:
            is_open = is_asset and self.access.has_own_page
            refusal = None if is_open else self.access.refuse(request, url_for(".overview"))
            with in_language(_language()):
                response = self._refused(refusal) if refusal else self._made(view, arguments)
            for header, value in _HEADERS.items():
                response.headers.setdefault(header, value)
            return response

        return guarded

    def page(self, name: str, status: int = 200, **values: Any) -> Response:
        """Return a page.

        :param name: the template's, without its ending.
        """
        return Response(self._render(name, values), status, mimetype="text/html")

    def part(self, name: str, of: str, at: datetime | None, values: Callable[[], Mapping[str, Any]]) -> Markup:
        """Return a part of a page, which each process renders once for each language.

        :param name: the template's, without its ending.
        :param of: what it is about.
        :param at: when that was computed; a part of another time or of other content is rendered anew.
        """
        key = (name, of, reader_language(), url_for(".overview"))
        kept = self._parts.get(key)
        if kept is None or kept[0] != at or kept[1] is not self.catalog:
            kept = self._parts[key] = at, self.catalog, Markup(self._render(name, values()))  # noqa: S704 (a template's)
        return kept[2]

    def _render(self, name: str, values: Mapping[str, Any]) -> str:
        shared = {
            "_": gettext, "ngettext": ngettext, "number": _unbroken(format_number), "percent": _unbroken(percent),
            "decimals": decimals,
            "formats": self.formats, "title_of": title_of,
            "now": self.webhook.now, "here": request.root_path + request.path, "line_name": self._line_name,
        }  # fmt: skip
        return render_template(f"pickup/{name}.html", **shared, **values)

    def problem(self, text: str, status: int) -> Response:
        """Return a page that says why there is no other."""
        again = status == HTTPStatus.SERVICE_UNAVAILABLE and request.method == "GET"
        return self.page("problem", status, text=text, code=status, computing=again, updating=again)

    def experiment(self, name: str) -> Experiment:
        """Return an experiment of the content; 404 for an unknown one."""
        found = next((one for one in self.catalog.experiments if one.name == name), None)
        return found or abort(404)

    def labels(self, experiment: Experiment) -> dict[str, str]:
        """Return what a page calls an experiment's metrics, by their names."""
        return {each.name: each.label_in(reader_language()) for each in experiment.metrics}

    def _refused(self, refusal: Response) -> Response:
        if not self.access.has_own_page or refusal.status_code == HTTPStatus.FOUND:
            return refusal
        return self.page("closed", refusal.status_code, is_wrong=refusal.status_code == HTTPStatus.FORBIDDEN)

    def _made(self, view: Callable[..., Response], arguments: Mapping[str, Any]) -> Response:
        if request.method not in {"GET", "HEAD"} and not is_same_site_form(request):
            return self.problem(gettext("This form came from another site."), 403)
        try:
            refuse_null_characters((*arguments.values(), *request.values.values()))
            return view(self, **arguments)
        except BadParameter as error:
            return self.problem(str(error), 400)
        except HTTPException as error:
            return self.problem(gettext("There is no such page."), error.code or 404)
        except SQLAlchemyError as error:
            log.warning("A page could not be made: %s.", type(error).__name__)
            text = gettext("The database does not answer in time. Calls are still answered, and are saved later.")
            return self.problem(text, 503)

    def _line_name(self, number: str | None) -> str:
        """Return what the business calls a number of its own; the number where it has no name."""
        return self.catalog.line(number, None).name or number or DASH


def freshness(latest: Collection[Latest]) -> dict[str, Any]:
    """Return what a page says of the age of its results, as values of :meth:`Frame.page`.

    ``computing``: whether some have none yet. ``as_of``: when the oldest were computed, None where there are none.
    ``updating``: whether newer ones are being computed.
    """
    return {
        "computing": any(one.body is None for one in latest),
        "as_of": min((one.at for one in latest if one.at), default=None),
        "updating": any(one.is_updating for one in latest),
    }


def _unbroken(form: Callable[..., str]) -> Callable[..., str]:
    """Return a format whose numbers no line ends within, as in "31.2 %"."""
    return lambda *values: form(*values).replace(" ", "\N{NO-BREAK SPACE}")


def _language() -> str:
    return request.accept_languages.best_match(LANGUAGES, LANGUAGES[0])
