"""Ringing a running server as the platform would, and as a stranger might.

It needs nothing of the server but its address and the secret.
"""

from flask_pickup.rehearsal.judging import Outcome, Reply, arms, explain, judge
from flask_pickup.rehearsal.repertoire import CALLER, LINE, Delivery, Expected, new_name, repertoire, single
from flask_pickup.rehearsal.sending import Unreachable, play, ring

__all__ = [
    "CALLER",
    "LINE",
    "Delivery",
    "Expected",
    "Outcome",
    "Reply",
    "Unreachable",
    "arms",
    "explain",
    "judge",
    "new_name",
    "play",
    "repertoire",
    "ring",
    "single",
]
