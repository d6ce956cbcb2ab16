"""Recognize videos with a bundle: find, read ahead, run, average, rank, count."""

from __future__ import annotations

from edgevid.recognition.items import find_items
from edgevid.recognition.outcomes import Answer, Failure, Recognition
from edgevid.recognition.pipeline import recognize
from edgevid.recognition.summary import Summary
from edgevid.scores import scores

__all__ = ["Answer", "Failure", "Recognition", "Summary", "find_items", "recognize", "scores"]
