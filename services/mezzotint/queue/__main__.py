"""`python -m mezzotint.queue`."""

from mezzotint.queue.app import run
from mezzotint.queue.settings import QueueSettings
from mezzotint.runtime import garbage, lifecycle


def main() -> None:
    """Run the queue until SIGTERM."""
    settings = QueueSettings()
    lifecycle.main("queue", settings, lambda stop: run(settings, stop, garbage.settle))


if __name__ == "__main__":
    main()
