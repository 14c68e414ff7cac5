"""All five services as processes on this machine: what `mezzotint up`, the demo and the end-to-end tests run."""

import asyncio
import fcntl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Literal, Self

from mezzotint.runtime.tls import Authority
from mezzotint_client import plan
from mezzotint_client.process import ServiceProcess, first

# Identities that somebody on this machine speaks as.
IDENTITIES = (*plan.SERVICES, "operator")
READY_SECONDS_MAX = 60.0
Ports = Literal["default", "free"] | Mapping[str, int]


class DataInUse(plan.SuiteError):
    """Another suite runs on the data folder."""


class Suite:
    """The five services, running. Use `async with Suite.start(data) as suite`."""

    def __init__(self, data: Path, ports: Mapping[str, int], environment: Mapping[str, Mapping[str, str]]) -> None:
        self.data = data
        self.addresses = {name: f"{plan.HOST}:{ports[name]}" for name in plan.SERVICES}
        self.http_url = f"http://{plan.HOST}:{ports['http']}"
        self._operator = Authority.open(data).identity("operator")
        self._processes = {
            name: ServiceProcess(
                name,
                self.addresses[name],
                plan.environment(name, data, ports, environment.get(name, {})),
                data / "logs" / f"{name}.log",
            )
            for name in plan.SERVICES
        }

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        data: Path,
        *,
        ports: Ports = "default",
        environment: Mapping[str, Mapping[str, str]] | None = None,
        ready_seconds_max: float = READY_SECONDS_MAX,
    ) -> AsyncIterator[Self]:
        """Start all services on the data folder, wait until each is ready, and stop them in order at the end.

        `ports`: the documented ones, any free ones, or one for each service and for "http". `environment`: more variables for
        single services, by service. No process outlives this one, also when this one is killed. Raises ServiceFailed when a
        service ends or is not ready in time, DataInUse, and SuiteError when a port is taken.
        """
        unknown = set(environment or {}) - set(plan.SERVICES)
        assert not unknown, f"there is no service {unknown}"
        with exclusive(data):
            chosen = numbers(ports)
            plan.require_free(chosen)
            make_identities(data)
            suite = cls(data, chosen, environment or {})
            stages: tuple[tuple[str, ...], ...] = (plan.SERVICES,)
            try:
                await suite._start(ready_seconds_max)
                # Only a suite that ran has calls and leases to end in order.
                stages = plan.STOPPED
                yield suite
            finally:
                await suite._stop(stages)

    def pid(self, service: str) -> int:
        """The process id of a service."""
        return self._processes[service].pid

    def kill(self, service: str) -> None:
        """End a service at once, as a crash would (SIGKILL)."""
        self._processes[service].kill()

    async def stop(self, service: str) -> None:
        """End a service in an orderly way (SIGTERM) and wait until it has ended."""
        await self._processes[service].stop()

    async def restart(self, service: str, *, ready_seconds_max: float = READY_SECONDS_MAX) -> None:
        """End a service if it still runs, start it again on the same port and wait until it is ready. Raises ServiceFailed."""
        process = self._processes[service]
        await process.stop()
        await process.start()
        await process.ready(self._operator, ready_seconds_max)

    async def wait(self) -> None:
        """Wait until a service ends that nobody stopped here. Raises ServiceFailed then; returns never."""
        await first(*(process.died() for process in self._processes.values()))

    async def _start(self, seconds_max: float) -> None:
        for process in self._processes.values():
            await process.start()
        waiting = [asyncio.ensure_future(process.ready(self._operator, seconds_max)) for process in self._processes.values()]
        try:
            await asyncio.gather(*waiting)
        finally:
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def _stop(self, stages: tuple[tuple[str, ...], ...]) -> None:
        try:
            for stage in stages:
                await asyncio.gather(*(self._processes[name].stop() for name in stage))
        finally:
            for process in self._processes.values():
                process.kill()


def numbers(ports: Ports) -> Mapping[str, int]:
    """The port of each service and of "http"."""
    if isinstance(ports, Mapping):
        return ports
    return plan.free_ports() if ports == "free" else plan.default_ports()


def make_identities(data: Path, names: tuple[str, ...] = IDENTITIES) -> None:
    """Make the private authority of a data folder and certificates for `names`, where they are missing or run out soon."""
    authority = Authority.open(data)
    for name in names:
        authority.identity(name)


@contextmanager
def exclusive(data: Path) -> Iterator[None]:
    """Hold the data folder for one suite; make it if it is new. Raises DataInUse."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    (data / "logs").mkdir(mode=0o700, exist_ok=True)
    with (data / "suite.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataInUse(
                f"Mezzotint is already running on {data}; stop it first, or choose another folder with --data"
            ) from None
        yield
