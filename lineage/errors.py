"""Every error this package raises on purpose, with the HTTP status it becomes.

    LineageError
    ├── InvalidRecord (422)      a record breaks a rule; names the place and the remedy
    │   └── MalformedIdentity    a URI, version or digest that cannot be one
    ├── BadRequest (400)         a query parameter or cursor that makes no sense
    ├── NotFound (404)           nothing has that key, id or URI
    ├── TooLarge (413)           a body over its bound
    ├── Forbidden (403)          this server does not do that, such as record when read-only
    ├── Unauthorized (401)       the server wants a token
    ├── TooMany (429)            asked too often; try again later
    ├── StoreError (500)         the database refused; nothing was recorded
    │   ├── StoreFull (507)      there is no room left on its disk; nothing was recorded
    │   ├── StoreUnavailable (503)  the store did not answer in time; try again
    │   └── StoreInUse (503)     another process holds this database file
    ├── RenderError (500)        Graphviz failed or took too long
    └── ServerUnreachable        (client side) no server answered

Foreign errors are translated once, at the edge that met them, and chained with `from`.
"""

from __future__ import annotations

from collections.abc import Sequence


class LineageError(Exception):
    """Base of all: `str(error)` says what happened and what to do."""

    status = 500
    title = "Internal error"

    def __init__(self, detail: str, errors: Sequence[dict[str, str]] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = list(errors)
        """Each `{"at": place, "message": what is wrong and the remedy}`."""


class InvalidRecord(LineageError):
    status = 422
    title = "The record is not valid"


class MalformedIdentity(InvalidRecord, ValueError):
    """Raised inside validation, where pydantic adds the place."""


class BadRequest(LineageError):
    status = 400
    title = "The request is not valid"


class NotFound(LineageError):
    status = 404
    title = "Not found"


class TooLarge(LineageError):
    status = 413
    title = "The body is too large"


class Unauthorized(LineageError):
    status = 401
    title = "A token is needed"


class Forbidden(LineageError):
    status = 403
    title = "Not allowed here"


class TooMany(LineageError):
    status = 429
    title = "Too many requests"


class StoreError(LineageError):
    status = 500
    title = "The store refused"


class StoreFull(StoreError):
    status = 507
    title = "The disk of the store is full"


class StoreUnavailable(StoreError):
    status = 503
    title = "The store is not available"


class StoreInUse(StoreError):
    status = 503
    title = "The database is in use"


class RenderError(LineageError):
    status = 500
    title = "The drawing failed"


class ServerUnreachable(LineageError):
    status = 503
    title = "No server answered"
