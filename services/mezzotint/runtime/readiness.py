"""Health that tells the truth: a service is SERVING once it said it is ready, and the process once all of them are."""

from __future__ import annotations

from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2

Status = health_pb2.HealthCheckResponse
# The most services that List answers, from the protocol.
LIST_MAX = 100


class Readiness(health.aio.HealthServicer):  # type: ignore[misc]  # grpcio-health-checking ships no types for its aio servicer
    """grpc.health.v1.Health with Check, Watch and List; every service begins as NOT_SERVING."""

    def __init__(self, services: list[str]) -> None:
        super().__init__()
        self._statuses = dict.fromkeys(["", *services], Status.NOT_SERVING)
        self._server_status.update(self._statuses)
        self._stopped = False

    async def ready(self, service: str) -> None:
        """`service`, a full name from the contract, answers calls."""
        await self._change(service, Status.SERVING)

    async def unready(self, service: str) -> None:
        """`service` cannot answer calls for now."""
        await self._change(service, Status.NOT_SERVING)

    async def stop(self) -> None:
        """Nothing here takes new calls any more."""
        self._stopped = True
        for service in self._statuses:
            self._statuses[service] = Status.NOT_SERVING
        await self.enter_graceful_shutdown()

    async def List(
        self, request: health_pb2.HealthListRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> health_pb2.HealthListResponse:
        """Every service's status at once."""
        statuses = {name: Status(status=status) for name, status in list(self._statuses.items())[:LIST_MAX]}
        return health_pb2.HealthListResponse(statuses=statuses)

    async def _change(self, service: str, status: int) -> None:
        if self._stopped:
            return
        assert service in self._statuses, f"{service} is not served here"
        self._statuses[service] = status
        whole = all(each == Status.SERVING for name, each in self._statuses.items() if name)
        self._statuses[""] = Status.SERVING if whole else Status.NOT_SERVING
        await self.set(service, status)
        await self.set("", self._statuses[""])
