"""What a request becomes before it is queued: pure, and the same again on a retry."""

import hashlib
import math
from collections.abc import Callable

from mezzotint.api.inference.v1 import generation_pb2
from mezzotint.gateway.settings import GatewaySettings

# Seeds the gateway chooses lie in [0, 2^32): short enough to read out, and seed + i stays within the contract's limit.
SEED_END = 2**32
# Chooses a number in [0, end).
RandBelow = Callable[[int], int]


def sealed(
    spec: generation_pb2.GenerationSpec, account_id: str, request_id: str, randbelow: RandBelow
) -> generation_pb2.GenerationSpec:
    """The spec with its seed chosen: with a request id by that, so that a retry asks for the same picture."""
    filled = generation_pb2.GenerationSpec()
    filled.CopyFrom(spec)
    filled.images = spec.images or 1
    if not spec.HasField("seed"):
        filled.seed = derived_seed(account_id, request_id) if request_id else randbelow(SEED_END)
    return filled


def payload(spec: generation_pb2.GenerationSpec) -> bytes:
    """The job's payload: equal specs give equal bytes, which the queue knows a retry by."""
    return spec.SerializeToString(deterministic=True)


def cost_ms(spec: generation_pb2.GenerationSpec, settings: GatewaySettings) -> int:
    """Expected device time of a sealed spec. It depends on nothing that may change between a call and its retry."""
    steps = spec.steps or settings.steps_default
    if spec.HasField("strength"):
        # That part of the steps is made.
        steps = math.ceil(steps * spec.strength)
    return int(spec.images * (settings.image_cost_ms + steps * settings.step_cost_ms))


def derived_seed(account_id: str, request_id: str) -> int:
    """The seed of a request that names none."""
    return int.from_bytes(digest("seed", account_id, request_id)[:4], "big")


def charge_id(account_id: str, request_id: str, body: bytes) -> str:
    """The request id of the reservation: the same on a retry, another for another account or body under the same request id."""
    return "gen_" + digest("charge", account_id, request_id, body.hex()).hex()[:48]


def digest(*parts: str | bytes) -> bytes:
    """A hash of the parts that tells ("a", "bc") from ("ab", "c")."""
    whole = hashlib.blake2b(digest_size=32)
    for part in parts:
        encoded = part.encode() if isinstance(part, str) else part
        whole.update(len(encoded).to_bytes(8, "big"))
        whole.update(encoded)
    return whole.digest()
