"""HTTP: read, verify, dispatch on the event's type, answer."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import orjson
from flask import Request, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from flask_pickup import caller, reports
from flask_pickup.catalog import Catalog, Line
from flask_pickup.customer import Lookup
from flask_pickup.decision import FAULTS, CallFacts, Decision, Incoming, decide, fall_back
from flask_pickup.errors import (
    BadSignature,
    BadWebhook,
    BodyTooLarge,
    NotRecorded,
    UnsupportedBody,
    WrongMethod,
    place_of,
)
from flask_pickup.flireo import (
    AssistantRequest,
    EndOfCallReport,
    Message,
    StatusUpdate,
    read,
    verify,
)
from flask_pickup.flireo.answer import SAVED_AGENT, Answer
from flask_pickup.flireo.signature import EVENT, SIGNATURE, TIMESTAMP
from flask_pickup.handlers import Handlers
from flask_pickup.ledger import CallEntry, DefinitionEntry, Ledger, ReportEntry
from flask_pickup.metrics import Metrics
from flask_pickup.options import Options
from flask_pickup.signals import Sender, assigned, fault, reported

log = logging.getLogger("flask_pickup")


@dataclass
class Webhook:
    """What one mounted Pickup knows, and its view.

    :param clock: gives the Unix time in seconds.
    """

    options: Options
    catalog: Catalog
    ledger: Ledger
    lookup: Lookup
    handlers: Handlers
    signals: Sender
    metrics: Metrics
    clock: Callable[[], float]
    decisions: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    faults: int = 0

    def __post_init__(self) -> None:
        self.reading = reports.Reading.of(self.catalog, transcripts=self.options.transcripts)

    def receive(self) -> Response:
        """Answer one request; whatever is wrong with it is said as JSON."""
        try:
            with self.ledger.announce():
                return self._answer(request)
        except BadWebhook as refusal:
            return self._refuse(refusal)
        except Exception as error:  # noqa: BLE001 (the last net)
            return self._own_fault(error)

    def health(self) -> Response:
        """Answer whether calls can be answered, and what an operator wants to know of this process."""
        if request.method not in {"GET", "HEAD"}:
            return self._refuse(WrongMethod("GET", "HEAD"))
        return json_response(self.facts())

    def facts(self) -> Mapping[str, Any]:
        """Return what an operator wants to know of this process."""
        ledger = self.ledger.health()
        well = ledger["database"] == "ok" and not self.catalog.broken and not self.catalog.left_out
        return {
            "status": "ok" if well and not self.lookup.skipping else "degraded",
            **ledger,
            "calls": dict(self.decisions),
            "refused": dict(self.refusals),
            "reports": {"dropped": dict(self.reading.dropped)},
            "own_faults": self.faults,
            "signals": {"dropped": self.signals.dropped},
            "customer": {"skipped": self.lookup.skipping, "faults": self.lookup.faults},
            "content": {"broken": sorted(self.catalog.broken), "left_out": list(self.catalog.left_out)},
        }

    def _answer(self, incoming: Request) -> Response:
        # Read before anything is refused: a body left on the connection would be taken for the next request.
        body = read_body(incoming, self.options.max_body)
        if incoming.method != "POST":
            raise WrongMethod("POST")
        now = self._verified_time(incoming, body)
        if incoming.headers.get("Content-Encoding", "").strip().lower() not in {"", "identity"}:
            raise UnsupportedBody("The body must not be compressed.", "Content-Encoding")
        stamp = incoming.headers.get(TIMESTAMP, "").encode("latin-1", "replace")
        message = read(body, flat_call_id=lambda: caller.flat_call_id(self.options.caller_secret, stamp, body))
        return self._dispatch(message, now)

    def _verified_time(self, incoming: Request, body: bytes) -> datetime:
        options = self.options
        if options.allow_unsigned and SIGNATURE not in incoming.headers:
            return datetime.fromtimestamp(self.clock(), UTC)
        timestamp = verify(
            incoming.headers,
            body,
            secrets=options.webhook_secrets,
            now=self.clock(),
            tolerance=options.signature_tolerance,
        )
        return datetime.fromtimestamp(timestamp, UTC)

    def _dispatch(self, message: Message, now: datetime) -> Response:
        if isinstance(message, AssistantRequest):
            return self._pick_up_somehow(message, now)
        if isinstance(message, EndOfCallReport):
            call_id, who = self._report_call_id(message), self._caller(message)
            entry = reports.report_entry(message, call_id, self.reading, now=now, number=who.number)
            self._keep(entry := reports.with_caller(entry, who.key))
            self._tell_reported(entry)
        elif isinstance(message, StatusUpdate):
            status = reports.status_entry(message, self._call_id(message), now)
            self._keep(status and reports.with_caller(status, self._caller(message).key))
        return json_response(self.handlers.answer(message))

    def _pick_up_somehow(self, message: AssistantRequest, now: datetime) -> Response:
        try:
            return json_response(self._pick_up(message, now))
        except Exception as error:  # noqa: BLE001 (a fault of ours, which must not cost a caller the call)
            return self._saved_agent(error)

    def _saved_agent(self, error: Exception) -> Response:
        self._log_own_fault(error)
        self.decisions["fallback"] += 1
        return json_response(SAVED_AGENT)

    def _pick_up(self, message: AssistantRequest, now: datetime) -> Answer:
        started = perf_counter()
        incoming = self.incoming(message, now)
        decision = decide(self.catalog, incoming)
        try:
            recorded = self.ledger.record(call_entry(incoming, decision, datetime.fromtimestamp(self.clock(), UTC)))
        except NotRecorded:
            # Only an arm needs a row. Who is turned away outside the hours, or hears a winner, goes on to.
            if decision.assignments:
                decision = fall_back(self.catalog, incoming, decision)
        else:
            if recorded and (recorded.kind, recorded.assignments) != (decision.kind, decision.assignments):
                decision = decide(self.catalog, incoming, recorded)
            if recorded is None and decision.assignments:
                names = {"call_id": incoming.call.id, "caller_key": incoming.caller.key}
                self.signals.send(assigned, **names, assignments=decision.assignments)
        self._tell_faults(decision)
        self.decisions[decision.kind] += 1
        self._log_call(incoming, decision, perf_counter() - started)
        return decision.answer

    def _log_call(self, incoming: Incoming, decision: Decision, seconds: float) -> None:
        self.metrics.call(decision.kind, seconds, decision.assignments)
        facts = {
            "call": incoming.call.id,
            "caller": incoming.caller.short_key,
            "decision": decision.kind,
            "arms": {assigned.experiment: assigned.arm for assigned in decision.assignments},
            "milliseconds": round(1000 * seconds, 1),
        }
        log.info(
            "Call %(call)s, caller %(caller)s: %(decision)s in %(milliseconds).0f ms.", facts, extra={"pickup": facts}
        )

    def tell_fault(self, kind: str, what: str) -> None:
        """Tell whoever listens that something failed; neither raises nor waits."""
        self.metrics.fault(kind)
        self.signals.send(fault, kind=kind, what=what)

    def show_metrics(self) -> Response:
        """Answer Prometheus, or nobody."""
        self.metrics.waiting(self.ledger.waiting)
        return self.metrics.answer(request) or json_response({"detail": "There is nothing here."}, 404)

    def _tell_faults(self, decision: Decision) -> None:
        for what in decision.reasons.get(FAULTS, ()):
            self.tell_fault("customer" if what.startswith("customer:") else "content", what)

    def _tell_reported(self, entry: ReportEntry) -> None:
        names = {name: entry.call[name] for name in ("call_id", "caller_key", "end_reason")}
        self.signals.send(reported, **names, outcomes=dict(entry.outcomes or {}))

    def incoming(self, message: AssistantRequest, now: datetime) -> Incoming:
        """Return all that the decision on a call follows from; the customer is asked for here."""
        who, line = self._caller(message), self._line(message)
        return Incoming(CallFacts(self._call_id(message), message.call_type), who, line, self.lookup(who), now)

    def _line(self, message: Message) -> Line:
        return self.catalog.line(caller.line_number(message.line_number, self.options.region), message.line_name)

    def _caller(self, message: Message) -> caller.Caller:
        line = self._line(message)
        return caller.identify(
            message.customer_number,
            own=(line.number, *self.catalog.settings.lines),
            region=self.options.region,
            secret=self.options.caller_secret,
            languages=self.catalog.languages_on(line),
        )

    def _call_id(self, message: Message) -> str:
        number = caller.e164(message.customer_number, self.options.region)
        return caller.pseudonymous_call_id(self.options.caller_secret, message.call_id, number)

    def _report_call_id(self, message: EndOfCallReport) -> str:
        return reports.original_call_id(message) or self._call_id(message)

    def _keep(self, entry: ReportEntry | None) -> None:
        if entry is None:
            return
        try:
            self.ledger.record(entry)
        except NotRecorded as error:
            # The only honest answer to a report that no disk has: the platform may send it again.
            raise Unavailable("The report could not be recorded; send it again.") from error

    def _own_fault(self, error: Exception) -> Response:
        if request.headers.get(EVENT) == "assistant-request":
            return self._saved_agent(error)
        self._log_own_fault(error)
        # Nothing was acted on, so it may be sent again.
        return json_response({"detail": "This could not be answered; the server's log says where."}, 500)

    def _log_own_fault(self, error: Exception) -> None:
        self.faults += 1
        self.tell_fault("own", type(error).__name__)
        log.critical("A fault of Pickup's own: %s in %s. Please report it.", type(error).__name__, place_of(error))

    def _refuse(self, refusal: BadWebhook) -> Response:
        self.refusals[str(refusal.code)] += 1
        reason = refusal.reason if isinstance(refusal, BadSignature) else refusal.detail
        log.warning("Refused a request with %s: %s", refusal.code, reason)
        body = {"detail": refusal.detail, **({"field": refusal.field} if refusal.field else {})}
        response = json_response(body, refusal.code)
        if isinstance(refusal, WrongMethod):
            response.headers["Allow"] = ", ".join(refusal.allowed)
        return response


class Unavailable(BadWebhook):
    """What was sent could not be recorded."""

    code = 503


def read_body(incoming: Request, most: int) -> bytes:
    """Return the whole body of a request, which stays cached for the host's handlers.

    :param most: the largest accepted body, in bytes; it replaces the host's ``MAX_CONTENT_LENGTH`` for this request.
    :raises BodyTooLarge: if the body is larger.
    :raises BadWebhook: if the body does not arrive whole.
    """
    # One byte more is read: Werkzeug cuts a body without a length at the limit instead of refusing it.
    incoming.max_content_length = most + 1
    try:
        body = incoming.get_data()
    except RequestEntityTooLarge:
        body = None
    except Exception as error:  # each server has its own exceptions for invalid chunks
        raise BadWebhook("The body did not arrive whole.") from error
    if body is None or len(body) > most:
        raise BodyTooLarge(f"The body has more than {most} bytes.")
    if len(body) < (incoming.content_length or 0):
        raise BadWebhook("The body did not arrive whole.")
    return body


def json_response(body: Mapping[str, Any], status: int = 200) -> Response:
    """Return ``body`` as JSON that no cache keeps."""
    response = Response(orjson.dumps(body), status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def call_entry(incoming: Incoming, decision: Decision, at: datetime) -> CallEntry:
    """Return the rows of a call that was decided ``at`` a moment."""
    who = incoming.caller
    row = reports.call_row(
        incoming.call.id,
        caller_key=who.key,
        line=incoming.line.number,
        call_type=incoming.call.type,
        country=who.country,
        language=decision.language,
        decided_at=at,
        decision=decision.kind,
        reasons=dict(decision.reasons),
    )
    delivered = False if decision.kind == "fallback" else None
    rows = [
        {
            "call_id": incoming.call.id,
            "experiment": assigned.experiment,
            "arm": assigned.arm,
            "source": assigned.source,
            "caller_key": who.key,
            "definition": assigned.definition,
            "assigned_at": at,
            "delivered": delivered,
        }
        for assigned in decision.assignments
    ]
    return CallEntry(row, rows, signed_at=incoming.now)


def definition_entries(catalog: Catalog, first_seen: datetime) -> list[DefinitionEntry]:
    """Return the rows of the definitions that calls may refer to."""
    return [
        DefinitionEntry(
            {
                "fingerprint": experiment.fingerprint,
                "experiment": experiment.name,
                "body": experiment.body,
                "first_seen_at": first_seen,
            }
        )
        for experiment in catalog.experiments
        if experiment.status != "draft"
    ]
