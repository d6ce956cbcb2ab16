"""What `edgevid lint` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from edgevid.show import out

if TYPE_CHECKING:
    from edgevid.lint import Report

__all__ = ["facts", "reports"]


def reports(found: Sequence[Report]) -> None:
    """Each file with what is against it, the same of many nodes once."""
    console = out()
    for report in found:
        diagnosis = report.diagnosis
        title = f"[bold]{escape(str(report.path))}[/]: {escape(report.device)}, {escape(diagnosis.runtime)}"
        console.print(title, soft_wrap=True)
        alike = Counter((each.level, each.rule, each.reason) for each in diagnosis.diagnostics)
        for each in diagnosis.diagnostics:
            count = alike.pop((each.level, each.rule, each.reason), 0)
            if not count:
                continue
            color = "red" if each.level == "error" else "yellow"
            more = f" and {count - 1} more" if count > 1 else ""
            node = f"{each.node}{more}: " if each.node else ""
            console.print(
                f"  [{color}]{each.level}[/] {each.rule}: {escape(node + each.reason)}", soft_wrap=True
            )
            console.print(f"    what to do: {each.remedy}", markup=False, soft_wrap=True)
            console.print(f"    [dim]{escape(each.source)}[/]", soft_wrap=True)
        errors = len(diagnosis.errors)
        warnings = len(diagnosis.diagnostics) - errors
        console.print(f"  {_number(errors, 'error')}, {_number(warnings, 'warning')}")


def facts(found: Sequence[Report]) -> list[dict[str, Any]]:
    """The same as plain data, every node by itself."""
    return [
        {
            "path": str(report.path),
            "device": report.device,
            "runtime": report.diagnosis.runtime,
            "accepted": not report.diagnosis.errors,
            "diagnostics": [asdict(each) for each in report.diagnosis.diagnostics],
        }
        for report in found
    ]


def _number(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
