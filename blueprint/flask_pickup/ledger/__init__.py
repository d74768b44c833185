"""Writing rows so that none is lost."""

from flask_pickup.ledger.entries import CallEntry, DefinitionEntry, OutcomeEntry, ReportEntry
from flask_pickup.ledger.ledger import Ledger

__all__ = ["CallEntry", "DefinitionEntry", "Ledger", "OutcomeEntry", "ReportEntry"]
