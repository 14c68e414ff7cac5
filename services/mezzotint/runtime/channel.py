"""Channels to other services: mTLS, keepalive, and retries by service config."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import grpc

from mezzotint.runtime.tls import Identity, dns_name

# For modules that hand one on and know no more of gRPC.
Channel = grpc.aio.Channel
# A call that nobody answered is made again, at most this often in all.
ATTEMPTS_MAX = 5
# Not made again by the channel: the first call may have had its effect, and a second would have another.
NOT_RETRIED = (
    ("mezzotint.api.auth.v1.AccountService", "SignIn"),
    ("mezzotint.api.auth.v1.AccountService", "RefreshSession"),
    ("mezzotint.api.auth.v1.AccountService", "ChangePassword"),
    ("mezzotint.api.auth.v1.AccountService", "CreateApiKey"),
    ("mezzotint.api.auth.v1.AccountService", "RotateApiKey"),
    ("mezzotint.api.inference.v1.InferenceService", "Generate"),
)
KEEPALIVE_SECONDS = 20
MESSAGE_BYTES_MAX = 32 * 1024 * 1024


def service_config() -> str:
    """The gRPC service config: unanswered calls are made again, with backoff, unless they must not be."""
    retry = {
        "maxAttempts": ATTEMPTS_MAX,
        "initialBackoff": "0.1s",
        "maxBackoff": "2s",
        "backoffMultiplier": 2,
        # A call that reaches a server in the moment it stops is reset by gRPC and ends as CANCELLED here, unanswered.
        "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
    }
    excepted = [{"service": service, "method": method} for service, method in NOT_RETRIED]
    return json.dumps({"methodConfig": [{"name": excepted}, {"name": [{}], "retryPolicy": retry}]})


OPTIONS: Sequence[tuple[str, Any]] = (
    ("grpc.service_config", service_config()),
    ("grpc.keepalive_time_ms", KEEPALIVE_SECONDS * 1000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    # Soon back after a peer's restart: the default waits up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


def connect(address: str, service: str, identity: Identity) -> grpc.aio.Channel:
    """A channel to `service` at `address` that speaks as `identity` and accepts nobody but that service."""
    options = [*OPTIONS, ("grpc.ssl_target_name_override", dns_name(service))]
    return grpc.aio.secure_channel(address, identity.channel_credentials(), options=options)


def connect_public(address: str, service: str, authority_pem: bytes) -> grpc.aio.Channel:
    """A channel of an end user, who has no certificate, to the public door of `service`."""
    options = [*OPTIONS, ("grpc.ssl_target_name_override", dns_name(service))]
    return grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(authority_pem), options=options)


def connected(channel: Channel) -> bool:
    """A connection is open now; a call would go out at once."""
    return channel.get_state() is grpc.ChannelConnectivity.READY
