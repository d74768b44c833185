"""Days, times and names as a page's language writes them."""

from __future__ import annotations

from datetime import date, datetime

from babel.support import Format

from flask_pickup.translation import DASH


class PageFormat(Format):
    """Babel's formats, in the reader's language and the business's time zone. A missing value is a dash."""

    def moment(self, at: datetime | str | None) -> str:
        """Return day and time, also of a moment in ISO 8601."""
        return self._moment(at, "d MMM y HH:mm:ss")

    def day(self, at: datetime | str | None) -> str:
        """Return the day, also of a moment or a day in ISO 8601."""
        if isinstance(at, str) and len(at) == len("2026-01-01"):
            return self.date(date.fromisoformat(at), "d MMM y")
        return self._moment(at, "d MMM y")

    def country(self, code: str | None) -> str:
        """Return a country's name."""
        return self.locale.territories.get(code, code) if code else DASH

    def language(self, code: str | None) -> str:
        """Return a language's name."""
        return self.locale.languages.get(code, code) if code else DASH

    def _moment(self, at: datetime | str | None, pattern: str) -> str:
        if at is None:
            return DASH
        return self.datetime(datetime.fromisoformat(at) if isinstance(at, str) else at, pattern)
