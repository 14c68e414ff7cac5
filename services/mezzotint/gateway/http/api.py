"""The HTTP application: its routes, and errors in OpenAI's form."""

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from mezzotint.gateway.http import edits, health, images, models
from mezzotint.gateway.http.errors import HttpError, body_of, retry_headers, status_of
from mezzotint.gateway.http.limits import headers_of
from mezzotint.gateway.http.observed import Observed
from mezzotint.gateway.http.parts import Parts
from mezzotint.runtime.errors import Internal, MezzotintError

CHALLENGE = {"www-authenticate": "Bearer"}
CLIENT_CLOSED_REQUEST = 499


def application(parts: Parts) -> ASGIApp:
    """The whole of what the HTTP door serves."""
    app = FastAPI(title="Mezzotint", summary="Image generation with the OpenAI Images API", redoc_url=None)
    for module in (edits, images, models, health):
        app.include_router(module.routes(parts))
    app.add_exception_handler(MezzotintError, expected)
    app.add_exception_handler(HttpError, http_only)
    app.add_exception_handler(HTTPException, routing)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(Exception, defect)
    return Observed(app)


async def expected(request: Request, error: Exception) -> Response:
    """A failure of ours."""
    assert isinstance(error, MezzotintError)
    status = status_of(error)
    headers = {
        **retry_headers(error),
        **headers_of(getattr(request.state, "limits", ())),
        **(CHALLENGE if status == 401 else {}),
    }
    return JSONResponse(body_of(error), status, headers)


async def http_only(request: Request, error: Exception) -> Response:
    """A failure that only HTTP knows."""
    assert isinstance(error, HttpError)
    return JSONResponse(body_of(error), error.status)


async def routing(request: Request, error: Exception) -> Response:
    """No such address, or not with this method."""
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path[:128]}: {str(error.detail).lower()}; see /docs."
    return JSONResponse(body_of(HttpError(error.status_code, message, code="unknown_url")), error.status_code, error.headers)


async def invalid(request: Request, error: Exception) -> Response:
    """An address or query that FastAPI refuses."""
    return JSONResponse(body_of(HttpError(400, "The request is malformed; see /docs.", code="invalid_value")), 400)


async def gone(request: Request, error: Exception) -> Response:
    """The client hung up; nobody reads this, but the log and the metrics do."""
    return Response(status_code=CLIENT_CLOSED_REQUEST)


async def defect(request: Request, error: Exception) -> Response:
    """Anything else. `Observed` logs it."""
    return JSONResponse(body_of(Internal("internal error; the server's log holds the report under this request's id")), 500)
