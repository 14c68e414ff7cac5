"""ONNX Runtime with its telemetry off: imported from here and nowhere else.

From 1.32 on it reports use to its maker unless ORT_DISABLE_TELEMETRY is set when it is imported; later is too late.
"""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state

__all__ = ["onnxruntime", "state"]
