"""The process `mezzotint-auth`."""

from mezzotint.auth.app import run
from mezzotint.auth.settings import AuthSettings
from mezzotint.runtime import lifecycle


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    settings = AuthSettings()
    lifecycle.main("auth", settings, lambda stop: run(settings, stop))


if __name__ == "__main__":
    main()
