"""The server: what callers get from it, whatever they send, and how it stops."""

import asyncio
import json
import os
import socket
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mezzotint.api.queue.v1 import job_pb2, queue_pb2, queue_pb2_grpc, work_pb2
from mezzotint.runtime import calls, channel, errors, statuses
from mezzotint.runtime.server import Server
from mezzotint.runtime.settings import ServiceSettings
from mezzotint.runtime.tls import Authority
from tests.runtime.conftest import Echo
from tests.runtime.echo import SERVICE
from tests.support.serving import connect


def get(job_id: str) -> queue_pb2.GetJobRequest:
    return queue_pb2.GetJobRequest(job_id=job_id)


async def test_errors_arrive_as_the_class_that_was_raised(echo: Echo) -> None:
    """Ensures that unary and streaming handlers' errors keep class and metadata."""
    with pytest.raises(errors.JobNotFound) as caught:
        await calls.call(echo.stub.GetJob, get("missing"))
    assert caught.value.metadata == {"job_id": "missing"}
    with pytest.raises(errors.SequenceAhead):
        _ = [event async for event in calls.stream(echo.stub.WatchJob, queue_pb2.WatchJobRequest(job_id="x"))]


async def test_an_outage_further_on_is_not_asked_for_again(echo: Echo) -> None:
    """Ensures that retries do not multiply along a chain: what a server answered, the channel does not repeat."""
    with pytest.raises(errors.DependencyUnavailable):
        await calls.call(echo.stub.GetJob, get("cut off"))
    assert len(echo.servicer.deadlines) == 1


async def test_a_defect_tells_the_caller_nothing_but_that(echo: Echo) -> None:
    """Ensures that the text of an unexpected exception stays in the log."""
    with pytest.raises(errors.Internal) as caught:
        await calls.call(echo.stub.GetJob, get("defect"))
    assert "secret" not in caught.value.message


async def test_every_broken_rule_is_named(echo: Echo) -> None:
    """Ensures that validation names each field at fault in one answer, for unary calls and messages of a stream."""
    job = queue_pb2.NewJob(request_id="r", account_id="", tier="free", kind="k" * 65, cost_ms=1)
    with pytest.raises(errors.FieldInvalid) as caught:
        await calls.call(echo.stub.EnqueueJob, queue_pb2.EnqueueJobRequest(job=job))
    assert {violation.field for violation in caught.value.violations} == {"job.account_id", "job.kind"}
    async with connect(echo.authority, echo.server.port, "queue", identity="inference") as worker:
        stub = queue_pb2_grpc.QueueServiceStub(worker)
        call = stub.Work(iter([work_pb2.WorkRequest()]))
        with pytest.raises(grpc.aio.AioRpcError) as status:
            _ = [answer async for answer in call]
    assert status.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("raw", [b"\x0a\x02\xff\xfe", b"\xff\xff\xff", b"\x0a\x7f"], ids=["not UTF-8", "no message", "cut off"])
async def test_bytes_that_are_no_message_are_refused_as_such(echo: Echo, raw: bytes) -> None:
    """Ensures that a malformed request, unary or in a stream, is INVALID_ARGUMENT with a reason."""
    unary: Any = echo.channel.unary_unary(f"/{SERVICE}/GetJob")
    stream: Any = echo.channel.unary_stream(f"/{SERVICE}/WatchJob")
    for answer in (unary(raw), stream(raw).read()):
        with pytest.raises(grpc.RpcError) as caught:
            await answer
        assert isinstance(statuses.from_call(caught.value), errors.FieldInvalid)


async def test_a_caller_the_contract_does_not_admit_is_refused(echo: Echo) -> None:
    """Ensures that the service identity in the certificate decides."""
    async with connect(echo.authority, echo.server.port, "queue", identity="ratelimit") as stranger:
        with pytest.raises(errors.CallerNotAllowed):
            await calls.call(queue_pb2_grpc.QueueServiceStub(stranger).GetJob, get("x"))


async def test_a_method_that_is_not_implemented_says_so(echo: Echo) -> None:
    """Ensures that the generated default ends as UNIMPLEMENTED."""
    with pytest.raises(errors.MethodUnknown):
        await calls.call(echo.stub.CancelJob, queue_pb2.CancelJobRequest(job_id="x"))


async def test_a_certificate_of_another_authority_or_none_cannot_connect(
    echo: Echo, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Ensures that mTLS keeps strangers out before any call."""
    stranger = Authority.open(tmp_path_factory.mktemp("stranger"))
    own = echo.authority.identity("gateway")
    for credentials in (
        grpc.ssl_channel_credentials(own.authority_pem),
        grpc.ssl_channel_credentials(own.authority_pem, *_pair(stranger)),
    ):
        options = [*channel.OPTIONS, ("grpc.ssl_target_name_override", "queue.mezzotint.internal")]
        async with grpc.aio.secure_channel(f"127.0.0.1:{echo.server.port}", credentials, options=options) as bad:
            with pytest.raises(errors.DependencyUnavailable):
                await calls.call(queue_pb2_grpc.QueueServiceStub(bad).GetJob, get("x"), timeout=10)


def _pair(authority: Authority) -> tuple[bytes, bytes]:
    identity = authority.identity("gateway")
    return identity.key_pem, identity.certificate_pem


async def test_an_expired_certificate_cannot_connect(echo: Echo) -> None:
    """Ensures that a certificate is good for its time only."""
    echo.authority.issue("operator", ["localhost"], days=-1)
    folder = echo.authority.folder
    pem, key = (folder / "operator.pem").read_bytes(), (folder / "operator.key").read_bytes()
    credentials = grpc.ssl_channel_credentials((folder / "ca.pem").read_bytes(), key, pem)
    options = [*channel.OPTIONS, ("grpc.ssl_target_name_override", "queue.mezzotint.internal")]
    async with grpc.aio.secure_channel(f"127.0.0.1:{echo.server.port}", credentials, options=options) as expired:
        with pytest.raises(errors.DependencyUnavailable):
            await calls.call(queue_pb2_grpc.QueueServiceStub(expired).GetJob, get("x"), timeout=10)


async def test_only_the_queue_can_answer_for_the_queue(echo: Echo) -> None:
    """Ensures that a client refuses a server that holds another service's certificate."""
    async with connect(echo.authority, echo.server.port, "auth", identity="gateway") as wrong:
        with pytest.raises(errors.DependencyUnavailable):
            await calls.call(queue_pb2_grpc.QueueServiceStub(wrong).GetJob, get("x"), timeout=10)


async def test_garbage_on_the_port_harms_nobody(echo: Echo) -> None:
    """Ensures that bytes that are no TLS leave the server answering."""
    for garbage in (
        b"GET / HTTP/1.1\r\n\r\n",
        os.urandom(4096),
        b"\x16\x03\x01" + os.urandom(100),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", echo.server.port)
        writer.write(garbage)
        writer.write_eof()
        await asyncio.wait_for(reader.read(), 10)
        writer.close()
    assert (await calls.call(echo.stub.GetJob, get("fine"))).result == b"fine"


@pytest.mark.parametrize("mebibytes", [5, 100])
async def test_a_message_over_the_limit_is_refused(echo: Echo, mebibytes: int) -> None:
    """Ensures that a large message is a limit that is named, packed or not, and that the connection serves on."""
    request = queue_pb2.EnqueueJobRequest(job=queue_pb2.NewJob(payload=bytes(mebibytes * 1024 * 1024)))
    with pytest.raises(errors.LimitReached, match="and at most 4,194,304 may be in one") as caught:
        await calls.call(echo.stub.EnqueueJob, request)
    assert caught.value.metadata == {"limit": "4194304"}
    with pytest.raises(errors.LimitReached, match="send less in one message"):
        await calls.call(partial(echo.stub.EnqueueJob, compression=grpc.Compression.Gzip), request)
    assert (await calls.call(echo.stub.GetJob, get("fine"))).result == b"fine"


async def test_the_callers_deadline_reaches_the_handler(echo: Echo) -> None:
    """Ensures that a call on behalf of another gets what is left of its time."""
    await calls.call(echo.stub.GetJob, get("x"), timeout=5)
    (end,) = echo.servicer.deadlines
    assert end is not None
    assert 0 < end - asyncio.get_running_loop().time() <= 5
    calls.deadline.set(asyncio.get_running_loop().time() - 1)
    with pytest.raises(errors.DeadlineExceeded):
        await calls.call(echo.stub.GetJob, get("x"), timeout=5)
    assert len(echo.servicer.deadlines) == 1


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_caller_that_hangs_up_cancels_the_handler(echo: Echo, streaming: bool) -> None:
    """Ensures that work stops when nobody waits for it."""
    watch = echo.stub.WatchJob(queue_pb2.WatchJobRequest(job_id="wait"))
    call = watch if streaming else echo.stub.GetJob(get("wait"))
    if streaming:
        await watch.read()
    await asyncio.wait_for(echo.servicer.waiting.wait(), 5)
    call.cancel()
    await asyncio.wait_for(echo.servicer.cancelled.wait(), 5)


async def test_health_tells_what_is_ready(echo: Echo) -> None:
    """Ensures that Check, List and Watch follow each service, and that the whole is ready only when all are."""
    health = health_pb2_grpc.HealthStub(echo.channel)
    serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    watch = health.Watch(health_pb2.HealthCheckRequest(service=SERVICE))
    assert (await watch.read()).status == serving
    await echo.server.readiness.unready(SERVICE)
    assert (await asyncio.wait_for(watch.read(), 5)).status == not_serving
    listed = await health.List(health_pb2.HealthListRequest())
    assert {name: status.status for name, status in listed.statuses.items()} == {"": not_serving, SERVICE: not_serving}
    assert (await health.Check(health_pb2.HealthCheckRequest())).status == not_serving
    with pytest.raises(grpc.aio.AioRpcError) as unknown:
        await health.Check(health_pb2.HealthCheckRequest(service="no.such.Service"))
    assert unknown.value.code() == grpc.StatusCode.NOT_FOUND
    watch.cancel()


async def test_a_stop_lets_calls_finish_and_takes_no_new_ones(echo: Echo) -> None:
    """Ensures that draining waits for a call under way, while health says NOT_SERVING."""
    watch = echo.stub.WatchJob(queue_pb2.WatchJobRequest(job_id="wait"))
    await watch.read()
    stopping = asyncio.ensure_future(echo.server.stop())
    await asyncio.wait_for(echo.server.draining.wait(), 5)
    assert not stopping.done()
    with pytest.raises(errors.DependencyUnavailable):
        await calls.call(echo.stub.GetJob, get("new"), timeout=3)
    watch.cancel()
    await asyncio.wait_for(stopping, 5)


async def test_an_address_in_use_is_named(data: Path, authority: Authority) -> None:
    """Ensures that a taken port ends the start with its address in the message."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings = ServiceSettings(data=data, port=taken.getsockname()[1])
        server = Server(settings, authority.identity("queue"), [SERVICE])
        with pytest.raises(OSError, match=f"127.0.0.1:{taken.getsockname()[1]}"):
            await server.start()


@pytest.mark.parametrize("service", ["grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"])
async def test_reflection_answers_in_both_versions(echo: Echo, service: str) -> None:
    """Ensures that old and new tools find the services."""
    from grpc_reflection.v1alpha import reflection_pb2

    method: grpc.aio.StreamStreamMultiCallable[Any, Any] = echo.channel.stream_stream(
        f"/{service}/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    call = method(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    answer: Any = await call.read()
    assert SERVICE in {each.name for each in answer.list_services_response.service}


async def test_reflection_is_off_by_default(data: Path, authority: Authority) -> None:
    """Ensures that a server shows itself only where it was switched on."""
    server = Server(ServiceSettings(data=data), authority.identity("queue"), [SERVICE])
    await server.start()
    async with connect(authority, server.port, "queue", identity="operator") as channel_:
        path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
        method: grpc.aio.StreamStreamMultiCallable[Any, Any] = channel_.stream_stream(path)
        call = method(iter([b""]))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
    await server.stop()
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_retries_cover_all_but_the_methods_that_must_not_be_repeated() -> None:
    """Ensures that the service config names methods that exist."""
    from google.protobuf import descriptor_pool

    from mezzotint.api.auth.v1 import account_pb2
    from mezzotint.api.inference.v1 import inference_pb2

    assert account_pb2.DESCRIPTOR
    assert inference_pb2.DESCRIPTOR
    names = json.loads(channel.service_config())["methodConfig"][0]["name"]
    for name in names:
        assert descriptor_pool.Default().FindMethodByName(f"{name['service']}.{name['method']}")
    assert job_pb2.DESCRIPTOR
