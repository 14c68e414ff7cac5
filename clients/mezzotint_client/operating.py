"""What only the operator of an installation may do: it holds a certificate of the data folder's private authority."""

from pathlib import Path

from mezzotint.api.auth.v1 import account_pb2 as pb
from mezzotint.api.auth.v1 import account_pb2_grpc
from mezzotint.runtime.calls import call
from mezzotint.runtime.channel import connect
from mezzotint.runtime.tls import load_identity
from mezzotint_client import decoding
from mezzotint_client.records import Account

DEFAULT_AUTH_ADDRESS = "127.0.0.1:7401"


async def set_tier(data: Path, email: str, tier: str, *, address: str = DEFAULT_AUTH_ADDRESS) -> Account:
    """Move an account to another tier, at auth itself.

    Raises AccountNotFound, TierUnknown, and FileNotFoundError without the operator's certificate.
    """
    async with connect(address, "auth", load_identity(data, "operator")) as channel:
        stub = account_pb2_grpc.AccountServiceStub(channel)
        response = await call(stub.SetTier, pb.SetTierRequest(email=email, tier=tier))
    return decoding.account(response.account)
