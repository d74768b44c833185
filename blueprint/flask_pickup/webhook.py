"""HTTP: read, verify, dispatch on the event's type, answer."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from time import perf_counter
from typing import Any

from flask import Flask, Request, Response, request
from sqlalchemy import Engine

from flask_pickup import reports
from flask_pickup.activity import Activity
from flask_pickup.assignment import Recorded
from flask_pickup.bodies import discard_body, json_response, read_body
from flask_pickup.caller import REHEARSAL, key_of
from flask_pickup.calls import CallFacts, call_of
from flask_pickup.catalog import Catalog, load
from flask_pickup.customer import Hook, Lookup
from flask_pickup.decision import FAULTS, Decision, decide
from flask_pickup.engines import EngineSource, engine_maker
from flask_pickup.errors import (
    BadSignature,
    BadWebhook,
    BodyTooLarge,
    NotRecorded,
    Unavailable,
    UnreadableCall,
    UnsupportedBody,
    WrongMethod,
    place_of,
)
from flask_pickup.handlers import Handlers
from flask_pickup.ledger import CallEntry, DefinitionEntry, Ledger, ReportEntry
from flask_pickup.metadata import Metadata
from flask_pickup.metrics import Metrics
from flask_pickup.options import ConfigReader, read_options
from flask_pickup.platforms import (
    DEFAULT,
    CallEnded,
    Delivery,
    Event,
    IncomingCall,
    Platform,
    StatusChanged,
    enabled_platforms,
)
from flask_pickup.processes import PerProcess
from flask_pickup.signals import Sender, assigned, fault, reported
from flask_pickup.waits import Waits

log = logging.getLogger("flask_pickup")
content_log = logging.getLogger("flask_pickup.content")


class Webhook:
    """The view of one mounted Pickup, and all that it keeps for calls.

    :param engine: see :func:`.engine_maker`.
    :param clock: gives the Unix time in seconds; tests replace it.
    """

    def __init__(  # noqa: PLR0913 (all that a host gives)
        self,
        app: Flask,
        config: ConfigReader,
        *,
        engine: EngineSource | None,
        clock: Callable[[], float],
        hook: Hook | None,
        handlers: Handlers,
    ) -> None:
        self.clock = clock
        self.options = options = read_options(config, root=app.root_path, instance=app.instance_path)
        places = ("experiments", "greetings", "database_url")
        self.given = {**config.given(), **{name: getattr(options, name) for name in places}}
        self.platforms = enabled_platforms(config, self._time)
        self.catalog = load(
            options.experiments,
            options.greetings,
            pin_key=partial(key_of, region=options.region, secret=options.caller_secret),
            region=options.region,
            platforms=self.platforms.values(),
        )
        for complaint in self.catalog.complaints:
            content_log.log(logging.ERROR if complaint.level == "error" else logging.WARNING, "%s", complaint)
        self.reading = reports.Reading.of(self.catalog, self.platforms.values(), transcripts=options.transcripts)
        self.waits = {name: Waits.of(platform.deadline, options) for name, platform in self.platforms.items()}
        self.longest_waits = Waits.of(max(platform.deadline for platform in self.platforms.values()), options)
        lookups = {waits.customer: Lookup(hook, waits.customer) for waits in self.waits.values()}
        self.lookups = {name: lookups[waits.customer] for name, waits in self.waits.items()}
        self.handlers = handlers
        self.signals = Sender(app)
        self.metrics = Metrics(options.metrics_token)
        self.decisions: Counter[str] = Counter()
        self.activity = {name: Activity() for name in self.platforms}
        self.faults = 0
        self.has_own_engine = engine is None
        # A connection that came through a fork would be shared with the parent.
        self.engines = PerProcess(engine_maker(app, engine, options.database_url))
        self.ledgers = PerProcess(self._new_ledger)

    def _new_ledger(self) -> Ledger:
        return Ledger(
            self.engines,
            self.options.spool,
            waits=self.longest_waits,
            definitions=definition_entries(self.catalog, self.now),
            clock=self._time,
            on_fault=self.emit_fault,
            on_waiting=self.metrics.waiting,
        )

    @property
    def ledger(self) -> Ledger:
        """This process's ledger."""
        return self.ledgers()

    @property
    def engine(self) -> Engine:
        """The host's engine, or Pickup's own; made when a process first needs it.

        :raises sqlalchemy.exc.SQLAlchemyError: if the host gives none that Pickup can write to. To a call that is a
            database that does not answer.
        """
        return self.engines()

    def _time(self) -> float:
        # Looked up each time, because tests replace the clock.
        return self.clock()

    @property
    def now(self) -> datetime:
        """The time by the clock, aware."""
        return datetime.fromtimestamp(self.clock(), UTC)

    @property
    def default_platform(self) -> Platform:
        """The platform for which a call without one is made up."""
        return self.platforms.get(DEFAULT) or next(iter(self.platforms.values()))

    def receive(self, platform: str) -> Response:
        """Answer one request of a platform; whatever is wrong with it is said as JSON."""
        try:
            with self.ledger.announce():
                return self._answer(request, self.platforms[platform])
        except BadWebhook as refusal:
            self.activity[platform].refuse(str(refusal.code), self.now)
            response, theirs = self._refuse(refusal), self.platforms[platform]
            if isinstance(refusal, BodyTooLarge) and theirs.acknowledges_large_bodies:
                discard_body(request)
                return json_response(theirs.default())
            return response
        except Exception as error:  # noqa: BLE001 (the last net)
            self._log_own_fault(error)
            # Nothing was recorded, so the platform may send it again.
            return json_response({"detail": "This could not be answered; the server's log says where."}, 500)

    def health(self) -> Response:
        """Answer whether calls can be answered, and what an operator wants to know of this process."""
        if request.method not in {"GET", "HEAD"}:
            return self._refuse(WrongMethod("GET", "HEAD"))
        return json_response(self.facts())

    def facts(self) -> Mapping[str, Any]:
        """Return what an operator wants to know of this process."""
        ledger, lookups, content = self.ledger.health(), set(self.lookups.values()), self.catalog.problems
        well = ledger["database"] == "ok" and not any(content.values())
        return {
            "status": "ok" if well and not any(lookup.skipped for lookup in lookups) else "degraded",
            **ledger,
            "calls": dict(self.decisions),
            "refused": dict(sum((activity.refused for activity in self.activity.values()), Counter())),
            "platforms": {name: activity.as_json() for name, activity in self.activity.items()},
            "unread": dict(self.metrics.unread),
            "own_faults": self.faults,
            "signals": {"dropped": self.signals.dropped},
            "customer": {
                "skipped": any(lookup.skipped for lookup in lookups),
                "faults": sum(lookup.faults for lookup in lookups),
            },
            "content": content,
        }

    def _answer(self, incoming: Request, platform: Platform) -> Response:
        # Read before anything is refused: a body left on the connection would be taken for the next request.
        delivery = Delivery(incoming.headers, read_body(incoming, self.options.max_body))
        if incoming.method != "POST":
            raise WrongMethod("POST")
        delivery = replace(delivery, signed_at=platform.verify(delivery))
        if incoming.headers.get("Content-Encoding", "").strip().lower() not in {"", "identity"}:
            raise UnsupportedBody("The body must not be compressed.", "Content-Encoding")
        try:
            event = platform.parse(delivery)
        except UnreadableCall as error:
            # A refusal would end the call on some platforms.
            self.activity[platform.name].refuse("unreadable call", self.now)
            log.warning("A call is unreadable and gets the default of %s: %s", platform.name, error.detail)
            return json_response(platform.default())
        return self._dispatch(event, delivery, platform)

    def _dispatch(self, event: Event, delivery: Delivery, platform: Platform) -> Response:
        self.metrics.count_unread(event.unread)
        at = self.now if delivery.signed_at is None else datetime.fromtimestamp(delivery.signed_at, UTC)
        call = partial(call_of, event, delivery, at, platform.name, self.catalog, self.options)
        # A rehearsal does not show that the platform calls.
        activity = Activity() if event.call_id.startswith(REHEARSAL) else self.activity[platform.name]
        if isinstance(event, IncomingCall):
            activity.last_request = self.now
            return self._answer_or_fall_back(call, platform)
        if isinstance(event, CallEnded):
            activity.last_report = self.now
            returned = Metadata.read(event.metadata)
            entry, unread = reports.report_entry(event, call(returned, self.ledger.recorded_id), returned, self.reading)
            self._keep(entry, platform)
            self.metrics.count_unread(unread)
            names = {name: entry.call[name] for name in ("call_id", "caller_key", "end_reason")}
            self.signals.send(reported, **names, outcomes=dict(entry.outcomes or {}))
        elif isinstance(event, StatusChanged) and event.has_ended:
            self._keep(reports.status_entry(event, call(None, self.ledger.recorded_id)), platform)
        return json_response(self.handlers.answer(event, platform))

    def _answer_or_fall_back(self, call: Callable[[], CallFacts], platform: Platform) -> Response:
        """Answer a call; a fault of our own must not cost a caller the call."""
        try:
            return json_response(self._decide(call(), platform).written(platform))
        except Exception as error:  # noqa: BLE001
            self._log_own_fault(error)
            self.decisions["fallback"] += 1
            return json_response(platform.default())

    def _decide(self, call: CallFacts, platform: Platform) -> Decision:
        started = perf_counter()
        waits = self.waits[platform.name]
        customer = self.lookups[platform.name](call.caller)
        decision = decide(self.catalog, platform, call, customer)
        try:
            recorded = self.ledger.record(call_entry(call, decision, self.now), waits)
        except NotRecorded:
            # Only an arm needs a row. A caller who is turned away outside the hours, or hears a winner, still is or does.
            if decision.assignments:
                base = decide(self.catalog, platform, call, customer, Recorded("fallback", ()))
                decision = replace(base, reasons=decision.reasons)
        else:
            if recorded and (recorded.kind, recorded.assignments) != (decision.kind, decision.assignments):
                decision = decide(self.catalog, platform, call, customer, recorded)
            if recorded is None and decision.assignments:
                names = {"call_id": call.id, "caller_key": call.caller.key}
                self.signals.send(assigned, **names, assignments=decision.assignments)
        self._report_decision(call, decision, perf_counter() - started)
        return decision

    def _report_decision(self, call: CallFacts, decision: Decision, seconds: float) -> None:
        """Tell the counters, the log and the signals' receivers of a decision."""
        for what in decision.reasons.get(FAULTS, ()):
            self.emit_fault("customer" if what.startswith("customer:") else "content", what)
        self.decisions[decision.kind] += 1
        self.metrics.call(decision.kind, seconds, decision.assignments)
        facts = {
            "call": call.id,
            "caller": call.caller.short_key,
            "decision": decision.kind,
            "arms": {assigned.experiment: assigned.arm for assigned in decision.assignments},
            "milliseconds": round(1000 * seconds, 1),
        }
        log.info(
            "Call %(call)r, caller %(caller)s: %(decision)s in %(milliseconds).0f ms.", facts, extra={"pickup": facts}
        )

    def emit_fault(self, kind: str, what: str) -> None:
        """Emit the fault signal. Never blocks or raises."""
        self.metrics.fault(kind)
        self.signals.send(fault, kind=kind, what=what)

    def show_metrics(self) -> Response:
        """Serve Prometheus metrics; 404 without the token."""
        self.metrics.waiting(self.ledger.waiting)
        return self.metrics.answer(request) or json_response({"detail": "There is nothing here."}, 404)

    def _keep(self, entry: ReportEntry, platform: Platform) -> None:
        try:
            self.ledger.record(entry, self.waits[platform.name])
        except NotRecorded as error:
            # The only honest answer to a report that no disk has: the platform may send it again.
            raise Unavailable("The report could not be recorded; send it again.") from error

    def _log_own_fault(self, error: Exception) -> None:
        self.faults += 1
        self.emit_fault("own", type(error).__name__)
        log.critical("A fault of Pickup's own: %s in %s. Please report it.", type(error).__name__, place_of(error))

    def _refuse(self, refusal: BadWebhook) -> Response:
        reason = refusal.reason if isinstance(refusal, BadSignature) else refusal.detail
        log.warning("Refused a request with %s: %s", refusal.code, reason)
        body = {"detail": refusal.detail, **({"field": refusal.field} if refusal.field else {})}
        response = json_response(body, refusal.code)
        if isinstance(refusal, WrongMethod):
            response.headers["Allow"] = ", ".join(refusal.allowed)
        return response


def call_entry(call: CallFacts, decision: Decision, at: datetime) -> CallEntry:
    """Return the rows of a call that was decided ``at`` a moment."""
    row = reports.call_row(
        call,
        line=call.line.number,
        call_type=call.type,
        country=call.caller.country,
        language=decision.language,
        decided_at=at,
        decision=decision.kind,
        reasons=dict(decision.reasons),
    )
    delivered = False if decision.kind == "fallback" else None
    shared = {"call_id": call.id, "caller_key": call.caller.key, "assigned_at": at, "delivered": delivered}
    return CallEntry(row, reports.assignment_rows(decision.assignments, **shared), requested_at=call.at)


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
