"""Lineage for independent controllers: who made what from what, without a DAG.

Names are loaded on first use, so importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lineage.client import Client
    from lineage.config import Settings
    from lineage.errors import LineageError
    from lineage.model import Action, Code, Controller, Reference, Trigger

__version__ = "0.1.0"

_HOME = {
    "Action": "lineage.model",
    "Client": "lineage.client",
    "Code": "lineage.model",
    "Controller": "lineage.model",
    "LineageError": "lineage.errors",
    "Reference": "lineage.model",
    "Settings": "lineage.config",
    "Trigger": "lineage.model",
}

__all__ = [
    "Action",
    "Client",
    "Code",
    "Controller",
    "LineageError",
    "Reference",
    "Settings",
    "Trigger",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'lineage' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
