"""A result with what every part of the report asks of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from edgevid.bench.results import Result, VariantRecord
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

    @property
    def labels(self) -> list[str]:
        """Labels of the variants that were not simply measured, each once."""
        return sorted({variant.label for variant in self.result.variants} - {"measured"})

    @property
    def marks(self) -> str:
        """What has to stand beside a figure of all variants: ``[emulated] INVALID``, mostly nothing."""
        words = [f"[{label}]" for label in self.labels] + ([] if self.valid else ["INVALID"])
        return " ".join(words)
