"""`mezzotint export` on the command line; what it does is tested in tests/export, where torch is."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from mezzotint_client.cli import export as command
from mezzotint_client.cli import main


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["export", *arguments])
    return done.exit_code, done.output


def test_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the packages of the extra the command says which are missing and what to install, and writes nothing."""
    monkeypatch.setitem(command.NEEDED, "a_package_of_nobody", "export")
    code, output = run(str(tmp_path), str(tmp_path / "out"))
    assert code == 1
    assert "a_package_of_nobody" in output
    assert "pip install 'mezzotint[server,cpu,export]'" in output
    assert not (tmp_path / "out").exists()


def test_precisions_exclude_each_other(tmp_path: Path) -> None:
    """A graph is float16 or int8, not both."""
    code, output = run(str(tmp_path), str(tmp_path / "out"), "--fp16", "--int8")
    assert code == 2
    assert "exclude each other" in output


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    """A folder that does not exist is a mistake of the command line."""
    code, output = run(str(tmp_path / "nobody"), str(tmp_path / "out"))
    assert code == 2
    assert "nobody" in output
