"""What a caller asks for, taken out of its message, so that nothing of the message has to stay in memory."""

import asyncio
import secrets
from dataclasses import dataclass

from mezzotint.api.images.v1 import images_pb2
from mezzotint.api.inference.v1 import generation_pb2
from mezzotint.gateway import spec as specs
from mezzotint.gateway.uploads import FIELDS, moved_out
from mezzotint.runtime.clock import NewId
from mezzotint.runtime.interceptors.access import Principal


@dataclass(frozen=True)
class Asked:
    """One request: whose, its id, what is to be drawn, and the pictures that came with it by the keys they are named by.

    `key` is the same for a call and its retries, of one account and with one body; `keep`: also when its reader is gone.
    """

    caller: Principal
    request_id: str
    spec: generation_pb2.GenerationSpec
    inputs: dict[str, bytes]
    key: str
    keep: bool


async def asked_by(
    caller: Principal, request: images_pb2.GenerateImagesRequest, new_id: NewId, randbelow: specs.RandBelow = secrets.randbelow
) -> Asked:
    """A request whose pictures are taken out of its message and hashed in a thread. Raises FieldInvalid."""
    # Without one of the client's, one of our own: the gateway itself may have to ask the queue twice.
    request_id, inputs = request.request_id or new_id("req"), dict[str, bytes]()
    if any(request.spec.HasField(field) for field in FIELDS):
        inputs = await asyncio.to_thread(moved_out, request.spec, caller.account_id, request_id)
    spec = specs.sealed(request.spec, caller.account_id, request.request_id, randbelow)
    key = specs.charge_id(caller.account_id, request_id, specs.payload(spec))
    return Asked(caller, request_id, spec, inputs, key, request.keep_on_disconnect)
