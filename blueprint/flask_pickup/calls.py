"""The facts of a call, computed once from an event and passed on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from flask_pickup import caller
from flask_pickup.caller import Caller
from flask_pickup.catalog import Catalog, Line
from flask_pickup.metadata import Metadata
from flask_pickup.options import Options
from flask_pickup.phone_numbers import e164, read_number
from flask_pickup.platforms import Delivery, Event


@dataclass(frozen=True, slots=True)
class CallFacts:
    """A call, as templates see it too.

    :param id: the platform's; a pseudonym if that holds the caller's number.
    :param platform: the platform's name.
    :param type: the platform's word, such as ``inbound_phone_call``.
    :param at: the time that the platform signed, aware.
    :param platform_call_id: the platform's own id, where ``id`` is Pickup's or the carrier's.
    :param is_named_here: whether the request had no id, so that only our metadata tells the report's call.
    """

    id: str
    platform: str
    type: str | None
    caller: Caller
    line: Line
    at: datetime
    platform_call_id: str | None = None
    is_named_here: bool = False


def call_of(  # noqa: PLR0913, PLR0917 (all that the facts follow from)
    event: Event,
    delivery: Delivery,
    at: datetime,
    platform: str,
    catalog: Catalog,
    options: Options,
    returned: Metadata | None = None,
    recorded_id: Callable[[str, str], str | None] | None = None,
) -> CallFacts:
    """Return the facts of the call that an event is about.

    :param returned: our metadata as a report brought it back; its call id is the one that we gave the call.
    :param recorded_id: returns the first of two ids that the tables have; ``None`` for a request, whose call is new.
    """
    # A line may have a short number or a SIP name.
    line = catalog.line(e164(event.line_number, options.region) or event.line_number, event.line_name)
    who = caller.identify(
        event.caller_number,
        own=(line.number, *catalog.settings.lines),
        region=options.region,
        secret=options.caller_secret,
        languages=catalog.languages_on(line),
    )
    id_of = partial(_id_of, number=event.caller_number, options=options, recorded_id=recorded_id)
    given = event.call_id.replace("\0", "")
    theirs = id_of(event.platform_call_id.replace("\0", "")) if event.platform_call_id else None
    is_named_here = returned is None and not (given or theirs)
    if returned is not None:
        call_id = returned.call_id
    elif is_named_here:
        signed_at, has_time = delivery.signed_at, event.timestamp is not None
        call_id = caller.new_call_id(options.caller_secret, platform, delivery.body, signed_at, has_time=has_time)
    else:
        # A report without our metadata is of a call that our answer missed.
        call_id = id_of(given) if given else theirs or ""
    return CallFacts(call_id, platform, event.call_type, who, line, at, theirs, is_named_here)


def _id_of(
    call_id: str, number: str | None, options: Options, recorded_id: Callable[[str, str], str | None] | None
) -> str:
    """Return the id of a call's row, which is the pseudonym if the platform's id holds the caller's number."""
    pseudonym = partial(caller.pseudonymous_call_id, options.caller_secret, call_id)
    # The call's request may have brought another number than its report, or none.
    if recorded_id and caller.could_be_of_number(call_id) and (found := recorded_id(call_id, pseudonym())):
        return found
    digits = read_number(number, options.region).digits
    is_held = caller.holds_digits(call_id, digits) if digits else caller.holds_number(call_id, options.region)
    return pseudonym() if is_held else call_id
