"""Which network for a device: presets by measured latency and published accuracy, and the papers' tables.

`rank` orders what `Reader` finds in results; `measure_missing` and `measure_table` measure what is not there.
"""

from edgevid.suggest.known import Measurement, Reader
from edgevid.suggest.missing import measure_missing
from edgevid.suggest.ranking import Limits, Suggestion, rank
from edgevid.suggest.table_run import TableRequest, chosen_rows, measure_table

__all__ = [
    "Limits",
    "Measurement",
    "Reader",
    "Suggestion",
    "TableRequest",
    "chosen_rows",
    "measure_missing",
    "measure_table",
    "rank",
]
