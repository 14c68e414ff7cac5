"""One service as a child process: started, waited for until it is ready, stopped, killed."""

import asyncio
import signal
import sys
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mezzotint.runtime.tls import Identity, dns_name
from mezzotint_client import logs
from mezzotint_client.plan import SuiteError

CHILD = Path(__file__).with_name("child.py")
# After SIGTERM a service drains calls for 10 s by default; then it has this long before SIGKILL.
STOP_SECONDS_MAX = 15.0
LOG_LINES_SHOWN = 12
# Retries are quick: the service is on this machine and starting.
OPTIONS = (("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 100), ("grpc.enable_retries", 0))
SERVING = health_pb2.HealthCheckResponse.SERVING


class ServiceFailed(SuiteError):
    """A service died or did not become ready; the message holds the end of its log."""

    def __init__(self, service: str, what: str, log: Path) -> None:
        lines = [f"  {line}" for line in logs.last_lines(log, LOG_LINES_SHOWN)] or ["  (its log is empty)"]
        super().__init__("\n".join([f"the {service} service {what}; the end of {log}:", *lines]))
        self.service = service


class ServiceProcess:
    """The process of `python -m mezzotint.<name>` with its log file. At most one runs at a time."""

    def __init__(self, name: str, address: str, environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.address = address
        self._environment = dict(environment)
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self._restarted = asyncio.Event()

    @property
    def pid(self) -> int:
        """The process id of the latest start."""
        return self._running().pid

    async def start(self) -> None:
        """Start the process; it is not ready yet. It ends when this process does."""
        logs.set_aside_if_large(self._log)
        command = [sys.executable, "-P", str(CHILD), str(STOP_SECONDS_MAX), f"mezzotint.{self.name}"]
        self._stopping = False
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._environment,
                # Ctrl-C in a terminal goes to its whole process group; the services are stopped in order instead.
                start_new_session=True,
            )
        restarted, self._restarted = self._restarted, asyncio.Event()
        restarted.set()

    async def ready(self, operator: Identity, seconds_max: float) -> None:
        """Wait until the service says it is serving. Raises ServiceFailed when it ends instead or takes too long."""
        ended, serving = self._running().wait(), self._serving(operator)
        winner = await first(ended, serving, seconds_max=seconds_max)
        if winner is None:
            raise ServiceFailed(self.name, f"was not ready after {seconds_max:g} s", self._log)
        if winner == 0:
            raise self.failure("before it was ready")

    async def _serving(self, operator: Identity) -> None:
        options = [*OPTIONS, ("grpc.ssl_target_name_override", dns_name(self.name))]
        async with grpc.aio.secure_channel(self.address, operator.channel_credentials(), options=options) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            while True:
                watch = health.Watch(health_pb2.HealthCheckRequest(), wait_for_ready=True)
                try:
                    async for response in watch:
                        if response.status == SERVING:
                            return
                except grpc.aio.AioRpcError:
                    # The connection broke while the service was starting; wait for the next one.
                    await asyncio.sleep(0.05)

    async def died(self) -> None:
        """Wait for an end that nobody asked for. Raises ServiceFailed then."""
        while True:
            process, restarted = self._running(), self._restarted
            await process.wait()
            if process is self._process and not self._stopping:
                raise self.failure("while it was needed")
            await restarted.wait()

    def failure(self, when: str) -> ServiceFailed:
        """The error for a process that ended by itself."""
        code = self._running().returncode
        how = f"with exit code {code}" if code is None or code >= 0 else f"by {signal.Signals(-code).name}"
        return ServiceFailed(self.name, f"ended {how} {when}", self._log)

    def kill(self) -> None:
        """End the process at once, as a crash would (SIGKILL). Does nothing when it is not running."""
        self._stopping = True
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def stop(self) -> None:
        """End the process: SIGTERM, and SIGKILL when it takes too long. Does nothing when it is not running."""
        self._stopping = True
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_SECONDS_MAX)
        except TimeoutError:
            process.kill()
            await process.wait()
        assert process.stdin is not None, "the process was started with a pipe"
        process.stdin.close()

    def _running(self) -> asyncio.subprocess.Process:
        assert self._process is not None, f"{self.name} was not started"
        return self._process


async def first(*awaitables: Coroutine[Any, Any, Any], seconds_max: float | None = None) -> int | None:
    """Which of several ends first, by number; None when none does in time. Raises what it raises; the others are cancelled."""
    tasks = [asyncio.ensure_future(each) for each in awaitables]
    try:
        done, _ = await asyncio.wait(tasks, timeout=seconds_max, return_when=asyncio.FIRST_COMPLETED)
        for number, task in enumerate(tasks):
            if task in done:
                await task
                return number
        return None
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
