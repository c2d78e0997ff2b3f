"""Texts that try to be SQL, in every way we know, and records that hold nothing else.

ml-metadata on PostgreSQL puts text with a backslash behind a literal `'E'` of its own making, as
bare SQL (`lineage.store.literal`): so each text closes whatever it may stand in, says
something that would be seen afterwards, and hides the rest, with a backslash somewhere.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

CLOSERS = (
    "", ";", ")", "))", "'", "\\'", "\\\\'", "''", "');", "\\');", " ", ", 0)", ", 0, 0)",
    ", NULL, 0, 0)", ", NULL, 0, 0, 0)", ", NULL, NULL, 0, 0)", ", NULL, NULL, NULL, 0, 0)",
    ", '', NULL, 0, 0, 0)", " OR 1=1", " OR ''=''", "$$", "$x$", "*/", "\n", "\"", "`", "U&'\\0027'",
    "\\x27", "\\u0027", "\\047", "%27", "%5C'", "＇", "ʼ", "⧵'", "⧹'", "⧹⧵'", "E'\\'",
)  # fmt: skip
STATEMENTS = (
    "CREATE TABLE {}(i int)", "CREATE VIEW {} AS SELECT 1", "CREATE SEQUENCE {}", "CREATE SCHEMA {}",
    "CREATE ROLE {}", "CREATE FUNCTION {}() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "SELECT 1 INTO {}", "DROP TABLE EventPath CASCADE", "ALTER TABLE Type RENAME TO {}",
    "DELETE FROM MLMDEnv", "ALTER TABLE Artifact ADD COLUMN {} int", "CREATE INDEX {} ON Event(id)",
    "COMMIT; CREATE TABLE {}(i int)", "ROLLBACK; CREATE TABLE {}(i int); BEGIN", "DO $$BEGIN END$$",
    "SET standard_conforming_strings=off; CREATE TABLE {}(i int)",
)  # fmt: skip
TRANSACTIONS = ("{}", "COMMIT; {}", "COMMIT; {}; BEGIN", "ROLLBACK; {}; BEGIN", "END; {}; SELECT 1")
"""What fails is rolled back with all that came before it, unless that is committed."""
ENDINGS = (
    "; --\\", "; -- \\", ";--\\", "/*\\", "; /* \\ */", ";'\\", "; SELECT '\\", ";\\", "\\", "; --",
    "$$\\", "\\'", "\\\\", "; -- ⧵", "; --\\⧹", "(\\",
)  # fmt: skip
NOISE = (
    "", "", "", "x", "gs://b/", "C:\\dir\\", "😀", "ü", "\u202e", " ", "\\\\", "⧵", "⧹", "'", "%_",
)  # fmt: skip


def text(chance: random.Random, most: int) -> str:
    """A hostile text of at most `most` characters; one of a hundred as long as that."""
    statement = chance.choice(STATEMENTS).format(f"pwned_{chance.getrandbits(48):x}")
    parts = (
        chance.choice(NOISE), chance.choice(CLOSERS), chance.choice(("; ", "; ", "; ", "")),
        chance.choice(TRANSACTIONS).format(statement), chance.choice(ENDINGS), chance.choice(NOISE),
    )  # fmt: skip
    made = "".join(parts)
    if chance.random() < 0.01:
        made += chance.choice("\\'x ") * most
    return made[:most]


class Forge:
    """Makes records of hostile texts; `sent` holds them all, so that they can be counted."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.sent: set[str] = set()

    def text(self, most: int = 256) -> str:
        made = text(self._chance, most)
        self.sent.add(made)
        return made

    def uri(self) -> str:
        """One that identity accepts: with a scheme it would be percent-encoded."""
        return f"x {self.text(4000)}".replace("\n", " ").replace("://", ":")

    def version(self) -> str:
        return f"v {self.text(400)}".replace("\n", " ")

    def artifact(self, type_: str, properties: int) -> dict[str, Any]:
        scalars = {self.text(): self.text(3000) for _ in range(properties)}
        return {
            "type": type_, "uri": self.uri(), "version": self.version(), "role": self.text(128),
            "name": self.text(), "aliases": [self.uri(), self.uri()], "properties": scalars,
        }  # fmt: skip

    def record(self, number: int) -> dict[str, Any]:
        """A valid record, hostile in every field that takes any text; about 120 texts."""
        who = {name: self.text() for name in ("cluster", "namespace", "name")}
        if number % 10:  # a context each would be all that is measured
            who = {"cluster": "c\\'", "namespace": "n\\'", "name": f"x\\'{number % 3}"}
        return {
            "key": f"{number} {self.text(480)}", "type": ("train", "deploy")[number % 2],
            "name": self.text(), "controller": who, "state": "complete",
            "started_at": "2021-01-01T00:00:00Z", "ended_at": "2021-01-01T01:00:00Z",
            "reported_at": "2021-01-01T01:00:00Z", "by": self.text(), "error": self.text(10_000),
            "parent": self.text(480), "code": {"path": self.text(1000), "commit": self.version()},
            "trigger": {name: self.text() for name in ("wanted", "observed", "reason")},
            "params": {f"p {self.text(200)}": self.text(3000) for _ in range(5)},
            "links": {self.text(): self.text() for _ in range(3)},
            "inputs": [self.artifact(t, 8) for t in ("Dataset", "Model", "Custom")],
            "outputs": [self.artifact(t, 8) for t in ("Model", "Deployment")],
        }  # fmt: skip

    def records(self, texts: int) -> Iterator[dict[str, Any]]:
        """As many as hold so many different texts."""
        number = 0
        while len(self.sent) < texts:
            yield self.record(number)
            number += 1
