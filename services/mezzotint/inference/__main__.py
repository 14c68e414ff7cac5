"""The process `mezzotint-inference`."""

from mezzotint.inference.app import run
from mezzotint.inference.settings import InferenceSettings
from mezzotint.runtime import lifecycle


def main() -> None:
    """Run the inference service until SIGTERM or SIGINT."""
    settings = InferenceSettings()
    lifecycle.main("inference", settings, lambda stop: run(settings, stop))


if __name__ == "__main__":
    main()
