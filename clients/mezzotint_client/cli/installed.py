"""Whether the services can run here: the base install is only the client."""

from importlib.util import find_spec

from mezzotint_client.plan import SuiteError

# One package of each extra that the services need.
NEEDED = {"uvloop": "server", "apsw": "server", "fastapi": "server", "onnxruntime": "cpu"}


def require_services() -> None:
    """Raise SuiteError, saying what to install, unless the services' packages are here."""
    missing = [package for package in NEEDED if find_spec(package) is None]
    if missing:
        raise SuiteError(
            f"the services need packages that are not installed ({', '.join(missing)}): "
            "pip install 'mezzotint[server,cpu]', or [server,gpu] with an NVIDIA GPU"
        )
