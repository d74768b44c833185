"""The definitions of an experiment that calls were answered with, and what changed from one to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from sqlalchemy import Engine, RowMapping, select

from flask_pickup.catalog.layers import WHOLE, Range
from flask_pickup.dashboard.rows import PAGE
from flask_pickup.engines import STATEMENT_TIMEOUT, reading
from flask_pickup.models import Definition
from flask_pickup.translation import DASH, format_number, gettext

_Body = Mapping[str, Any]


def definition(engine: Engine, fingerprint: str) -> RowMapping | None:
    """Return a definition of an experiment."""
    query = select(Definition.__table__).where(Definition.fingerprint == fingerprint)
    with reading(engine, STATEMENT_TIMEOUT) as connection:
        return connection.execute(query).mappings().first()


def definitions(engine: Engine, experiment: str) -> Sequence[RowMapping]:
    """Return the definitions of an experiment, the latest first."""
    query = select(Definition.__table__).where(Definition.experiment == experiment)
    with reading(engine, STATEMENT_TIMEOUT) as connection:
        return connection.execute(query.order_by(Definition.first_seen_at.desc()).limit(PAGE)).mappings().all()


def definition_changes(bodies: Sequence[_Body]) -> list[list[str]]:
    """Return what changed with each definition, the latest first; nothing with the first of all."""
    return [*(_changes(old, new) for new, old in pairwise(bodies)), []]


def setting_values(body: _Body) -> dict[str, Any]:
    """Return the settings of a definition that have a short value, by their names on a page."""
    traffic = body.get("traffic")
    weights = {gettext("weight of %(arm)s", arm=arm): weight for arm, weight in (body.get("arms") or {}).items()}
    return {
        **weights,
        gettext("status"): body.get("status"),
        gettext("audience"): body.get("audience"),
        gettext("share of the audience that is enrolled"): traffic and format_number(traffic, "0.## %"),
        gettext("layer"): body.get("layer"),
        gettext("range of the layer"): body.get("layer") and str(Range.of(body.get("layer_range")) or WHOLE),
        gettext("callers without a number"): body.get("unidentified"),
        gettext("seed"): body.get("seed"),
        gettext("primary metric"): body.get("primary"),
        gettext("winner"): body.get("winner"),
    }


def _long_values(body: _Body) -> dict[str, Any]:
    """Return the other settings by their names; of these a page says only that they changed."""
    texts = {
        gettext("words of %(file)s", file=f"{arm}/{name}"): text
        for arm, files in (body.get("files") or {}).items()
        for name, text in files.items()
    }
    metrics = {gettext("metric %(name)s", name=name): value for name, value in (body.get("metrics") or {}).items()}
    return {
        **texts,
        **metrics,
        gettext("rule of decision"): body.get("decision"),
        gettext("pinned numbers"): body.get("pins"),
        gettext("the callers' pseudonyms (another caller secret)"): body.get("callers"),
        gettext("description"): body.get("description"),
    }


def _changes(old: _Body, new: _Body) -> list[str]:
    before, after = setting_values(old), setting_values(new)
    values = [f"{name}: {before.get(name) or DASH} → {after.get(name) or DASH}" for name in _changed(before, after)]
    return values + _changed(_long_values(old), _long_values(new))


def _changed(before: _Body, after: _Body) -> list[str]:
    return [name for name in {**before, **after} if before.get(name) != after.get(name)]
