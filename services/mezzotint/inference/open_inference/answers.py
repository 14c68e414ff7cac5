"""What the Open Inference Protocol tells of loaded models: metadata, configuration, statistics."""

from collections.abc import Iterable

from mezzotint.api.open_inference import model_config_pb2, model_statistics_pb2, open_inference_pb2
from mezzotint.inference.tensors.model import FILE, TensorModel
from mezzotint.inference.tensors.runner import TensorRunner
from mezzotint.inference.tensors.statistics import Stages, Tally
from mezzotint.inference.tensors.types import TensorSpec

PLATFORM, BACKEND = "onnxruntime_onnx", "onnxruntime"
ANY = -1
Metadata = open_inference_pb2.ModelMetadataResponse


def metadata(model: TensorModel, versions: Iterable[int]) -> Metadata:
    """A model's inputs and outputs."""
    return Metadata(
        name=model.name,
        versions=[str(each) for each in versions],
        platform=PLATFORM,
        inputs=[_metadata(each) for each in model.inputs.values()],
        outputs=[_metadata(each) for each in model.outputs.values()],
    )


def configuration(model: TensorModel) -> model_config_pb2.ModelConfig:
    """A model's settings."""
    settings, batched = model.settings, int(model.settings.max_batch_size > 0)
    group, policy = model_config_pb2.ModelInstanceGroup, model_config_pb2.ModelVersionPolicy
    config = model_config_pb2.ModelConfig(
        name=model.name,
        platform=PLATFORM,
        backend=BACKEND,
        default_model_filename=FILE,
        max_batch_size=settings.max_batch_size,
        version_policy=policy(latest=policy.Latest(num_versions=settings.versions)),
        input=[
            model_config_pb2.ModelInput(name=each.name, data_type=each.type.number, dims=_dims(each)[batched:])
            for each in model.inputs.values()
        ],
        output=[
            model_config_pb2.ModelOutput(name=each.name, data_type=each.type.number, dims=_dims(each)[batched:])
            for each in model.outputs.values()
        ],
        instance_group=[
            group(
                name=f"{model.name}_0",
                count=settings.instances,
                kind=group.KIND_GPU if model.device.startswith("CUDA") else group.KIND_CPU,
            )
        ],
    )
    if batched:
        config.dynamic_batching.max_queue_delay_microseconds = settings.max_queue_delay_microseconds
        config.dynamic_batching.priority_levels = settings.priority_levels
        config.dynamic_batching.default_priority_level = settings.priority_levels
        config.dynamic_batching.default_queue_policy.allow_timeout_override = True
        config.dynamic_batching.default_queue_policy.max_queue_size = settings.max_queue_size
    return config


def statistics(runner: TensorRunner) -> model_statistics_pb2.ModelStatistics:
    """What a version did."""
    counted = runner.statistics
    return model_statistics_pb2.ModelStatistics(
        name=runner.model.name,
        version=str(runner.model.version),
        last_inference=counted.last_inference_ms,
        inference_count=counted.inferences,
        execution_count=counted.executions,
        inference_stats=model_statistics_pb2.InferStatistics(
            success=_duration(counted.success),
            fail=_duration(counted.fail),
            queue=_duration(counted.queue),
            compute_input=_duration(counted.stages.compute_input),
            compute_infer=_duration(counted.stages.compute_infer),
            compute_output=_duration(counted.stages.compute_output),
            cache_hit=_duration(Tally()),
            cache_miss=_duration(Tally()),
        ),
        batch_stats=[_batch(rows, stages) for rows, stages in sorted(counted.calls.items())],
    )


def _metadata(spec: TensorSpec) -> Metadata.TensorMetadata:
    return Metadata.TensorMetadata(name=spec.name, datatype=spec.type.name, shape=_dims(spec))


def _dims(spec: TensorSpec) -> list[int]:
    return [ANY if size is None else size for size in spec.shape]


def _duration(tally: Tally) -> model_statistics_pb2.StatisticDuration:
    return model_statistics_pb2.StatisticDuration(count=tally.count, ns=tally.ns)


def _batch(rows: int, stages: Stages) -> model_statistics_pb2.InferBatchStatistics:
    return model_statistics_pb2.InferBatchStatistics(
        batch_size=rows,
        compute_input=_duration(stages.compute_input),
        compute_infer=_duration(stages.compute_infer),
        compute_output=_duration(stages.compute_output),
    )
