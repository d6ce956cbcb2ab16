"""What papers and releases published of the presets, as data: accuracies and efficiency tables.

Figures of work and size stand at the presets themselves, see `edgevid.models.registry`.
"""

from edgevid.papers.accuracy import ACCURACIES, Accuracy, accuracies_of
from edgevid.papers.efficiency import TABLES, PublishedRow, PublishedTable, find_table

__all__ = [
    "ACCURACIES",
    "TABLES",
    "Accuracy",
    "PublishedRow",
    "PublishedTable",
    "accuracies_of",
    "find_table",
]
