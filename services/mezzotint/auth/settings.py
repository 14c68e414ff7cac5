"""What the auth service can be told by its environment: MEZZOTINT_AUTH_<FIELD>."""

import os
from pathlib import Path

from pydantic import Field

from mezzotint.runtime.bundled import bundled
from mezzotint.runtime.settings import ServiceSettings, config


class AuthSettings(ServiceSettings):
    """Settings of the auth service."""

    model_config = config("auth")

    port: int = Field(default=7401, ge=0, le=65535)
    """The gRPC port; 0 takes any free one."""
    metrics_port: int = Field(default=9401, ge=0, le=65535)
    """The port of Prometheus metrics; 0: none."""
    tiers_file: Path = Field(default_factory=lambda: bundled("deploy/tiers.yaml"))
    """The YAML file that names the tiers accounts can be in; read at start."""
    hashing_threads: int = Field(default_factory=lambda: max(1, (os.cpu_count() or 1) // 2), ge=1, le=256)
    """Passwords hashed at once. Half of the processors by default, so that other calls are answered meanwhile."""
    hashing_waiting_max: int = Field(default=100, ge=1, le=10_000)
    """Passwords that may wait for a thread; more are refused with SERVER_OVERLOADED."""
    hashing_wait_seconds_max: float = Field(default=5.0, gt=0, le=60)
    """How long a password may have to wait by the time the last ones took; else it is refused with SERVER_OVERLOADED."""
    hashing_memory_kib: int = Field(default=19 * 1024, ge=7 * 1024, le=1024 * 1024)
    """Memory of one argon2id hash; with hashing_passes, OWASP's recommendation. A change applies at each next sign-in."""
    hashing_passes: int = Field(default=2, ge=1, le=100)
    """Passes of one argon2id hash over its memory."""
