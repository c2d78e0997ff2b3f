"""The public surface: what may be imported is a list, and the list is true."""

from __future__ import annotations

import importlib

import pytest

SURFACE = {
    "lineage": [
        "Action", "Client", "Code", "Controller", "LineageError", "Reference", "Settings",
        "Trigger", "__version__",
    ],
    "controllers_hooks": [
        "Act", "Artifact", "Code", "Config", "Dataset", "Deployment", "Hook", "Image", "Metrics",
        "Model", "Notebook", "PullRequest",
    ],
}  # fmt: skip


@pytest.mark.parametrize("package", SURFACE)
def test_the_public_surface_is_the_list(package: str) -> None:
    """Nothing enters or leaves the surface unnoticed, and every name on it exists."""
    module = importlib.import_module(package)
    assert module.__all__ == SURFACE[package]
    assert all(getattr(module, name) is not None for name in module.__all__)
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("package", SURFACE)
def test_the_surface_is_sorted(package: str) -> None:
    """Sorted, so that two changes do not meet on one line."""
    assert sorted(SURFACE[package]) == SURFACE[package]


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    """Loading on first use does not hide a typing error."""
    with pytest.raises(AttributeError, match="Acton"):
        importlib.import_module("lineage").Acton  # noqa: B018
