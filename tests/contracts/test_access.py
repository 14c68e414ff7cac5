"""The contract walked from end to end: every method, called by every kind of caller, on running services."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from grpc_status import rpc_status

from mezzotint.runtime import channel, errors, statuses
from mezzotint.runtime.interceptors.access import rule_of
from mezzotint.runtime.tls import Authority
from mezzotint_client.suite import IDENTITIES, Suite
from tests.support.people import Person, gateway_channel, sign_up

pytestmark = pytest.mark.asyncio(loop_scope="module")
PROTOS = Path(__file__).parents[2] / "protos"
# The process that serves each service of the contract; AccountService has two doors.
SERVED_BY = {
    "AccountService": ("auth", "gateway"),
    "IdentityService": ("auth",),
    "RateLimitService": ("ratelimit",),
    "QueueService": ("queue",),
    "QueueAdminService": ("queue",),
    "InferenceService": ("inference",),
    "GRPCInferenceService": ("inference",),
    "ImageService": ("gateway",),
}
# An answer that proves the caller was let in.
ADMITTED = "admitted"
ANSWER_SECONDS = 30
ATTEMPTS_MAX = 5
REFUSALS = (errors.CallerNotAllowed, errors.ScopeMissing, errors.CredentialMissing, errors.CredentialInvalid)


def doors() -> Iterator[tuple[str, MethodDescriptor]]:
    """Every method at every process that serves it."""
    for path in sorted(PROTOS.rglob("*.proto")):
        module = import_module(".".join(path.relative_to(PROTOS).with_suffix("").parts) + "_pb2")
        for service in module.DESCRIPTOR.services_by_name.values():
            for process in SERVED_BY[service.name]:
                yield from ((process, method) for method in service.methods)


DOORS = list(doors())
# A public door asks for no certificate: services come there as end users do. The others let nobody in without one.
INNER = [(process, method) for process, method in DOORS if process != "gateway"]
PUBLIC = [method for process, method in DOORS if process == "gateway"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def suite(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """A running suite on free ports."""
    async with Suite.start(tmp_path_factory.mktemp("suite"), ports="free") as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(suite: Suite) -> AsyncIterator[grpc.aio.Channel]:
    """The public door."""
    async with gateway_channel(suite.addresses["gateway"], suite.data) as connection:
        yield connection


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reader(gateway: grpc.aio.Channel) -> Person:
    """An end user whose key may do nothing but read the account."""
    return await sign_up(gateway, scopes=("account:read",))


async def answer(connection: grpc.aio.Channel, method: MethodDescriptor, metadata: tuple[tuple[str, str], ...] = ()) -> str:
    """How a call with an empty request ends: the reason of its refusal, or ADMITTED when it got past the access rules."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
    codec = {
        "request_serializer": GetMessageClass(method.input_type).SerializeToString,
        "response_deserializer": GetMessageClass(method.output_type).FromString,
    }
    request: Any = GetMessageClass(method.input_type)()
    call: Any = getattr(connection, kind)(path, **codec)
    for _ in range(ATTEMPTS_MAX):
        started = call(iter([request]) if method.client_streaming else request, timeout=ANSWER_SECONDS, metadata=metadata)
        try:
            response = await (started.read() if method.server_streaming else started)
            if response is not grpc.aio.EOF:
                return ADMITTED
        except grpc.RpcError as error:
            # When a refusal comes before the client has written its message, grpcio's client puts an INTERNAL of its own in
            # place of the server's status (aio/_call.py, _write): 55 of 500 calls on a busy machine. It is asked again.
            if rpc_status.from_call(error) is not None:
                refusal = statuses.from_call(error)
                return refusal.reason if isinstance(refusal, REFUSALS) else ADMITTED
        finally:
            started.cancel()
    raise AssertionError(f"{path} was not answered in {ATTEMPTS_MAX} attempts")


@pytest.mark.parametrize("identity", IDENTITIES)
@pytest.mark.parametrize(("process", "method"), INNER, ids=lambda value: getattr(value, "name", value))
async def test_services(suite: Suite, process: str, method: MethodDescriptor, identity: str) -> None:
    """Ensures that of the services exactly those the contract names are let in."""
    rule = rule_of(f"/{method.containing_service.full_name}/{method.name}")
    own = Authority.open(suite.data).identity(identity)
    async with channel.connect(suite.addresses[process], process, own) as connection:
        got = await answer(connection, method)
    wanted = (
        ADMITTED
        if rule.anonymous or identity in rule.services
        else "CREDENTIAL_MISSING"
        if rule.scopes
        else "CALLER_NOT_ALLOWED"
    )
    assert got == wanted


@pytest.mark.parametrize("method", PUBLIC, ids=lambda method: method.name)
async def test_end_users(gateway: grpc.aio.Channel, reader: Person, method: MethodDescriptor) -> None:
    """Ensures that an end user without, with a wrong, and with a too narrow credential is refused for the right reason."""
    rule = rule_of(f"/{method.containing_service.full_name}/{method.name}")
    closed = "CALLER_NOT_ALLOWED" if rule.services else ""
    open_ = ADMITTED if rule.anonymous else closed
    assert await answer(gateway, method) == (open_ or "CREDENTIAL_MISSING")
    garbage = (("authorization", "Bearer mzt_garbage"),)
    assert await answer(gateway, method, garbage) == (open_ or "CREDENTIAL_INVALID")
    narrow = ADMITTED if set(rule.scopes) <= {"account:read"} else "SCOPE_MISSING"
    assert await answer(gateway, method, reader.metadata) == (open_ or narrow)


@pytest.mark.parametrize("process", sorted({process for process, _ in INNER}))
async def test_strangers(suite: Suite, process: str, tmp_path: Path) -> None:
    """Ensures that nobody without a certificate of this installation's authority reaches a service at all."""
    stranger = Authority.open(tmp_path).identity("gateway")
    roots = (suite.data / "tls" / "ca.pem").read_bytes()
    for credentials in (
        grpc.ssl_channel_credentials(roots),
        grpc.ssl_channel_credentials(roots, stranger.key_pem, stranger.certificate_pem),
    ):
        options = [("grpc.ssl_target_name_override", f"{process}.mezzotint.internal")]
        async with grpc.aio.secure_channel(suite.addresses[process], credentials, options=options) as connection:
            method = next(method for name, method in DOORS if name == process)
            path = f"/{method.containing_service.full_name}/{method.name}"
            call: Any = connection.unary_unary(path)
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call(b"", timeout=ANSWER_SECONDS)
            assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
