"""A result with what every part of the report asks of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from edgevid.bench.report.text import marks_of
from edgevid.bench.results import Label, Result, VariantRecord
from edgevid.bench.summary import VariantSummary, summarize

__all__ = ["Measured"]


@dataclass(frozen=True)
class Measured:
    """A result, and the name of the file it is from."""

    result: Result
    file: str

    @cached_property
    def summary(self) -> dict[str, VariantSummary]:
        """Figures by the name of the variant."""
        return {summary.name: summary for summary in summarize(self.result)}

    @property
    def candidates(self) -> list[VariantRecord]:
        """Every variant but the twin, the baseline first."""
        return [variant for variant in self.result.variants if variant.role != "twin"]

    @property
    def twin(self) -> VariantSummary:
        """The baseline against itself: what differs less than this cannot be told apart."""
        return self.summary[self.result.variants[1].name]

    @property
    def valid(self) -> bool:
        """May the figures be trusted?"""
        return self.result.verdict.valid

    def label_of(self, name: str) -> Label:
        """Of the variant of this name."""
        return next(variant.label for variant in self.result.variants if variant.name == name)

    @property
    def marks(self) -> str:
        """What has to stand beside all of its figures, as ``[emulated] INVALID``; mostly nothing."""
        labels = {variant.label for variant in self.result.variants}
        words = marks_of(labels.pop()) if len(labels) == 1 else ()
        return " ".join(words if self.valid else (*words, "INVALID"))
