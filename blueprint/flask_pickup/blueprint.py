"""``Pickup``, the Blueprint that a host mounts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from os import PathLike
from time import time
from typing import Any, TypeVar, Unpack

from flask import Blueprint, Flask, Response, current_app
from flask.blueprints import BlueprintSetupState

from flask_pickup import caller, outcomes
from flask_pickup.catalog import Line
from flask_pickup.customer import Hook
from flask_pickup.dashboard import Access, Frame, routes
from flask_pickup.dashboard.access import AccessCheck
from flask_pickup.dashboard.plan import COUNTED, counted
from flask_pickup.engines import EngineSource
from flask_pickup.errors import ConfigurationError
from flask_pickup.handlers import Handler, Handlers
from flask_pickup.options import OPTION_NAMES, ConfigReader, PickupOptions
from flask_pickup.platforms import CallEnded, StatusChanged, ToolCalls, endpoint_of
from flask_pickup.processes import refuse_greenlets
from flask_pickup.results import assembling
from flask_pickup.results.details import details_of
from flask_pickup.results.model import Results
from flask_pickup.results.snapshots import LEASE, Snapshots
from flask_pickup.webhook import Webhook

log = logging.getLogger("flask_pickup")

EXTENSION = "pickup"
EVENTS = tuple(event.name for event in (ToolCalls, StatusChanged, CallEnded))

SomeHook = TypeVar("SomeHook", bound=Hook)
SomeHandler = TypeVar("SomeHandler", bound=Handler)
SomeCheck = TypeVar("SomeCheck", bound=AccessCheck)


class State(Webhook):
    """What one app keeps of its Pickup, as ``app.extensions["pickup"]``.

    :param name: the full name of the mounted blueprint.
    """

    def __init__(self, app: Flask, config: ConfigReader, name: str, **parts: Any) -> None:
        super().__init__(app, config, **parts)
        self.endpoints = {each: f"{name}.{endpoint_of(each)}" for each in self.platforms}
        self.snapshots = Snapshots(self.engines, self._snapshot, lambda: self.now)

    def results(self, experiment: str, **options: Any) -> Results:
        """Return what is known of an experiment; see :meth:`Pickup.results`."""
        with self.analysis(experiment, **options) as found:
            return found.results()

    def export(self, experiment: str, *, rehearsals: bool = False) -> Iterator[Sequence[object]]:
        """Yield the columns' names, then a row for each caller who counts in an experiment."""
        with self.analysis(experiment, rehearsals=rehearsals) as found:
            yield from found.callers()

    def _snapshot(self, name: str) -> Mapping[str, Any]:
        experiment = name.removeprefix(COUNTED)
        if experiment != name:
            return counted(self, experiment)
        with self.analysis(experiment, patience=LEASE.total_seconds()) as found:
            results, zone = found.results(), self.catalog.zone(Line(None))
            details = asdict(details_of(found, results.since, zone)) if results.since else None
        return {"results": results.as_data(), "details": details}

    def drop_results(self) -> None:
        """Delete the results that are kept for pages and commands, which compute them anew."""
        names = [each.name for each in self.catalog.experiments]
        self.snapshots.drop([*names, *(f"{COUNTED}{name}" for name in names)])

    def analysis(self, experiment: str, **options: Any) -> AbstractContextManager[assembling.Analysis]:
        """Give an experiment's rows as they are now."""
        days = self.options.retention
        purged = self.now - timedelta(days=days) if days else None
        asked = assembling.ResultOptions(now=self.now, purged_before=purged, **options)
        return assembling.analysis(self.engine, experiment, self._body(experiment), asked)

    def _body(self, experiment: str) -> Mapping[str, Any] | None:
        return next((each.body for each in self.catalog.experiments if each.name == experiment), None)

    def start(self) -> None:
        """Start the ledger's threads in this process, before the first call does, and see that the spool can be written."""
        self.ledger.start()

    def close(self) -> None:
        """Write what waits and end Pickup's threads, before this process ends; a later call starts them again."""
        if ledger := self.ledgers.take():
            ledger.close()
        self.signals.close()
        if self.has_own_engine and (engine := self.engines.take()):
            engine.dispose()


class PickupArguments(PickupOptions, total=False):
    """Pickup's options, and those of :class:`flask.Blueprint`."""

    static_folder: str | PathLike[str] | None
    static_url_path: str | None
    template_folder: str | PathLike[str] | None
    url_prefix: str | None
    subdomain: str | None
    url_defaults: dict[str, Any] | None
    root_path: str | None
    cli_group: str | None


class Pickup(Blueprint):
    """Answers a voice platform's webhook with the greeting of each caller's arm.

    ::

        pickup = Pickup()
        app.register_blueprint(pickup, url_prefix="/pickup")

    It keeps nothing of its own outside ``app.extensions["pickup"]``: several apps can mount the same one.

    :param engine: the host's SQLAlchemy engine, or a function that returns it, which is called once, inside the app's
        context, when the engine is first needed (``lambda: db.engine``); by default ``PICKUP_DATABASE_URL``'s.
    :param clock: gives the Unix time in seconds, to whatever asks for it.
    :param handlers_at_once: how many threads of a process may wait for handlers of :meth:`on` at a time; calls need the
        others. Two leave two of the four that ``gunicorn.conf.py`` sets.
    :param options: Pickup's options in lower case (``region="BE"``), over which a config key wins; all others are
        :class:`flask.Blueprint`'s.
    """

    def __init__(
        self,
        name: str = "pickup",
        import_name: str = __name__,
        *,
        engine: EngineSource | None = None,
        clock: Callable[[], float] = time,
        handlers_at_once: int = 2,
        **options: Unpack[PickupArguments],
    ) -> None:
        given: dict[str, Any] = {"template_folder": "templates", **options}
        self._arguments = {key: given.pop(key) for key in OPTION_NAMES & given.keys()}
        super().__init__(name, import_name, **given)
        self._engine = engine
        self._clock = clock
        self._handlers_at_once = handlers_at_once
        self._hook: Hook | None = None
        self._handlers: dict[str, Handler] = {}
        self._access_check: AccessCheck | None = None
        self.record(self._bind)

    def customer(self, hook: SomeHook) -> SomeHook:
        """Let ``hook`` look up who calls; what it returns is ``customer`` in every template.

        It gets the :class:`~flask_pickup.caller.Caller`, runs inside the app's context on a thread of Pickup's, and
        has ``PICKUP_CUSTOMER_WAIT`` seconds. It returns a mapping, a row, a mapped
        object or a dataclass, or None where nobody is known; whatever it raises costs the caller their name, never the
        greeting. What it returned is cleaned before a template sees it: see ``docs/customers.md``.
        """
        self._hook = hook
        return hook

    def dashboard_access(self, check: SomeCheck) -> SomeCheck:
        """Let ``check`` decide who sees the dashboard, in place of ``PICKUP_DASHBOARD_TOKEN``.

        It runs within the visitor's request. True lets them in; False and None answer 404; anything else that a view
        may return, such as a redirect to the login, is the answer.
        """
        self._access_check = check
        return check

    def on(self, event: str) -> Callable[[SomeHandler], SomeHandler]:
        """Let a function handle the platforms' other events, such as ``tool-calls``, under the same verification.

        It gets the frozen event, inside the request's context, on a thread of Pickup's, and has nine seconds. The
        mapping that it returns is the answer's body; None is an empty one. If it raises or takes longer, a tool's answer
        is an error without the exception's text, and any other event's is empty. The platform may send an event again.
        While ``handlers_at_once`` of them run, a tool call gets an error at once, and another event a 503.

        :raises ConfigurationError: if the event is Pickup's own to answer, is unknown, or has a handler already.
        """
        if event not in EVENTS:
            raise ConfigurationError(f"'{event}' cannot be handled here. There are {', '.join(EVENTS)}.")
        if event in self._handlers:
            raise ConfigurationError(f"'{event}' has a handler already. Call one from the other.")

        def keep(handler: SomeHandler) -> SomeHandler:
            self._handlers[event] = handler
            return handler

        return keep

    def record_outcome(
        self,
        name: str,
        value: float | Decimal,
        *,
        call_id: str | None = None,
        caller: str | None = None,
        at: datetime | None = None,
    ) -> None:
        """Record what came of a call in the host's own system: a sale, a visit. Call it inside the app's context.

        It is as durable as an assignment. Of several with one name for one call the one that happened latest stands; of
        two at one time, the one that is recorded later.

        :param name: a metric's ``outcome``; none of those that reports bring.
        :param value: a number; true and false are 1 and 0.
        :param call_id: the call's, as the platform gave it.
        :param caller: instead of it, the caller's number in any spelling: it belongs to their latest call before ``at``.
        :param at: when it happened, aware, and not in the future; now by default.
        :raises BadOutcome: if it cannot be recorded as it is.
        :raises NotRecorded: if neither the database nor the spool took it in time.
        """
        state = _current()
        now = state.now
        state.ledger.record(
            outcomes.entry(state.options, name, value, at or now, now=now, call_id=call_id, caller=caller)
        )

    def results(
        self, experiment: str, *, pool: bool = False, rehearsals: bool = False, platform: str | None = None
    ) -> Results:
        """Return what is known of an experiment: means, intervals, warnings and a verdict.

        Call it inside the app's context. It takes seconds over a million calls.

        :param pool: whether earlier periods of equal weights count too.
        :param rehearsals: whether rehearsed calls count.
        :param platform: the name of the one platform whose calls count; its results have no verdict.
        :raises UnknownExperiment: if neither the folders nor the tables have it.
        """
        return _current().results(experiment, pool=pool, rehearsals=rehearsals, platform=platform)

    def _bind(self, state: BlueprintSetupState) -> None:
        app = state.app
        assert isinstance(app, Flask)
        if EXTENSION in app.extensions:
            raise ConfigurationError(
                "This app has a Pickup already. Two businesses are two lines in settings.toml, or two apps."
            )
        refuse_greenlets()
        name = f"{state.name_prefix}.{state.name}".lstrip(".")
        mounted = app.extensions[EXTENSION] = State(
            app,
            ConfigReader(app.config, self._arguments),
            name,
            engine=self._engine,
            clock=self._clock,
            hook=self._in_context(app),
            handlers=Handlers(self._handlers, self._handlers_at_once),
        )
        for platform, endpoint in mounted.endpoints.items():
            path = endpoint.rpartition(".")[2]
            self._add_rule(state, f"/{path}", path, _receiver(platform))
        self._add_rule(state, "/health", "health", _health)
        state.add_url_rule("/metrics", "metrics", _metrics, methods=["GET"])
        access = Access(mounted.options.dashboard_token, self._access_check)
        for rule, endpoint, view, methods in routes(Frame(access, mounted, mounted.snapshots)):
            state.add_url_rule(rule, endpoint, view, methods=methods)

    def _add_rule(self, state: BlueprintSetupState, path: str, endpoint: str, view: Callable[..., Response]) -> None:
        """Add a rule for every method there is: a stranger's method is answered by Pickup too, in JSON."""
        state.add_url_rule(path, endpoint, view, provide_automatic_options=False)
        for rule in state.app.url_map.iter_rules(f"{state.name_prefix}.{state.name}.{endpoint}".lstrip(".")):
            rule.methods = None

    def _in_context(self, app: Flask) -> Hook | None:
        if self._hook is None:
            return None
        hook = self._hook

        def ask(who: caller.Caller) -> Any:
            with app.app_context():
                return app.ensure_sync(hook)(who)

        return ask


# A host's prefix or its url_defaults may bring values, which are the host's own.
def _receiver(platform: str) -> Callable[..., Response]:
    # A function, because extensions such as Flask-WTF read a view's name.
    def receive(**_: Any) -> Response:
        return _current().receive(platform)

    return receive


def _metrics(**_: Any) -> Response:
    return _current().show_metrics()


def _health(**_: Any) -> Response:
    return _current().health()


def _current() -> State:
    state: State = current_app.extensions[EXTENSION]
    return state
