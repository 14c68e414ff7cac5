"""What the gateway can be told by its environment: MEZZOTINT_GATEWAY_<FIELD>."""

from pydantic import Field

from mezzotint.runtime.settings import ServiceSettings, config

MIB = 1024 * 1024


class GatewaySettings(ServiceSettings):
    """Settings of the gateway."""

    model_config = config("gateway")

    port: int = Field(default=7400, ge=0, le=65535)
    """The gRPC port; 0 takes any free one."""
    message_bytes_max: int = Field(default=32 * MIB, ge=64 * 1024, le=64 * MIB)
    """The largest gRPC message taken or sent; a finished picture travels whole."""
    http_port: int = Field(default=8080, ge=0, le=65535)
    """The HTTP port; 0 takes any free one."""
    http_insecure: bool = False
    """Serve plain HTTP on an address that others can reach. Only behind a proxy that ends TLS."""
    public_url: str = Field(default="", pattern=r"^(https?://\S+)?$")
    """How clients reach the HTTP door, for links to pictures; empty: as the request's Host header says."""
    auth_address: str = "127.0.0.1:7401"
    """Where auth listens."""
    ratelimit_address: str = "127.0.0.1:7402"
    """Where ratelimit listens."""
    queue_address: str = "127.0.0.1:7403"
    """Where queue listens."""
    inference_address: str = "127.0.0.1:7404"
    """Where an inference process listens that can tell the models."""
    blobs_url: str = ""
    """The object store of finished pictures, as inference has it; empty: the folder `images` of the data folder."""
    image_cost_ms: int = Field(default=60, ge=1, le=3_600_000)
    """Expected device time of a picture besides its steps: text and decoding."""
    step_cost_ms: int = Field(default=25, ge=1, le=3_600_000)
    """Expected device time of one denoising step of one picture."""
    steps_default: int = Field(default=20, ge=1, le=100)
    """Steps expected of a request that names none."""
    start_within_seconds: int = Field(default=43_200, ge=1, le=80_000)
    """A generation that no worker began by then expires."""
    http_wait_seconds_max: float = Field(default=600.0, gt=0, le=86_400)
    """How long a request over HTTP without `stream` may take in all."""
    http_stream_seconds_max: float = Field(default=3600.0, gt=0, le=86_400)
    """How long a stream of server-sent events may take in all."""
    heartbeat_seconds: float = Field(default=10.0, gt=0, le=300)
    """A stream of server-sent events is silent for no longer."""
    generations_max: int = Field(default=20_000, ge=1)
    """Generations followed at once; more are refused with SERVER_OVERLOADED."""
    credentials_max: int = Field(default=100_000, ge=1)
    """Verified credentials remembered at once."""

    @property
    def peers(self) -> dict[str, str]:
        """The addresses of the services behind the gateway."""
        return {
            "auth": self.auth_address,
            "ratelimit": self.ratelimit_address,
            "queue": self.queue_address,
            "inference": self.inference_address,
        }
