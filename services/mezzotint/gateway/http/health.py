"""GET /health/live, /health/ready and /metrics."""

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, Response

from mezzotint.gateway.http.parts import Parts


def routes(parts: Parts) -> APIRouter:
    """The routes for whoever runs the gateway."""
    router = APIRouter(tags=["operations"])

    @router.get("/health/live", summary="The process runs")
    async def live() -> Response:
        return JSONResponse({"status": "live"})

    @router.get("/health/ready", summary="Calls are answered: 200, or 503 with what is missing")
    async def ready() -> Response:
        if parts.draining.is_set():
            return JSONResponse({"status": "draining"}, 503)
        if not parts.dependencies.ready:
            return JSONResponse({"status": "not ready", "missing": list(parts.dependencies.gone)}, 503, {"retry-after": "1"})
        return JSONResponse({"status": "ready"})

    @router.get("/metrics", summary="Prometheus metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), headers={"content-type": CONTENT_TYPE_LATEST})

    return router
