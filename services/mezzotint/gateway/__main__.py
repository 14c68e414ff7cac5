"""The gateway as a process: `python -m mezzotint.gateway`, or mezzotint-gateway."""

from mezzotint.gateway.app import run
from mezzotint.gateway.settings import GatewaySettings
from mezzotint.runtime import lifecycle


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = GatewaySettings()
    lifecycle.main("gateway", settings, lambda stop: run(settings, stop))


if __name__ == "__main__":
    main()
