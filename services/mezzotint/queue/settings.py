"""What the queue can be told by its environment."""

from pathlib import Path

from pydantic import Field

from mezzotint.runtime.bundled import bundled
from mezzotint.runtime.settings import ServiceSettings, config


class QueueSettings(ServiceSettings):
    """Settings of the queue: MEZZOTINT_QUEUE_<FIELD>."""

    model_config = config("queue")

    port: int = Field(default=7403, ge=0, le=65535)
    metrics_port: int = Field(default=9403, ge=0, le=65535)
    tiers: Path = Field(default_factory=lambda: bundled("deploy/tiers.yaml"))
    """The policy file that names the tiers and their shares."""
    heartbeat_seconds: float = Field(default=2.0, gt=0, le=60)
    """How often workers send a heartbeat."""
    lease_seconds: float = Field(default=10.0, gt=0, le=600)
    """How long a lease lives without a heartbeat."""
    grace_seconds: float = Field(default=10.0, gt=0, le=600)
    """How long a worker whose stream broke, or that outlived a restart of the queue, has to come back for its leases."""
    backoff_seconds: float = Field(default=1.0, gt=0, le=3600)
    """The pause after a first failed attempt; it doubles with each."""
    backoff_seconds_max: float = Field(default=60.0, gt=0, le=86_400)
    """The longest pause between attempts."""
    waiting_max: int = Field(default=1_000_000, ge=1, le=1_000_000)
    """Jobs that may wait at once."""
    account_waiting_max: int = Field(default=10_000, ge=1, le=1_000_000)
    """Jobs of one account that may wait at once."""
    retention_seconds: float = Field(default=7 * 86_400.0, ge=0)
    """How long finished jobs, their events and request ids are kept."""
    store_bytes_max: int = Field(default=64 * 1024**3, ge=0)
    """The largest size of the database; a tenth of it is for jobs already accepted. 0: what the disk holds."""
    place_seconds: float = Field(default=1.0, gt=0, le=60)
    """The shortest time between two messages that only tell of a new place in the queue."""
    tick_seconds: float = Field(default=0.05, gt=0, le=1)
    """How often leases, retries and deadlines are looked at."""
