"""The HTTP door's tables and parsing, without a server."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, get_args

import pytest
from google.protobuf import duration_pb2
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.api.images.v1 import images_pb2
from mezzotint.api.inference.v1 import generation_pb2
from mezzotint.api.ratelimit.v1 import ratelimit_pb2
from mezzotint.gateway.http import door, limits, schema, wire
from mezzotint.gateway.http.errors import HttpError, body_of, retry_headers, status_of
from mezzotint.gateway.settings import GatewaySettings
from mezzotint.runtime import errors
from mezzotint.runtime.errors import FieldInvalid, MezzotintError, StartRefused
from mezzotint.runtime.interceptors.validation import validate


@pytest.mark.parametrize("kind", errors.BY_REASON.values(), ids=list(errors.BY_REASON))
def test_every_error_has_a_status_and_a_body(kind: type[MezzotintError]) -> None:
    """Ensures that no reason of the catalogue is left out of the table, and that each body has OpenAI's four fields."""
    error = kind("why")
    assert 400 <= status_of(error) <= 504
    body = body_of(error)["error"]
    assert {"message", "type", "param", "code", "reason"} == set(body)
    assert (body["message"], body["reason"]) == ("why", kind.reason)


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (errors.ServerOverloaded("x", retry_after=0.25), {"retry-after": "1", "retry-after-ms": "250"}),
        (errors.QuotaExceeded("x", retry_after=0), {"retry-after": "1", "retry-after-ms": "1"}),
        (
            errors.QuotaExceeded("x", retry_after=7200),
            {"retry-after": "120", "retry-after-ms": "120000", "x-should-retry": "false"},
        ),
        (errors.QuotaExceeded("x"), {"x-should-retry": "false"}),
        (errors.JobFailed("x"), {"x-should-retry": "false"}),
        (errors.ServerDraining("x"), {}),
    ],
)
def test_clients_are_told_when_to_retry(error: MezzotintError, headers: dict[str, str]) -> None:
    """Ensures waits that the SDK honours, and no retry where none would help."""
    assert retry_headers(error) == headers


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0, "0ms"), (0.25, "250ms"), (1.5, "1.5s"), (59.96, "1m0s"), (360.0, "6m0s"), (7325.0, "2h2m5s")]
)
def test_times_in_headers(seconds: float, text: str) -> None:
    """Ensures the format that OpenAI's clients know."""
    assert limits.duration(seconds) == text


def test_the_tightest_limit_is_shown() -> None:
    """Ensures that of several limits on one thing the one with the least left is told."""
    statuses = [
        ratelimit_pb2.LimitStatus(dimension="images", limit=200, remaining=150, reset_after=duration_pb2.Duration(seconds=9)),
        ratelimit_pb2.LimitStatus(dimension="images", limit=5, remaining=3, reset_after=duration_pb2.Duration(seconds=2)),
    ]
    assert limits.headers_of(statuses) == {
        "x-ratelimit-limit-images": "5",
        "x-ratelimit-remaining-images": "3",
        "x-ratelimit-reset-images": "2s",
    }


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"", "invalid_json", None),
        (b"{", "invalid_json", None),
        (b"[" * 200_000, "invalid_json", None),
        (b'{"prompt": ' + b"1" * 5000 + b"}", "invalid_json", None),
        (b'{"prompt": "\xff\xfe"}', "invalid_utf8", None),
        (b"null", "invalid_type", None),
        (b'"prompt"', "invalid_type", None),
        (b"[]", "invalid_type", None),
        (b"{}", "missing_required_parameter", "prompt"),
        (b'{"prompt": null}', "invalid_type", "prompt"),
        (b'{"prompt": ["a"]}', "invalid_type", "prompt"),
        (b'{"prompt": "\\ud800"}', "invalid_utf8", None),
        (b'{"\\uDFFF": 1}', "invalid_utf8", None),
        (b'{"prompt": "a", "' + b"k" * 100_000 + b'": 1}', "unknown_parameter", "k" * 64),
        (b'{"prompt": "a", "n": 1.5}', "invalid_type", "n"),
        (b'{"prompt": "a", "n": true}', "invalid_type", "n"),
        (b'{"prompt": "a", "stream": "yes"}', "invalid_type", "stream"),
        (b'{"prompt": "a", "guidance": NaN}', "invalid_value", "guidance"),
        (b'{"prompt": "a", "seed": 1e400}', "invalid_type", "seed"),
        (b'{"prompt": "a", "seed": 99999999999999999999}', "invalid_value", "seed"),
        (b'{"prompt": "a", "output_format": "bmp"}', "invalid_value", "output_format"),
        (b'{"prompt": "a", "constructor": {}}', "unknown_parameter", "constructor"),
    ],
)
def test_a_bad_body_is_refused_with_its_parameter(body: bytes, code: str, param: str | None) -> None:
    """Ensures a 400 that says what and where for whatever bytes arrive."""
    with pytest.raises(HttpError) as caught:
        schema.parsed(body)
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, code, param)
    assert len(caught.value.message) < 300


values = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20), st.lists, max_leaves=4)
names = st.sampled_from(sorted(schema.ImageRequest.model_fields)) | st.text(max_size=8)


@given(st.dictionaries(names, values, max_size=6) | values)
def test_no_json_is_a_defect(value: Any) -> None:
    """Ensures that any JSON becomes either a valid request or an error of the caller's."""
    with suppress(HttpError, FieldInvalid):
        request = schema.parsed(json.dumps(value).encode())
        validate(images_pb2.GenerateImagesRequest(spec=schema.spec_of(request)))


def test_all_that_is_asked_reaches_the_engine() -> None:
    """Ensures that each parameter has its field."""
    request = schema.ImageRequest(
        prompt="a", negative_prompt="b", model="m", n=3, size="512x256", output_format="webp", background="opaque", stream=True,
        partial_images=2, seed=0, steps=7, guidance=1.5, scheduler="lcm",
    )  # fmt: skip
    assert schema.spec_of(request) == generation_pb2.GenerationSpec(
        prompt="a", negative_prompt="b", model="m", images=3, width=512, height=256, opaque=True, previews=2, seed=0, steps=7,
        guidance=1.5, format=generation_pb2.IMAGE_FORMAT_WEBP, scheduler=generation_pb2.SCHEDULER_LCM,
    )  # fmt: skip


def test_every_scheduler_of_the_contract_has_a_name() -> None:
    """Ensures that each can be asked for over HTTP."""
    asked = [schema.spec_of(schema.ImageRequest(prompt="a", scheduler=name)).scheduler for name in get_args(schema.Scheduler)]
    assert sorted(asked) == sorted(set(generation_pb2.Scheduler.values()) - {generation_pb2.SCHEDULER_UNSPECIFIED})


def test_an_event_is_one_line_of_data() -> None:
    """Ensures that no text can end an event early."""
    assert wire.event({"a": "x\n\ndata: y"}, "e") == b'event: e\ndata: {"a":"x\\n\\ndata: y"}\n\n'


@given(st.binary(max_size=64))
def test_a_preview_may_be_anything(preview: bytes) -> None:
    """Ensures that a preview that is no PNG is passed on and not looked into."""
    event = wire.partial(schema.ImageRequest(prompt="a", size="256x256"), preview, 0, created=1)
    assert event["partial_image_index"] == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "gateway.example.org"])
def test_plain_http_is_not_for_a_network(host: str) -> None:
    """Ensures that the HTTP door opens to others only when somebody said so."""
    with pytest.raises(StartRefused, match="MEZZOTINT_GATEWAY_HTTP_INSECURE"):
        door.require_private(GatewaySettings(host=host))
    door.require_private(GatewaySettings(host=host, http_insecure=True))
    for own in ("127.0.0.1", "localhost", "::1"):
        door.require_private(GatewaySettings(host=own))
