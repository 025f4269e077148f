"""Adopt a root: survey what is there, plan, and do it beside the original."""

from snaproot.adoption.backends import survey
from snaproot.adoption.before import is_taken
from snaproot.adoption.execution import execute, findings
from snaproot.adoption.note import still_shared, unfinished, was_top_level
from snaproot.adoption.plan import plan
from snaproot.adoption.shape import AdoptionPlan

__all__ = [
    "AdoptionPlan",
    "execute",
    "findings",
    "is_taken",
    "plan",
    "still_shared",
    "survey",
    "unfinished",
    "was_top_level",
]
