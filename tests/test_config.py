"""Settings come from one table, and the documentation shows all of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lineage.config import InvalidSetting, Settings, table

DOCS = Path(__file__).parent.parent / "docs" / "settings.md"


def test_without_anything_given_every_setting_has_its_default() -> None:
    """An empty environment gives the defaults of the table."""
    settings = Settings.from_env({})
    assert {row.name: getattr(settings, row.name) for row in table()} == {
        row.name: row.default for row in table()
    }


def test_an_option_beats_the_environment_which_beats_the_default() -> None:
    """The first place that gives a setting decides; None is not given."""
    environ = {"LINEAGE_PORT": "9000", "LINEAGE_HOST": "::1", "PATH": "/bin"}
    settings = Settings.from_env(environ, port=9001, host=None)
    assert (settings.port, settings.host, settings.store) == (9001, "::1", "lineage.db")


def test_an_unknown_variable_is_refused_with_the_nearest_known_one() -> None:
    """A typing error does not pass for a default."""
    with pytest.raises(InvalidSetting, match=r"LINEAGE_STROE.*did you mean LINEAGE_STORE\?"):
        Settings.from_env({"LINEAGE_STROE": "x.db"})


def test_variables_kubernetes_makes_of_a_service_are_not_ours() -> None:
    """A Service named `lineage` sets LINEAGE_PORT=tcp://… in every pod beside it."""
    environ = {
        "LINEAGE_PORT": "tcp://10.0.0.7:8080",
        "LINEAGE_PORT_8080_TCP": "tcp://10.0.0.7:8080",
        "LINEAGE_PORT_8080_TCP_ADDR": "10.0.0.7",
        "LINEAGE_SERVICE_HOST": "10.0.0.7",
        "LINEAGE_SERVICE_PORT_HTTP": "8080",
        "LINEAGE_STORE_SERVICE_HOST": "10.0.0.8",
        "LINEAGE_STORE_PORT": "tcp://10.0.0.8:8081",
    }
    assert Settings.from_env(environ) == Settings()


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("LINEAGE_MAX_BODY", "2MiB", 2 * 2**20),
        ("LINEAGE_MAX_BODY", "1000", 1000),
        ("LINEAGE_MAX_BATCH_BODY", "1 GiB", 2**30),
        ("LINEAGE_READ_ONLY", "Yes", True),
        ("LINEAGE_READ_ONLY", "0", False),
        ("LINEAGE_DRAW_TIMEOUT", "0.5", 0.5),
        ("LINEAGE_LOG_LEVEL", "DEBUG", "debug"),
    ],
)
def test_a_value_is_read_by_its_kind(variable: str, text: str, value: object) -> None:
    """Sizes have units, flags have words, times have fractions."""
    name = variable.removeprefix("LINEAGE_").lower()
    assert getattr(Settings.from_env({variable: text}), name) == value


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("LINEAGE_PORT", "70000"),
        ("LINEAGE_PORT", "http"),
        ("LINEAGE_MAX_BODY", "0"),
        ("LINEAGE_MAX_BODY", "4 MB"),
        ("LINEAGE_MAX_NODES", "-1"),
        ("LINEAGE_REQUEST_TIMEOUT", "nan"),
        ("LINEAGE_READ_ONLY", "maybe"),
        ("LINEAGE_LOG_LEVEL", "loud"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_variable(variable: str, text: str) -> None:
    """The error names the variable and what to write instead."""
    with pytest.raises(InvalidSetting, match=rf"\({variable}\) cannot be that: write"):
        Settings.from_env({variable: text})


def test_the_token_is_never_shown() -> None:
    """A representation ends up in logs."""
    assert "s3cret" not in repr(Settings.from_env({"LINEAGE_TOKEN": "s3cret"}))


def test_the_documentation_has_a_row_for_every_setting() -> None:
    """Variable, type and meaning in docs/settings.md are those of the table, in its order."""
    rows = re.findall(
        r"^\| `(LINEAGE_\w+)` \| (\w+) \| [^|]* \| ([^|]*) \|$", DOCS.read_text(), re.M
    )
    assert [(row.env, row.type, row.meaning) for row in table()] == rows
