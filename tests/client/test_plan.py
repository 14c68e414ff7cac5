"""What each process is told, and on which ports they listen."""

import importlib
import socket
from pathlib import Path

import pytest

from mezzotint.runtime.settings import ServiceSettings
from mezzotint_client import plan

PORTS = {name: 20_000 + number for number, name in enumerate(plan.DEFAULT_PORTS)}


@pytest.mark.parametrize("service", plan.SERVICES)
def test_a_service_reads_every_variable_it_is_given(service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ports, peers and the data folder arrive in the service's settings: no variable is misspelt and silently ignored."""
    module = importlib.import_module(f"mezzotint.{service}.settings")
    settings_class = getattr(module, f"{service.capitalize().replace('limit', 'Limit')}Settings")
    environment = plan.environment(service, tmp_path, PORTS, {})
    prefix = f"MEZZOTINT_{service.upper()}_"
    ours = {name: value for name, value in environment.items() if name.startswith("MEZZOTINT_")}
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    settings = settings_class()
    assert isinstance(settings, ServiceSettings)
    assert settings.data == tmp_path
    for name, value in ours.items():
        if name.startswith(prefix):
            assert str(getattr(settings, name.removeprefix(prefix).lower())).lower() == value


def test_free_ports_differ_and_are_free() -> None:
    """Each service and the HTTP door get another port, and it can be listened on."""
    ports = plan.free_ports()
    assert set(ports) == set(plan.DEFAULT_PORTS)
    assert len(set(ports.values())) == len(ports)
    for port in ports.values():
        with socket.socket() as listener:
            listener.bind((plan.HOST, port))


def test_default_ports_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable moves one service, and all who call it are told."""
    monkeypatch.setenv("MEZZOTINT_QUEUE_PORT", "17403")
    ports = plan.default_ports()
    assert (ports["queue"], ports["auth"]) == (17403, 7401)
    assert plan.environment("gateway", Path("/data"), ports, {})["MEZZOTINT_GATEWAY_QUEUE_ADDRESS"] == "127.0.0.1:17403"


@pytest.mark.parametrize(("value", "message"), [("x", "no number"), ("7401", "cannot share")])
def test_ports_that_cannot_work_are_refused(monkeypatch: pytest.MonkeyPatch, value: str, message: str) -> None:
    """A variable that is no port, or another service's, is named before anything starts."""
    monkeypatch.setenv("MEZZOTINT_QUEUE_PORT", value)
    with pytest.raises(plan.SuiteError, match=message):
        plan.default_ports()


def test_a_port_that_is_taken_is_named_with_what_changes_it() -> None:
    """The error tells the port, whose it was to be, and the variable; a free one passes."""
    with socket.socket() as taken:
        taken.bind((plan.HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(plan.SuiteError, match=rf"{port}, where queue is to listen.*MEZZOTINT_QUEUE_PORT"):
            plan.require_free({"queue": port})
    plan.require_free({"queue": port})


def test_a_persons_credential_does_not_reach_the_services(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a service holds no API key."""
    monkeypatch.setenv("MEZZOTINT_API_KEY", "mzt_secret")
    assert "MEZZOTINT_API_KEY" not in plan.environment("queue", Path("/data"), PORTS, {})
