"""The ratelimit service as a process."""

from mezzotint.ratelimit.app import run
from mezzotint.ratelimit.settings import RateLimitSettings
from mezzotint.runtime import lifecycle


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = RateLimitSettings()
    lifecycle.main("ratelimit", settings, lambda stop: run(settings, stop))


if __name__ == "__main__":
    main()
