"""Which processes make up Mezzotint on one machine, on which ports, and what each is told by its environment."""

import os
import random
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

HOST = "127.0.0.1"
SERVICES = ("auth", "ratelimit", "queue", "inference", "gateway")
# In this order, so that each can still reach those it calls: the gateway ends its calls, inference hands back its leases.
STOPPED = (("gateway",), ("inference",), ("auth", "ratelimit", "queue"))
# Whom each service calls, and the setting that says where.
PEERS = {"gateway": ("auth", "ratelimit", "queue", "inference"), "inference": ("queue",)}
DEFAULT_PORTS = {"gateway": 7400, "http": 8080, "auth": 7401, "ratelimit": 7402, "queue": 7403, "inference": 7404}
# Below the ports that systems give to outgoing connections, so that no connection takes a stopped service's port.
FREE_PORTS = range(20_000, 32_000)
# Of a person, not of a service.
WITHHELD = ("MEZZOTINT_API_KEY", "MEZZOTINT_ADDRESS", "MEZZOTINT_AUTHORITY")


class SuiteError(Exception):
    """The services could not be run; the message is for people."""


def default_ports() -> dict[str, int]:
    """The port of each service and of "http", the gateway's second: as the environment says, else as documented.

    Raises SuiteError when the environment holds no port, or the same for two.
    """
    try:
        ports = {name: int(os.environ.get(port_variable(name), port)) for name, port in DEFAULT_PORTS.items()}
    except ValueError as error:
        raise SuiteError(f"a variable MEZZOTINT_…_PORT is no number: {error}") from error
    if len(set(ports.values())) < len(ports):
        raise SuiteError(f"two services cannot share a port: {ports}; change the variables MEZZOTINT_…_PORT")
    return ports


def free_ports() -> dict[str, int]:
    """A free port for each service and for "http"."""
    with ExitStack() as held:
        return {name: hold_free_port(held) for name in DEFAULT_PORTS}


def hold_free_port(held: ExitStack) -> int:
    """A port that is free, taken until `held` closes so that the next one is another."""
    for port in random.sample(FREE_PORTS, len(FREE_PORTS)):
        candidate = held.enter_context(socket.socket())
        try:
            candidate.bind((HOST, port))
        except OSError:
            continue
        return port
    raise SuiteError(f"no port from {FREE_PORTS.start} to {FREE_PORTS.stop - 1} is free")


def require_free(ports: Mapping[str, int]) -> None:
    """Raise SuiteError, naming the port and the variable that changes it, when another process listens on one of them."""
    for name, port in ports.items():
        with socket.socket() as listener:
            # As the services do: connections that have just ended do not hold a port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((HOST, port))
            except OSError as error:
                raise SuiteError(
                    f"another process uses {HOST}:{port}, where {name} is to listen: {error.strerror}; stop it, or choose "
                    f"another port with {port_variable(name)}"
                ) from error


def port_variable(name: str) -> str:
    """The environment variable that sets a port: of a service, or "http"."""
    return "MEZZOTINT_GATEWAY_HTTP_PORT" if name == "http" else f"MEZZOTINT_{name.upper()}_PORT"


def environment(service: str, data: Path, ports: Mapping[str, int], extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of a service's process: ours, then what this installation fixes, then `extra`."""
    inherited = {name: value for name, value in os.environ.items() if name not in WITHHELD}
    prefix = f"MEZZOTINT_{service.upper()}_"
    fixed = {"MEZZOTINT_DATA": str(data), f"{prefix}HOST": HOST, port_variable(service): str(ports[service])}
    fixed |= {f"{prefix}{peer.upper()}_ADDRESS": f"{HOST}:{ports[peer]}" for peer in PEERS.get(service, ())}
    if service == "gateway":
        fixed[port_variable("http")] = str(ports["http"])
    if dict(ports) != default_ports():
        fixed[f"{prefix}METRICS_PORT"] = "0"
    return {"GRPC_VERBOSITY": "NONE", f"{prefix}REFLECTION": "true", **inherited, **fixed, **extra}
