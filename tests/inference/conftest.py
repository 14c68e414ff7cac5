"""What the tests of inference share: a tiny model, and the service running over it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mezzotint.api.inference.v1.inference_pb2_grpc import InferenceServiceStub
from mezzotint.inference.app import run
from mezzotint.inference.models.onnx_engine import OnnxEngine
from mezzotint.inference.settings import InferenceSettings
from mezzotint.runtime.tls import Authority
from tests.inference.tiny_model import write_tiny_model
from tests.support.serving import connect, serving

if TYPE_CHECKING:
    from mezzotint.api.inference.v1.inference_pb2_grpc import InferenceServiceAsyncStub


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder of models with one tiny model in it."""
    write_tiny_model(tmp_path / "models" / "tiny")
    return tmp_path / "models"


@pytest.fixture
def settings(data: Path, models: Path) -> InferenceSettings:
    """Settings of a service over the tiny model, without a queue."""
    return InferenceSettings(
        data=data,
        port=0,
        metrics_port=0,
        models=models,
        default_model="tiny",
        threads=1,
        rows=8,
        calls_held=1,
        queue_address="",
        drain_seconds=5,
    )


@pytest.fixture
async def inference(settings: InferenceSettings, authority: Authority) -> AsyncIterator[InferenceServiceAsyncStub]:
    """The service over the tiny model, called as the gateway."""
    async with serving(run, settings) as port, connect(authority, port, "inference", identity="gateway") as channel:
        yield InferenceServiceStub(channel)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> OnnxEngine:
    """The tiny model, loaded once."""
    return OnnxEngine(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny"), threads=1, rows_max=4)
