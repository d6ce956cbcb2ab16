"""A share of the channels as an exact fraction, as configurations hold it."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import core_schema

from edgevid.errors import ConfigError

__all__ = ["Proportion"]


class _Exact:
    """Teaches pydantic a `Fraction` that is read from 1/4, 0.25 or "1/4" and written as 1/4."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.is_instance_schema(Fraction)


def _fraction(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Fraction)):
        raise ConfigError(f"the proportion is {value!r}, not a number", fix="give 0 to 1, such as 1/4")
    try:
        exact = Fraction(value).limit_denominator(10**6)
    except (ValueError, OverflowError, ZeroDivisionError) as error:
        raise ConfigError(
            f"the proportion is {value!r}, not a number", fix="give 0 to 1, such as 1/4"
        ) from error
    if not 0 <= exact <= 1:
        raise ConfigError(
            f"the proportion is {value}, outside 0 to 1",
            fix="give the share of all channels: a published shift_div of 8 is 1/4",
        )
    return exact


Proportion = Annotated[
    Fraction,
    _Exact,
    BeforeValidator(_fraction),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "examples": ["1/4"]}),
]
