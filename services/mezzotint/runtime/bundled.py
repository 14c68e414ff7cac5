"""Where the files that ship with Mezzotint lie: the default policies and the bundled models."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent
CHECKOUT = PACKAGE.parent.parent


def bundled(name: str) -> Path:
    """The folder or file `name` ("deploy/limits.yaml", "models"): inside an installed package, else in the checkout."""
    installed = PACKAGE / "bundled" / name
    return installed if installed.exists() else CHECKOUT / name
