"""Options: config keys of the host's app, checked when it starts."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import phonenumbers
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from flask_pickup.errors import ConfigurationError
from flask_pickup.models import DATABASES

PREFIX = "PICKUP_"
SHORTEST_TOKEN = 22
"""Characters of an alphabet of 64 that hold 128 bits."""


@dataclass(frozen=True)
class Options:
    """The options of one mounted Pickup. Times are in seconds, sizes in bytes; ``docs/config.md`` explains each."""

    experiments: Path
    greetings: Path
    webhook_secrets: Sequence[str] = field(repr=False)
    allow_unsigned: bool
    caller_secrets: Sequence[str] = field(repr=False)
    database_url: str = field(repr=False)
    region: str
    signature_tolerance: float
    max_body: int
    customer_wait: float
    commit_wait: float
    spool: Path
    transcripts: bool
    retention: float | None
    dashboard_token: str | None = field(repr=False)
    metrics_token: str | None = field(repr=False)

    @property
    def caller_secret(self) -> str:
        """The secret in use; the others are known to ``forget`` alone."""
        return self.caller_secrets[0]


NAMES = frozenset(each.name for each in fields(Options)) - {"webhook_secrets", "caller_secrets"} | {
    *("webhook_secret", "caller_secret")
}
"""The options' names: a config key in upper case behind ``PICKUP_``, or an argument of ``Pickup``."""


def read_options(config: Mapping[str, Any], arguments: Mapping[str, Any], *, root: str, instance: str) -> Options:
    """Return the options of an app. A config key wins over an argument, which wins over the default.

    :param root: the app's root path; the content folders are relative to it.
    :param instance: the app's instance path, the default place of SQLite's file and the spool.
    :raises ConfigurationError: if an option is missing or invalid.
    """
    read = _Reader(config, arguments)
    allow_unsigned = read.boolean("allow_unsigned", default=False)
    return Options(
        experiments=Path(root, read.get("experiments", "experiments")),
        greetings=Path(root, read.get("greetings", "greetings")),
        webhook_secrets=read.secrets("webhook_secret", "the webhook_secret of your agent", needed=not allow_unsigned),
        allow_unsigned=allow_unsigned,
        caller_secrets=read.secrets("caller_secret", "a long random text that never changes", needed=True),
        database_url=read_database_url(config, arguments, instance=instance),
        region=read.region("NL"),
        signature_tolerance=read.number("signature_tolerance", 300),
        max_body=int(read.number("max_body", 1024 * 1024)),
        customer_wait=read.number("customer_wait", 1.5),
        commit_wait=read.number("commit_wait", 1),
        spool=Path(root, read.get("spool", Path(instance, "spool"))),
        transcripts=read.boolean("transcripts", default=False),
        retention=None if read.get("retention") is None else read.number("retention", 0),
        dashboard_token=read.token("dashboard_token"),
        metrics_token=read.token("metrics_token"),
    )


def read_database_url(
    config: Mapping[str, Any], arguments: Mapping[str, Any] | None = None, *, instance: str | os.PathLike[str]
) -> str:
    """Return the URL of the database that an app with these options uses.

    :raises ConfigurationError: if it is invalid, or its driver is not installed.
    """
    given = _Reader(config, arguments or {}).get("database_url", f"sqlite:///{Path(instance, 'pickup.db')}")
    # The URL can hold a password: no message repeats it, and the parser's own exception, which does, is not its cause.
    with suppress(ArgumentError, ValueError):
        url = make_url(given)
        if url.drivername in {"postgres", "postgresql"}:
            url = url.set(drivername="postgresql+psycopg")
        _check_driver(url)
        return url.render_as_string(hide_password=False)
    raise _invalid("database_url", "is not an SQLAlchemy URL; set one such as 'sqlite:////var/lib/pickup.db'.")


def _check_driver(url: URL) -> None:
    """Raise ``ConfigurationError`` at start, instead of failing on the first call."""
    if url.get_backend_name() not in DATABASES:
        raise _invalid("database_url", f"names {url.get_backend_name()!r}; Pickup knows SQLite and PostgreSQL.")
    try:
        dialect = url.get_dialect()
        dialect.import_dbapi()
    except (ImportError, NoSuchModuleError) as error:
        remedy = "For PostgreSQL: pip install 'Flask-Pickup[postgresql]'."
        raise _invalid("database_url", f"needs {url.drivername!r}, which is not installed. {remedy}") from error
    if dialect.is_async:
        raise _invalid("database_url", f"names {url.drivername!r}, which is asynchronous; leave the driver out.")


class _Reader:
    """Reads one option at a time, and refuses invalid values."""

    def __init__(self, config: Mapping[str, Any], arguments: Mapping[str, Any]) -> None:
        self._config = config
        self._arguments = arguments

    def get(self, name: str, default: Any = None) -> Any:
        given = (self._config.get(_key(name)), self._arguments.get(name), default)
        return next((value for value in given if value is not None and value != ""), None)

    def number(self, name: str, default: float) -> float:
        value = self.get(name, default)
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = -1
        if not 0 < number < float("inf"):
            raise _invalid(name, f"is {value!r}; set a number above 0.")
        return number

    def boolean(self, name: str, *, default: bool) -> bool:
        value = str(self.get(name, default)).lower()
        if value not in {"true", "1", "yes", "on", "false", "0", "no", "off"}:
            raise _invalid(name, f"is {value!r}; set true or false.")
        return value in {"true", "1", "yes", "on"}

    def secrets(self, name: str, what: str, *, needed: bool) -> tuple[str, ...]:
        # Not get(): an empty secret is an error, because it would verify everybody's requests.
        given = (self._config.get(_key(name)), self._arguments.get(name))
        value = next((each for each in given if each is not None), None)
        if value is None and not needed:
            return ()
        if value is None:
            raise _invalid(name, f"is not set. Set it to {what}.")
        found = value.split(",") if isinstance(value, str) else value
        if not isinstance(found, list | tuple) or not all(isinstance(part, str) for part in found):
            raise _invalid(name, f"is neither a text nor a list of texts. Set it to {what}.")
        if not found or not all(part.strip() for part in found):
            raise _invalid(name, f"contains an empty secret. Set it to {what}.")
        return tuple(part.strip() for part in found)

    def token(self, name: str) -> str | None:
        value = self.get(name)
        if value is not None and len(str(value)) < SHORTEST_TOKEN:
            raise _invalid(name, f"is too short to be a secret; set {SHORTEST_TOKEN} random characters or more.")
        return None if value is None else str(value)

    def region(self, default: str) -> str:
        value = str(self.get("region", default)).upper()
        if value not in phonenumbers.SUPPORTED_REGIONS:
            raise _invalid("region", f"is {value!r}; set a country's two letters, such as 'NL'.")
        return value


def _invalid(name: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"'{_key(name)}' {why}")


def _key(name: str) -> str:
    return PREFIX + name.upper()
