"""What every service can be told by its environment: MEZZOTINT_<SERVICE>_<FIELD>, and MEZZOTINT_DATA for all."""

from pathlib import Path

from platformdirs import user_data_path
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def config(service: str) -> SettingsConfigDict:
    """The pydantic configuration of one service's settings."""
    return SettingsConfigDict(env_prefix=f"MEZZOTINT_{service.upper()}_", frozen=True, extra="ignore", populate_by_name=True)


class ServiceSettings(BaseSettings):
    """Settings that all services share. Subclasses set `port` and `metrics_port`, and add their own."""

    model_config = config("service")

    data: Path = Field(default_factory=lambda: user_data_path("mezzotint"), validation_alias="MEZZOTINT_DATA")
    """The folder of everything kept: databases, pictures, certificates."""
    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = Field(default=0, ge=0, le=65535)
    """The gRPC port; 0 takes any free one."""
    metrics_port: int = Field(default=0, ge=0, le=65535)
    """The port of Prometheus metrics; 0: none."""
    hosts: tuple[str, ...] = ("localhost", "127.0.0.1")
    """Names and addresses that clients reach this service by; they stand in its certificate."""
    reflection: bool = False
    """Serve gRPC reflection and channelz, for debugging by hand."""
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")
    """The least severe messages that are logged."""
    drain_seconds: float = Field(default=10.0, ge=0, le=600)
    """How long calls under way may go on after SIGTERM."""
    message_bytes_max: int = Field(default=4 * 1024 * 1024, ge=64 * 1024, le=64 * 1024 * 1024)
    """The largest gRPC message taken or sent."""
    concurrent_calls_max: int = Field(default=20_000, ge=1)
    """Calls under way at once; more are refused with RESOURCE_EXHAUSTED."""
