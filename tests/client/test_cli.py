"""The command line without services: help, files, and what people see when something is wrong."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from mezzotint_client.cli import main
from mezzotint_client.profile import Profile, load, save


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the developer's own Mezzotint reaches the tests."""
    for name in [name for name in os.environ if name.startswith("MEZZOTINT_")]:
        monkeypatch.delenv(name)


def invoke(*arguments: object, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], env=env)


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


@pytest.mark.parametrize("path", [path for path, _ in commands(main)], ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    """Each command has a sentence of help, and each of its options too."""
    result = invoke(*path, "--help")
    assert result.exit_code == 0
    command = dict(commands(main))[path]
    assert command.help
    for parameter in command.params:
        assert not isinstance(parameter, click.Option) or parameter.help, f"{parameter.name} has no help"


def test_commands_are_listed_in_the_order_of_need() -> None:
    """A newcomer reads what to do first at the top."""
    lines = invoke("--help").output.splitlines()
    listed = [line.split()[0] for line in lines[lines.index("Commands:") + 1 :]]
    assert listed == ["up", "demo", "generate", "account", "keys", "jobs", "queue", "export", "certificates", "grpcurl-flags"]


def test_a_wrong_option_is_a_usage_error() -> None:
    """Exit code 2 tells a script that it called the command wrongly."""
    assert invoke("generate").exit_code == 2
    assert invoke("generate", "x", "--steps", "0").exit_code == 2
    assert invoke("certificates", "nobody").exit_code == 2


def test_without_an_account_the_error_says_how_to_get_one(data: Path) -> None:
    """The reason, the message and what to do, on standard error; exit code 1."""
    result = invoke("generate", "a red heart", "--data", data)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "CREDENTIAL_MISSING" in result.stderr
    assert "mezzotint account create" in result.stderr


def test_without_the_servers_certificate_the_error_says_where_to_get_it(data: Path) -> None:
    """A folder in which Mezzotint never ran is no reason for a traceback."""
    result = invoke("jobs", "list", "--data", data, env={"MEZZOTINT_API_KEY": "mzt_x"})
    assert result.exit_code == 1
    assert "mezzotint up" in result.stderr


def test_without_a_server_the_error_says_how_to_start_one(data: Path) -> None:
    """A server that does not answer is named as such."""
    invoke("certificates", "--data", data)
    result = invoke("jobs", "list", "--data", data, "--address", "127.0.0.1:1", env={"MEZZOTINT_API_KEY": "mzt_x"})
    assert result.exit_code == 1
    assert "DEPENDENCY_UNAVAILABLE" in result.stderr
    assert "mezzotint up" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_size_that_is_none_is_refused_before_any_call(data: Path) -> None:
    """The field and an example are shown."""
    invoke("certificates", "--data", data)
    result = invoke("generate", "x", "--size", "big", "--data", data, env={"MEZZOTINT_API_KEY": "mzt_x"})
    assert result.exit_code == 1
    assert "FIELD_INVALID" in result.stderr
    assert "256x256" in result.stderr


def test_certificates_are_made_once(data: Path) -> None:
    """All identities, private to their owner; a second run leaves them as they are."""
    first = invoke("certificates", "--data", data, "--host", "queue")
    paths = [Path(line) for line in first.stdout.splitlines()]
    assert [path.stem for path in paths] == ["auth", "ratelimit", "queue", "inference", "gateway", "operator"]
    before = [path.read_bytes() for path in paths]
    assert invoke("certificates", "--data", data, "queue").stdout == f"{data}/tls/queue.pem\n"
    assert [path.read_bytes() for path in paths] == before
    for path in (data / "tls").glob("*.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_certificates_are_handed_out_one_identity_a_folder(data: Path, tmp_path: Path) -> None:
    """Each gets what it needs to speak as itself, never the authority's key; the operator's commands work from its folder."""
    assert invoke("certificates", "--data", data, "--into", tmp_path / "issued").exit_code == 0
    names = {folder.name: sorted(file.name for file in folder.iterdir()) for folder in (tmp_path / "issued").iterdir()}
    assert names["queue"] == ["ca.pem", "queue.key", "queue.pem"]
    assert len(names) == 6
    operator = tmp_path / "operator"
    operator.mkdir()
    (tmp_path / "issued" / "operator").rename(operator / "tls")
    before = sorted((operator / "tls").iterdir())
    assert f"{operator.resolve()}/tls/operator.pem" in invoke("grpcurl-flags", "--data", operator).stdout
    assert sorted((operator / "tls").iterdir()) == before


def test_grpcurl_flags_name_files_and_no_secret(data: Path) -> None:
    """The flags are three paths; the credential is named, not shown, and only when asked for."""
    plain = invoke("grpcurl-flags", "--data", data).stdout
    folder = data.resolve() / "tls"
    assert plain.split() == ["-cacert", f"{folder}/ca.pem", "-cert", f"{folder}/operator.pem", "-key", f"{folder}/operator.key"]
    asked = invoke("grpcurl-flags", "--data", data, "--service", "gateway", "--authorization").stdout
    assert "-authority gateway.mezzotint.internal" in asked
    assert "authorization:${MEZZOTINT_AUTHORIZATION}" in asked


def test_a_data_folder_with_a_space_is_quoted(tmp_path: Path) -> None:
    """What is printed can be given to eval."""
    assert f"'{tmp_path.resolve()}/my data/tls/ca.pem'" in invoke("grpcurl-flags", "--data", tmp_path / "my data").stdout


def test_a_profile_is_private_and_an_other_accounts_is_kept(data: Path) -> None:
    """Keys lie in files of mode 0600, and a new account does not lose the key of the one before."""
    ada, bob = Profile("a:1", "ada@x.org", "mzt_ada"), Profile("a:1", "bob@x.org", "mzt_bob", "secret")
    save(data, ada)
    save(data, bob)
    assert load(data) == bob
    assert "mzt_ada" in (data / "profile.old.json").read_text()
    assert (data / "authorization.header").read_text() == "authorization: Bearer mzt_bob\n"
    for file in data.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "mzt" not in repr(bob)
    assert "secret" not in repr(bob)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"address": 1}', '{"unknown": "x"}', "null"])
def test_a_broken_profile_counts_as_none(data: Path, content: str) -> None:
    """A file cut short or of another version is no reason to fail."""
    data.mkdir()
    (data / "profile.json").write_text(content)
    assert load(data) is None
