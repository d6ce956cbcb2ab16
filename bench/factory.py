"""How a fresh process learns what to measure: a function's name and its arguments."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue, model_validator

from edgevid.bench.protocol import Comparison
from edgevid.errors import ConfigError

__all__ = ["Factory"]


class Factory(BaseModel):
    """A function that opens what is to be measured, named so that another process can call it.

    The function takes ``arguments`` by keyword and returns a context manager over a `Comparison`; leaving it
    closes what was opened.

    Attributes:
        target: ``package.module:function``.
        arguments: for the function; JSON values only.

    Raises:
        ConfigError: ``target`` is not of that form, or an argument is not JSON.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str
    arguments: dict[str, Any] = {}

    @model_validator(mode="after")
    def _transportable(self) -> Factory:
        module, _, function = self.target.partition(":")
        if not module or not function.isidentifier():
            raise ConfigError(
                "the factory is not named as module:function",
                where=self.target,
                fix="name a function at the top level of an importable module",
            )
        try:
            json.dumps(self.arguments)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"an argument of the factory is not JSON: {error}",
                where=self.target,
                fix="pass paths as text, and open what cannot be written down inside the function",
            ) from error
        return self

    def open(self) -> AbstractContextManager[Comparison]:
        """Call the function.

        Raises:
            ConfigError: there is no such module or function.
        """
        module, _, function = self.target.partition(":")
        try:
            opener = getattr(import_module(module), function)
        except (ModuleNotFoundError, AttributeError) as error:
            raise ConfigError(
                f"the factory cannot be found: {error}",
                where=self.target,
                fix="check its name, and that its module can be imported from here",
            ) from error
        opened: AbstractContextManager[Comparison] = opener(**self.arguments)
        return opened

    def job(self) -> dict[str, JsonValue]:
        """This factory as JSON."""
        return {"target": self.target, "arguments": self.arguments}
