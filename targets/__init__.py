"""Runtimes, found by name: a new target is a new module here and nothing else changes.

A module (or folder) whose name does not begin with an underscore offers ``target()``, which
returns an object that fulfils `edgevid.contract.Target`.
"""

from __future__ import annotations

from edgevid.target_finder import find_target as find
from edgevid.target_finder import target_names as names

__all__ = ["find", "names"]
