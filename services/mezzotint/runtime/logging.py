"""JSON lines on standard error through structlog, with no secret in them."""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

import structlog

HIDDEN = "[redacted]"
# Fencing and page tokens are numbers and places, not secrets.
SECRET_NAMES = re.compile(
    r"password|secret|(?<!fencing_)(?<!page_)token$|authorization|credential$|api_?key$|cookie", re.IGNORECASE
)
# API keys of ours, signed tokens and bearer headers, wherever they stand in a text.
SECRET_VALUES = re.compile(r"mzt_\w{8,}|eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|(?<=Bearer )\S+")


# What every line of the call being served says of it; set by the layers around the call.
about: ContextVar[Mapping[str, object]] = ContextVar("about", default=MappingProxyType({}))


def name_call(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: add what is known of the call being served. Read only here: few calls write a line."""
    for name, value in about.get().items():
        event.setdefault(name, str(value))
    return event


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: hide values whose name or shape says that they are secret, at any depth."""
    for name, value in event.items():
        event[name] = HIDDEN if SECRET_NAMES.search(name) else hidden(value)
    return event


def hidden(value: Any) -> Any:
    """`value` with every secret in it replaced."""
    if isinstance(value, str):
        return SECRET_VALUES.sub(HIDDEN, value)
    if isinstance(value, dict):
        return {name: HIDDEN if SECRET_NAMES.search(str(name)) else hidden(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [hidden(inner) for inner in value]
    return value


def configure(service: str, level: str) -> None:
    """Send structlog's and the standard library's messages to standard error as JSON, `service` in each."""

    def name_service(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"] = service
        return event

    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        name_call,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        name_service,
        redact,
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.JSONRenderer()],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


def get(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger
