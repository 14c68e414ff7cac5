"""What the ratelimit service can be told by its environment: MEZZOTINT_RATELIMIT_<FIELD>."""

from pathlib import Path

from pydantic import Field

from mezzotint.runtime.bundled import bundled
from mezzotint.runtime.settings import ServiceSettings, config


class RateLimitSettings(ServiceSettings):
    """Settings of the ratelimit service."""

    model_config = config("ratelimit")

    port: int = Field(default=7402, ge=0, le=65535)
    """The gRPC port; 0 takes any free one."""
    metrics_port: int = Field(default=9402, ge=0, le=65535)
    """The port of Prometheus metrics; 0: none."""
    limits_file: Path = Field(default_factory=lambda: bundled("deploy/limits.yaml"))
    """The tiers and their limits."""
    snapshot_seconds: float = Field(default=5.0, gt=0, le=3600)
    """How often calendar quotas and open reservations are written down; a crash forgets at most so much."""
