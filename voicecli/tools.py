"""Python functions that the model may call."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ToolSchema"]


@dataclass(frozen=True, slots=True)
class ToolSchema:
    """How a function is offered to the model; `parameters` is a JSON schema of an object, without `$ref`."""

    name: str
    description: str
    parameters: Mapping[str, Any]
