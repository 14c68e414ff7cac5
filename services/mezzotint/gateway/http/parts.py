"""What the routes of the HTTP door work with, and whom they let in."""

import asyncio
from dataclasses import dataclass

from starlette.requests import Request

from mezzotint.gateway.catalogue import Catalogue
from mezzotint.gateway.dependencies import Dependencies
from mezzotint.gateway.gallery import Gallery
from mezzotint.gateway.generations import Generations
from mezzotint.gateway.settings import GatewaySettings
from mezzotint.runtime.clock import Clock
from mezzotint.runtime.interceptors.access import Principal, Verifier, admit, rule_of

SERVICE = "/mezzotint.api.images.v1.ImageService/"


@dataclass(frozen=True)
class Parts:
    """The gateway behind its HTTP door."""

    verifier: Verifier
    generations: Generations
    gallery: Gallery
    catalogue: Catalogue
    dependencies: Dependencies
    draining: asyncio.Event
    clock: Clock
    settings: GatewaySettings

    async def admit(self, request: Request, method: str) -> Principal:
        """The caller, if the contract admits him to the RPC `method` of ImageService. Raises as the gRPC door does."""
        return await admit(dict(request.headers), rule_of(SERVICE + method), self.verifier)
