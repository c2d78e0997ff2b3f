"""The OpenAPI document: what FastAPI collects from the routes, completed. Knows no route.

Bodies and answers are read and written by hand, so their schemas come from
`lineage.api.answers` and the record itself. A parameter that is refused is a problem with
status 400 here, never FastAPI's own 422.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from lineage.access.scopes import need
from lineage.api.examples import components, problems

_GUARDED = {str(status): said for status, said in problems(401, 403, 429).items()}
"""What `lineage.api.guard` answers before a route is asked."""


def document(app: FastAPI) -> dict[str, Any]:
    """Made once: routes do not change while a server runs."""
    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        schemas = found.setdefault("components", {}).setdefault("schemas", {})
        for foreign in ("HTTPValidationError", "ValidationError"):
            schemas.pop(foreign, None)
        schemas.update(components())
        for path, operations in found["paths"].items():
            for method, operation in operations.items():
                responses = operation["responses"]
                if _foreign(responses.get("422", {})):
                    del responses["422"]
                if need(method.upper(), path).scope is not None:
                    operation["responses"] = {**_GUARDED, **responses}
        app.openapi_schema = found
    return app.openapi_schema


def _foreign(response: dict[str, Any]) -> bool:
    """Whether FastAPI added it by itself."""
    schema = response.get("content", {}).get("application/json", {}).get("schema", {})
    return str(schema.get("$ref", "")).endswith("/HTTPValidationError")
