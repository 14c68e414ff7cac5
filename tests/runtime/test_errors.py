"""Errors keep their class, reason and details on the way over the wire."""

import grpc
import pytest
from google.rpc import status_pb2
from grpc_status import rpc_status
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.api.errors.v1 import errors_pb2
from mezzotint.runtime import errors, statuses

CLASSES = sorted(errors.BY_REASON.values(), key=lambda cls: cls.reason)


def failed_call(status: status_pb2.Status) -> grpc.aio.AioRpcError:
    """A failed call as a client sees it, from the status its server sent."""
    sent = rpc_status.to_status(status)
    return grpc.aio.AioRpcError(sent.code, grpc.aio.Metadata(), grpc.aio.Metadata(*sent.trailing_metadata), sent.details)


def test_the_contract_and_the_classes_name_the_same_reasons() -> None:
    """Ensures that no reason is missing on either side."""
    in_contract = {name.removeprefix("REASON_") for name in errors_pb2.Reason.DESCRIPTOR.values_by_name} - {"UNSPECIFIED"}
    assert in_contract == set(errors.BY_REASON)


def test_every_class_has_the_status_that_the_contract_states() -> None:
    """Ensures that the code in each reason's comment is the one that is sent."""
    from pathlib import Path

    text = (Path(__file__).parents[2] / "protos/mezzotint/api/errors/v1/errors.proto").read_text().splitlines()
    for number, line in enumerate(text):
        name = line.strip().split(" = ")[0].removeprefix("REASON_")
        if name in errors.BY_REASON:
            comment = text[number - 1].strip(" /")
            comment = (
                text[number - 2].strip(" /")
                if comment.split(".")[0].split(" ")[0] not in grpc.StatusCode.__members__
                else comment
            )
            assert comment.startswith(statuses.CODES[errors.BY_REASON[name]].name), f"{name}: {comment}"


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.reason)
def test_a_client_gets_the_class_the_server_raised(cls: type[errors.MezzotintError]) -> None:
    """Ensures that class, message, retry time, metadata and violations come back."""
    sent = cls(
        "what was wrong", retry_after=1.5, metadata={"a": "b"}, violations=[errors.FieldViolation("spec.prompt", "too long")]
    )
    got = statuses.from_call(failed_call(statuses.to_status(sent)))
    assert type(got) is cls
    assert (got.message, got.retry_after, got.metadata, got.violations) == (sent.message, 1.5, {"a": "b"}, sent.violations)


@given(st.text(), st.floats(0, 1e6) | st.none(), st.dictionaries(st.text(max_size=10), st.text(max_size=20), max_size=4))
def test_any_text_survives_the_way(message: str, retry_after: float | None, metadata: dict[str, str]) -> None:
    """Ensures that no message, number or metadata breaks the encoding."""
    got = statuses.from_call(
        failed_call(statuses.to_status(errors.QuotaExceeded(message, retry_after=retry_after, metadata=metadata)))
    )
    assert (got.message, got.metadata) == (message, metadata)
    assert (got.retry_after is None) == (retry_after is None)
    assert retry_after is None or got.retry_after == pytest.approx(retry_after, abs=1e-6)
