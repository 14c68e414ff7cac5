"""The RPCs of GRPCInferenceService that are not served: shared memory, which needs one machine, tracing and logging."""

from __future__ import annotations

from typing import Any, NoReturn

import grpc

from mezzotint.api.open_inference import open_inference_pb2_grpc, unserved_pb2
from mezzotint.runtime.errors import MethodUnknown

Context = grpc.aio.ServicerContext[Any, Any]
SHARED_MEMORY = "this server has no shared memory with its clients; send tensors in raw_input_contents"
OPERATED = "this is set by the server's environment, not by calls; see the operator's guide"


class UnservedServicer(open_inference_pb2_grpc.GRPCInferenceServiceServicer):
    """Each method ends as UNIMPLEMENTED and says what to do instead."""

    async def SystemSharedMemoryStatus(
        self, request: unserved_pb2.SystemSharedMemoryStatusRequest, context: Context
    ) -> NoReturn:
        """Not served."""
        raise MethodUnknown(SHARED_MEMORY)

    async def SystemSharedMemoryRegister(
        self, request: unserved_pb2.SystemSharedMemoryRegisterRequest, context: Context
    ) -> NoReturn:
        """Not served."""
        raise MethodUnknown(SHARED_MEMORY)

    async def SystemSharedMemoryUnregister(
        self, request: unserved_pb2.SystemSharedMemoryUnregisterRequest, context: Context
    ) -> NoReturn:
        """Not served."""
        raise MethodUnknown(SHARED_MEMORY)

    async def CudaSharedMemoryStatus(self, request: unserved_pb2.CudaSharedMemoryStatusRequest, context: Context) -> NoReturn:
        """Not served."""
        raise MethodUnknown(SHARED_MEMORY)

    async def CudaSharedMemoryRegister(
        self, request: unserved_pb2.CudaSharedMemoryRegisterRequest, context: Context
    ) -> NoReturn:
        """Not served."""
        raise MethodUnknown(SHARED_MEMORY)

    async def CudaSharedMemoryUnregister(
        self, request: unserved_pb2.CudaSharedMemoryUnregisterRequest, context: Context
    ) -> NoReturn:
        """Not served."""
        raise MethodUnknown(SHARED_MEMORY)

    async def TraceSetting(self, request: unserved_pb2.TraceSettingRequest, context: Context) -> NoReturn:
        """Not served."""
        raise MethodUnknown(OPERATED)

    async def LogSettings(self, request: unserved_pb2.LogSettingsRequest, context: Context) -> NoReturn:
        """Not served."""
        raise MethodUnknown(OPERATED)
