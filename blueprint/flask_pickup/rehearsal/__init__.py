"""Calling a running server as the platform would, and as a stranger might.

It needs nothing of the server but its address and the secret.
"""

from flask_pickup.rehearsal.sending import Reply, StepResult, Unreachable, arms, explain, judge, play, ring, words_in
from flask_pickup.rehearsal.steps import CALLER, LINE, Expected, Step, all_steps, new_name, single

__all__ = [
    "CALLER",
    "LINE",
    "Expected",
    "Reply",
    "Step",
    "StepResult",
    "Unreachable",
    "all_steps",
    "arms",
    "explain",
    "judge",
    "new_name",
    "play",
    "ring",
    "single",
    "words_in",
]
