"""Who may call on the port for MLMD's own clients: who has a token, sent as metadata.

MLMD's calls are about the whole store, so a token of some namespaces is none here. Knows of a
call its name alone.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import grpc

from lineage.access.keeper import Keeper
from lineage.access.scopes import Access, Need, refusal
from lineage.access.tokens import BadTokens, recognised
from lineage.errors import LineageError, Unauthorized


class Port(NamedTuple):
    """Where MLMD's clients are answered; `tokens`, `cert`, `key` = files, "" = none."""

    host: str
    port: int
    tokens: str = ""
    cert: str = ""
    key: str = ""

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def interceptors(self) -> list[Any]:
        return [Callers(self.tokens)] if self.tokens else []

    def credentials(self) -> Any:
        """None = in the clear.

        Raises:
            OSError: a file cannot be read.
        """
        if not self.cert:
            return None
        pair = Path(self.key or self.cert).read_bytes(), Path(self.cert).read_bytes()
        return grpc.ssl_server_credentials([pair])


class Callers(grpc.ServerInterceptor):  # type: ignore[misc]
    """Lets through the calls that a token of the file may make."""

    def __init__(self, tokens: str) -> None:
        self._path = tokens
        self._keeper: Keeper | None = None

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        error = self._refusal(details)
        if error is None:
            return continuation(details)
        known = not isinstance(error, Unauthorized)
        code = grpc.StatusCode.PERMISSION_DENIED if known else grpc.StatusCode.UNAUTHENTICATED

        def refuse(_: bytes, context: Any) -> None:
            context.abort(code, str(error))

        return grpc.unary_unary_rpc_method_handler(refuse)

    def _refusal(self, details: Any) -> LineageError | None:
        said = [value for name, value in details.invocation_metadata if name == "authorization"]
        writes = details.method.rpartition("/")[2].startswith("Put")
        try:
            access = self._access(said)
        except LineageError as error:
            return error
        return refusal(access, Need("write" if writes else "read", True))

    def _access(self, said: list[Any]) -> Access | None:
        if not said:
            return None
        kind, _, token = str(said[0]).partition(" ")
        if len(said) > 1 or kind.lower() != "bearer":
            raise Unauthorized("authorization: send one token, as `Bearer …`")
        try:
            # Not at the start: a store that is started again must not wait for this file.
            self._keeper = self._keeper or Keeper(self._path)
        except BadTokens as error:
            raise Unauthorized("no token is known here: their file cannot be read") from error
        found = recognised(self._keeper.tokens(), token.strip(), datetime.now(UTC), browser=False)
        if isinstance(found, str):
            raise Unauthorized(found)
        return found.access
