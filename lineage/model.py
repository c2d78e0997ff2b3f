"""The record: what a controller says about one act. Wire schema and domain model in one.

Frozen pydantic models. Unknown fields are refused, sizes are bounded (what is over a
bound is refused, never cut), secrets are redacted on the way in. How several reports of
one action become one state is `lineage.merge`; who is who is `lineage.identity`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails, to_json

from lineage.errors import InvalidRecord
from lineage.identity import MAX_URI, MAX_VERSION, Identity, identify, without_credentials
from lineage.times import microseconds

MAX_KEY = 512
MAX_EDGES = 5_000
MAX_PARAMS = 1_000
MAX_LINKS = 100
MAX_ALIASES = 20
MAX_VALUE = 16_384
REDACTED = "[redacted]"
GENERIC = "Artifact"
"""The type of an artifact that says nothing of what it is; `GENERIC_ACT` that of an action."""
GENERIC_ACT = "process"
OWN = "run:"
"""Begins a version that stands for whatever an act wrote, until it names the true one."""

State = Literal["running", "complete", "failed", "canceled"]
Evidence = Literal["claimed", "committed", "observed"]
TERMINAL: frozenset[str] = frozenset({"complete", "failed", "canceled"})

# NUL truncates strings in MLMD, and this literal stands for NULL there (docs/mlmd.md, trap 10).
NO_NUL = r"^[^\x00]*$"
_NULL_LITERAL = "__MLMD_NULL__"


def _not_null_literal(text: str) -> str:
    if text == _NULL_LITERAL:
        raise ValueError(f"the text {_NULL_LITERAL} is reserved by ML Metadata; write another")
    return text


def _within_64_bits(value: Any) -> Any:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("is over 64 bits; write it as a text")
    return value


def _size(most: int, least: int = 0) -> StringConstraints:
    return StringConstraints(min_length=least, max_length=most, pattern=NO_NUL, strict=True)


def _written_out(value: Any) -> Any:
    """To pydantic a number is seconds since 1970, and so is `20200701`."""
    if not (isinstance(value, datetime) or (isinstance(value, str) and value[4:5] == "-")):
        raise ValueError("is not a time; write it as 2020-07-23T17:45:27Z")
    return value


def _utc(moment: datetime) -> datetime:
    try:
        moment = moment.astimezone(UTC)
    except OverflowError:
        moment = datetime.min
    if moment.year < 1970:
        raise ValueError("times lie between the years 1970 and 9999")
    return moment


_PLAIN = AfterValidator(_not_null_literal)
Name = Annotated[str, _size(256), _PLAIN]
Label = Annotated[str, _size(256, 1), _PLAIN]
Text = Annotated[str, _size(MAX_VALUE), _PLAIN]
Key = Annotated[str, _size(MAX_KEY, 1), _PLAIN]
Version = Annotated[str, _size(MAX_VERSION), _PLAIN]
Uri = Annotated[str, _size(MAX_URI, 1), _PLAIN]
Url = Annotated[Uri, AfterValidator(without_credentials)]
Time = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_utc)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Scalar = Annotated[
    Annotated[bool, Strict()] | Annotated[int, Strict()] | Number | Text,
    AfterValidator(_within_64_bits),
]
Scalars = Annotated[dict[Label, Scalar], Field(max_length=MAX_PARAMS)]
ActionType = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]{0,63}$", strict=True)]
ArtifactType = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_./-]{0,127}$", strict=True)
]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Controller(_Model):
    """Who acts. `cluster` and `namespace` are empty when there is none."""

    cluster: Name = ""
    namespace: Name = ""
    name: Label

    def __str__(self) -> str:
        return "/".join(part for part in (self.cluster, self.namespace, self.name) if part)


class Code(_Model):
    """What ran: a commit of a repository, a path in it, the image it ran in."""

    repo: Url | None = None
    commit: Version | None = None
    path: Annotated[str, _size(1024), _PLAIN] | None = None
    image: Url | None = None
    dirty: Annotated[bool, Strict()] | None = None

    @model_validator(mode="after")
    def _well_formed(self) -> Self:
        self.source(), self.container()
        return self

    def source(self) -> Identity | None:
        """The Code artifact: the repository at the commit. The path is not identity."""
        return identify(self.repo, self.commit or None, "Code") if self.repo else None

    def container(self) -> Identity | None:
        return identify(self.image, None, "Image") if self.image else None


class Trigger(_Model):
    """Why a controller acted: what it wanted, what it saw."""

    wanted: Text | None = None
    observed: Text | None = None
    reason: Text | None = None


class Reference(_Model):
    """One version of a thing an action read or wrote."""

    type: ArtifactType = GENERIC
    uri: Url
    version: Version | None = None
    role: Annotated[str, _size(128), _PLAIN] | None = None
    name: Name | None = None
    evidence: Evidence | None = None
    properties: Scalars = Field(default_factory=dict)
    aliases: Annotated[tuple[Uri, ...], Field(max_length=MAX_ALIASES)] = ()

    @model_validator(mode="after")
    def _well_formed(self) -> Self:
        self.identity()
        for alias in self.aliases:
            identify(alias, None, self.type)
        return self

    def identity(self) -> Identity:
        return identify(self.uri, self.version, self.type)


class Action(_Model):
    """One act of a controller, or one report of it: send what you see now, as often as you like."""

    key: Key
    type: ActionType
    controller: Controller
    name: Name | None = None
    state: State | None = None
    started_at: Time | None = None
    ended_at: Time | None = None
    reported_at: Time | None = None
    code: Code | None = None
    inputs: Annotated[tuple[Reference, ...], Field(max_length=MAX_EDGES)] = ()
    outputs: Annotated[tuple[Reference, ...], Field(max_length=MAX_EDGES)] = ()
    params: Scalars = Field(default_factory=dict)
    parent: Key | None = None
    by: Name | None = None
    trigger: Trigger | None = None
    error: Text | None = None
    links: Annotated[dict[Label, Url], Field(max_length=MAX_LINKS)] = Field(default_factory=dict)

    @field_validator("params")
    @classmethod
    def _redact(cls, params: dict[str, Any]) -> dict[str, Any]:
        return (
            {k: REDACTED if looks_secret(k) else v for k, v in params.items()} if params else params
        )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.started_at and self.ended_at and self.ended_at < self.started_at:
            raise ValueError("ended_at lies before started_at; swap them or leave one out")
        return self

    @property
    def clock(self) -> int:
        """When this was reported, in microseconds since 1970: the last writer wins.

        Unset, it is the latest time the record itself names, so that a replay of the
        same record never counts as news.
        """
        moment = self.reported_at or self.ended_at or self.started_at
        return microseconds(moment) if moment else 0


_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SECRET_WORDS = {"password", "passwd", "passphrase", "secret", "token", "credential",
                 "credentials", "apikey", "authorization"}  # fmt: skip
_SECRET_KEYS = {"api", "access", "private", "secret", "account", "signing", "encryption", "ssh"}


def looks_secret(name: str) -> bool:
    """Whether a parameter of this name holds a secret: `db_password`, `apiKey`, `HF_TOKEN`.

    Only the last words count: `secretName` names a Secret, `max_tokens` counts words.
    """
    words = [w.lower() for w in _WORDS.findall(name)]
    if not words:
        return False
    return words[-1] in _SECRET_WORDS or (
        words[-1] == "key" and len(words) > 1 and words[-2] in _SECRET_KEYS
    )


def parse_action(body: bytes | str, key: str | None = None) -> Action:
    """An action from JSON.

    `key` is the one of the URL: the body may leave it out, and must not contradict it.

    Raises:
        InvalidRecord: with every place and its remedy.
    """
    try:
        action = Action.model_validate_json(body if key is None else _with_key(body, key))
    except ValidationError as error:
        if error.errors(include_input=False)[0]["type"] == "json_invalid" and key is not None:
            return parse_action(body)  # so that the line and column are those of the body
        raise invalid(error) from error
    if key is not None and action.key != key:
        message = "differs from the key in the URL; leave it out or make them equal"
        raise InvalidRecord(f"key: {message}", [{"at": "key", "message": message}])
    return action


def _with_key(body: bytes | str, key: str) -> bytes:
    """The body with the URL's key put first; JSON's last of two equal names wins."""
    raw = (body if isinstance(body, bytes) else body.encode()).lstrip()
    if not raw.startswith(b"{"):
        return raw
    rest = raw[1:].lstrip()
    return b'{"key":' + to_json(key) + (b"" if rest.startswith(b"}") else b",") + rest


def invalid(error: ValidationError) -> InvalidRecord:
    """Pydantic's findings in this product's words: place and remedy, never the whole input."""
    found = [
        {"at": ".".join(str(part) for part in e["loc"]) or "body", "message": _remedy(e)}
        for e in error.errors(include_url=False, include_input=False)[:20]
    ]
    first = found[0]
    more = f" ({error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return InvalidRecord(f"{first['at']}: {first['message']}{more}", found)


def _remedy(error: ErrorDetails) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return "is not a field of the record; /api/v1/openapi.json lists those that are"
    if kind == "missing":
        return "is missing; it is required"
    if kind == "string_pattern_mismatch" and context.get("pattern") == NO_NUL:
        return "holds a NUL character; remove it"
    if kind == "timezone_aware":
        return "has no time zone; end it with Z or an offset such as +02:00"
    if kind == "finite_number":
        return "is not a finite number; leave it out or write it as a text"
    return error["msg"].removeprefix("Value error, ")
