"""The pictures of the documentation: every page in both themes, and one that opens the README."""

from __future__ import annotations

import pytest

from benchmarks.screenshots import IMAGES, ROOT, pages

DESIGN = (ROOT / "docs" / "design.md").read_text("utf-8")


@pytest.mark.parametrize("name", pages())
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_has_its_picture(name: str, scheme: str) -> None:
    """`make screenshots` made it, and docs/design.md shows it."""
    file = IMAGES / f"{name}-{scheme}.png"
    assert file.read_bytes().startswith(b"\x89PNG"), "run make screenshots"
    assert f"(images/{file.name})" in DESIGN


def test_the_readme_opens_with_one() -> None:
    """Whoever comes sees what it is before the first section."""
    opening, _, _ = (ROOT / "README.md").read_text("utf-8").partition("\n## ")
    assert any(f"docs/images/{name}-" in opening for name in pages())
