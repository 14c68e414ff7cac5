"""`mezzotint certificates --into`: what the init container leaves for each service."""

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

from mezzotint.runtime.tls import load_identity, open_identity
from mezzotint_client.cli import main
from mezzotint_client.suite import IDENTITIES


@pytest.fixture
def issued(data: Path, tmp_path: Path) -> Path:
    """A folder of folders as the init container fills them."""
    run(data, tmp_path / "issued")
    return tmp_path / "issued"


def run(data: Path, into: Path) -> None:
    result = CliRunner().invoke(main, ["certificates", "--data", str(data), "--into", str(into)], catch_exceptions=False)
    assert result.exit_code == 0, result.output


def test_each_identity_gets_three_files_that_only_its_owner_reads(issued: Path) -> None:
    """Ensures that the authority's key goes to nobody, and no service's to another."""
    assert {folder.name for folder in issued.iterdir()} == set(IDENTITIES)
    for folder in issued.iterdir():
        assert {file.name for file in folder.iterdir()} == {"ca.pem", f"{folder.name}.pem", f"{folder.name}.key"}
        assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}


def test_a_service_opens_its_identity_from_what_it_was_given(issued: Path, data: Path, tmp_path: Path) -> None:
    """Ensures that a container with its folder mounted as tls starts, although it cannot write there."""
    own = tmp_path / "container"
    own.mkdir()
    (issued / "queue").rename(own / "tls")
    (own / "tls").chmod(0o500)
    assert open_identity(own, "queue", ["localhost"]) == load_identity(data, "queue")


def test_a_second_run_gives_the_same_again(issued: Path, data: Path) -> None:
    """Ensures that a start changes no certificate that is good, and brings back one that was lost."""
    before = {file: file.read_bytes() for file in issued.rglob("*.*")}
    (issued / "queue" / "queue.key").unlink()
    run(data, issued)
    assert {file: file.read_bytes() for file in issued.rglob("*.*")} == before
