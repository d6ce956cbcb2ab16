"""The base of every part of a configuration: immutable, without unknown fields, with one kind of error."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, ValidationError, model_validator
from typing_extensions import Self

from edgevid.errors import ConfigError

__all__ = ["Frozen"]


class Frozen(BaseModel):
    """Plain data that cannot be changed and is hashable; written to a manifest as JSON.

    Raises:
        ConfigError: fields are unknown or out of range; all of them are named.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="wrap")
    @classmethod
    def _explain(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Turn pydantic's report into one `ConfigError` that names every field at fault."""
        try:
            return handler(data)
        except ValidationError as error:
            faults = [
                f"{'.'.join(map(str, fault['loc'])) or cls.__name__}: {fault['msg']}"
                for fault in error.errors(include_url=False, include_context=False)
            ]
            known = ", ".join(cls.model_fields)
            raise ConfigError("; ".join(faults), where=cls.__name__, fix=f"the fields are {known}") from error
