"""compose.yaml: every service is there, shut in, checked for health, and told what its settings understand."""

import re

import pytest

from mezzotint.gateway.http.edits import FORM_BYTES_MAX
from mezzotint.gateway.http.form_room import FORMS_AT_ONCE
from mezzotint.runtime import probe
from mezzotint_client.plan import SERVICES
from tests.deploy.files import Tree, compose, containers, final_stage, mounts, project, settings_of

# Not services: the one makes certificates and ends, the other is a person's command line.
INIT, OPERATOR = "certificates", "operator"


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    """Each service of the suite in turn."""
    return str(request.param)


def seconds(text: str) -> float:
    """A duration as compose writes it, "20s" or "1m"."""
    return float(text[:-1]) * {"s": 1, "m": 60}[text[-1]]


def test_every_service_is_there_and_nothing_else() -> None:
    """Ensures that a service added to the suite is added to its containers."""
    assert set(containers()) == {*SERVICES, INIT, OPERATOR}


def test_each_runs_its_own_command_and_is_asked_by_its_own_probe(service: str) -> None:
    """Ensures that a container is healthy exactly when the service in it says that it is ready."""
    container = containers()[service]
    assert container["command"] == [f"mezzotint-{service}"]
    assert container["command"][0] in project()["project"]["scripts"]
    check = container["healthcheck"]
    assert check["test"] == ["CMD", "python", "-m", "mezzotint.runtime.probe", service]
    assert probe.ANSWER_SECONDS_MAX < seconds(check["timeout"]) <= seconds(check["interval"])


def test_the_probe_knows_where_services_listen(service: str) -> None:
    """Ensures that a changed default port is changed in the probe too."""
    assert settings_of(service).model_fields["port"].default == probe.PORTS[service]


def test_services_start_in_order_and_come_back(service: str) -> None:
    """Ensures that certificates come first, the gateway waits for its needs, and a crash is followed by a start."""
    container = containers()[service]
    assert container["depends_on"][INIT] == {"condition": "service_completed_successfully"}
    assert container["restart"] == "unless-stopped"
    others = {name: each["condition"] for name, each in container["depends_on"].items() if name != INIT}
    needed = ("auth", "ratelimit", "queue") if service == "gateway" else ()
    assert others == dict.fromkeys(needed, "service_healthy")


def test_a_stop_leaves_time_to_drain(service: str) -> None:
    """Ensures that no container is killed while its calls may still end."""
    drain_seconds = settings_of(service).model_fields["drain_seconds"].default
    assert seconds(containers()[service]["stop_grace_period"]) >= drain_seconds + 5


@pytest.mark.parametrize("container", containers().values(), ids=containers())
def test_no_container_may_do_more_than_its_work(container: Tree) -> None:
    """Ensures an ordinary user, no capabilities, a root that cannot be written, and limits on memory, processes and logs."""
    assert container["user"] == dict(final_stage())["USER"]
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "devices", "pid", "ipc", "env_file", "secrets"} & set(container)
    assert container.get("network_mode", "none") == "none"
    assert container["mem_limit"]
    assert container["pids_limit"] > 0
    assert container["logging"]["options"]["max-size"]


@pytest.mark.parametrize("container", containers().values(), ids=containers())
def test_only_named_volumes_are_mounted_where_the_image_has_a_folder(container: Tree) -> None:
    """Ensures that no folder of the host is reached, and that a new volume belongs to the image's user."""
    made = next(rest for word, rest in final_stage() if word == "RUN" and "install --directory" in rest).split()
    for name, (target, _) in mounts(container).items():
        assert name in compose()["volumes"]
        assert target in made, f"make {target} in the Dockerfile, or Docker makes it for root"


def test_only_the_gateway_is_published_and_only_to_this_machine() -> None:
    """Ensures that no service behind the gateway can be reached from outside, nor the gateway from another machine."""
    assert [name for name, each in containers().items() if "ports" in each or "expose" in each] == ["gateway"]
    fields = settings_of("gateway").model_fields
    numbers = {name: fields[name].default for name in ("port", "http_port")}
    published = [f"127.0.0.1:${{MEZZOTINT_GATEWAY_{name.upper()}:-{number}}}:{number}" for name, number in numbers.items()]
    assert containers()["gateway"]["ports"] == published
    assert compose()["networks"]["services"] == {"internal": True}
    outside = {name for name, each in containers().items() if each.get("networks", ["services"]) != ["services"]}
    assert outside == {"gateway"}


def test_the_image_is_this_version() -> None:
    """Ensures that no container runs whatever is newest, and that a release is not started with the image before it."""
    assert {each["image"] for each in containers().values()} == {f"mezzotint:{project()['project']['version']}"}
    assert [name for name, each in containers().items() if "build" in each] == [INIT]


def test_every_variable_is_a_setting_of_its_service(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ensures that no variable is misspelled, left behind by a renamed setting, or not valid for it."""
    settings, variables = settings_of(service), containers()[service]["environment"]
    prefix = f"MEZZOTINT_{service.upper()}_"
    for name, value in variables.items():
        assert name.startswith(prefix)
        assert name.removeprefix(prefix).lower() in settings.model_fields, f"{settings.__name__} has no such field"
        assert isinstance(value, str), f"quote the value of {name}"
        monkeypatch.setenv(name, value)
    assert settings().host == "0.0.0.0"


def test_every_address_is_a_service_at_its_port() -> None:
    """Ensures that services are sent where the others listen, and that the gateway is sent to all of them."""
    found: dict[str, set[str]] = {}
    for name, each in containers().items():
        for variable, value in each.get("environment", {}).items():
            if match := re.fullmatch(r"([a-z]+):(\d+)", value):
                found.setdefault(name, set()).add(match[1])
                assert int(match[2]) == probe.PORTS[match[1]], variable
    assert found == {"gateway": set(SERVICES) - {"gateway"}, "inference": {"queue"}, OPERATOR: {"gateway"}}


def test_the_authoritys_key_is_the_inits_alone() -> None:
    """Ensures that a service that is taken over can issue no certificate."""
    assert [name for name, each in containers().items() if "authority" in mounts(each)] == [INIT]
    assert mounts(containers()[INIT])["authority"] == ("/data", "rw")
    assert containers()[INIT]["network_mode"] == "none"


@pytest.mark.parametrize("name", [*SERVICES, OPERATOR])
def test_each_reads_its_own_certificate_and_no_other(name: str) -> None:
    """Ensures that a service that is taken over can speak as itself only, and change no certificate."""
    tls = {volume: mount for volume, mount in mounts(containers()[name]).items() if volume.startswith("tls-")}
    assert tls == {f"tls-{name}": ("/data/tls", "ro")}
    assert mounts(containers()[INIT])[f"tls-{name}"] == (f"/issued/{name}", "rw")


def test_what_is_kept_has_one_owner_but_the_pictures() -> None:
    """Ensures that no two containers write one volume but that of pictures: those drawn and those that came."""
    writers: dict[str, list[str]] = {}
    for name, each in containers().items():
        for volume, (_, mode) in mounts(each).items():
            if mode == "rw":
                writers.setdefault(volume, []).append(name)
    shared = {volume: names for volume, names in writers.items() if len(names) > 1}
    assert shared == {"pictures": ["inference", "gateway"]}
    assert set(writers) == set(compose()["volumes"])


def test_the_gateway_has_room_for_the_pictures_that_come() -> None:
    """Ensures that it may write them to the store, and that all forms it receives at once fit its /tmp."""
    gateway = containers()["gateway"]
    assert "pictures:/data/images" in gateway["volumes"]
    (tmp,) = gateway["tmpfs"]
    size = re.fullmatch(r"/tmp:size=(\d+)m,mode=1777", tmp)
    assert size
    assert int(size[1]) * 1024 * 1024 >= FORMS_AT_ONCE * FORM_BYTES_MAX
