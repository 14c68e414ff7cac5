"""docs/operating.md: what it names is there."""

import re

from mezzotint.runtime import probe
from mezzotint_client.plan import SERVICES
from tests.deploy.files import settings_of
from tests.tidy.source import ROOT, sources

PAGE = (ROOT / "docs" / "operating.md").read_text()


def test_every_variable_on_the_page_is_a_setting() -> None:
    """Ensures that a renamed setting is renamed on the page."""
    found = re.findall(rf"MEZZOTINT_({'|'.join(SERVICES).upper()})_([A-Z_]+)", PAGE)
    assert found
    wrong = [name for service, name in found if name.lower() not in settings_of(service.lower()).model_fields]
    assert not wrong


def test_every_metric_on_the_page_is_counted() -> None:
    """Ensures that a dashboard made from the page shows something; families are written out once and then by their ends."""
    counted = {name for source in sources() for name in re.findall(r'"((?:mezzotint|grpc|http)_[a-z_]+)"', source.text)}
    table = PAGE[PAGE.index("## Metrics") : PAGE.index("## Logs")]
    for row in table.splitlines():
        if names := re.findall(r"`(\w+)`", row.split("|")[1] if row.startswith("| `") else ""):
            family = re.match(r"(mezzotint_[a-z]+|)", names[0])
            assert family is not None
            full = [family[1] + name if name.startswith("_") else name for name in names]
            assert {name.removesuffix("_total") for name in full} <= counted


def test_the_ports_on_the_page_are_the_defaults() -> None:
    """Ensures that the table of ports is right."""
    table = PAGE[PAGE.index("## Ports") : PAGE.index("## Settings")]
    numbers = {int(number) for number in re.findall(r"\b\d{4}\b", table)}
    metrics = {settings_of(service).model_fields["metrics_port"].default for service in SERVICES} - {0}
    assert numbers == {*probe.PORTS.values(), *metrics, settings_of("gateway").model_fields["http_port"].default}
