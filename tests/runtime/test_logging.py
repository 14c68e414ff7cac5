"""No secret reaches a log line, under whatever name or in whatever text it comes."""

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.runtime.logging import HIDDEN, redact

API_KEY = "mzt_01k9abcdefgh_Zx81QmPq0a"
TOKEN = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"


@pytest.mark.parametrize(
    "name", ["password", "new_password", "client_secret", "authorization", "credential", "api_key", "refresh_token"]
)
def test_values_with_secret_names_are_hidden(name: str) -> None:
    """Ensures that the name is enough, also inside other values."""
    assert redact(None, "", {name: "x", "inner": {name: "x"}, "list": [{name: "x"}]}) == {
        name: HIDDEN,
        "inner": {name: HIDDEN},
        "list": [{name: HIDDEN}],
    }


def test_tokens_that_are_no_secrets_stay() -> None:
    """Ensures that a lease or a page can be followed through the log."""
    assert redact(None, "", {"fencing_token": 7, "page_token": "12"}) == {"fencing_token": 7, "page_token": "12"}


@given(st.text(), st.text(), st.sampled_from([API_KEY, TOKEN, f"Bearer {API_KEY}"]))
def test_secrets_are_found_inside_any_text(before: str, after: str, secret: str) -> None:
    """Ensures that a secret's shape is enough, wherever it stands."""
    event: Any = redact(None, "", {"event": f"{before} {secret} {after}"})
    assert secret.removeprefix("Bearer ") not in event["event"]


def test_a_process_logs_json_with_its_ids_and_without_secrets() -> None:
    """Ensures that structlog and the standard library end as the same kind of line."""
    code = (
        "import logging as std, structlog; from mezzotint.runtime import logging;"
        "logging.configure('queue', 'info'); structlog.contextvars.bind_contextvars(request_id='req_1');"
        f"logging.get('a').info('took', note='{API_KEY}'); std.getLogger('b').warning('seen %s', '{TOKEN}')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert [(line["event"], line["service"], line["request_id"]) for line in lines] == [
        ("took", "queue", "req_1"),
        (f"seen {HIDDEN}", "queue", "req_1"),
    ]
    assert API_KEY not in result.stderr
    assert TOKEN not in result.stderr
