"""What the queue says of a job, as the gateway's clients hear it. Pure."""

from mezzotint.api.images.v1 import images_pb2
from mezzotint.api.queue.v1 import job_pb2
from mezzotint.runtime import errors
from mezzotint.runtime.errors import MezzotintError

# Reasons of a failed job that tell a caller what to change. Any other one is a JobFailed to him: it is not his call that
# was refused, it is a job that found no worker able to do it.
TELLING = (errors.FieldInvalid, errors.ModelNotFound, errors.SizeUnsupported, errors.ModelInvalid, errors.StorageFull)


def response_of(event: job_pb2.JobEvent) -> images_pb2.GenerateImagesResponse | None:
    """The event for the client's stream; None for a final one, which becomes pictures or an error."""
    match event.WhichOneof("event"):
        case "queued":
            waiting = images_pb2.Waiting(position=event.queued.position, retrying=event.queued.HasField("previous_attempt"))
            if event.queued.HasField("eta"):
                waiting.eta.CopyFrom(event.queued.eta)
            return images_pb2.GenerateImagesResponse(waiting=waiting)
        case "deferred":
            waiting = images_pb2.Waiting(deferred=True)
            if event.deferred.HasField("eta"):
                waiting.eta.CopyFrom(event.deferred.eta)
            return images_pb2.GenerateImagesResponse(waiting=waiting)
        case "started":
            return images_pb2.GenerateImagesResponse(drawing=images_pb2.Drawing(attempt=event.started.attempt))
        case "progress":
            return images_pb2.GenerateImagesResponse(progress=event.progress)
        case _:
            return None


def failure_of(event: job_pb2.JobEvent, job_id: str) -> MezzotintError | None:
    """The error that a final event without pictures amounts to; None for any other event."""
    metadata = {"job_id": job_id}
    match event.WhichOneof("event"):
        case "failed":
            failure = event.failed.failure
            found = errors.BY_REASON.get(failure.reason, errors.JobFailed)
            kind = found if issubclass(found, TELLING) else errors.JobFailed
            message = failure.message or "the generation failed on every attempt"
            if kind is errors.FieldInvalid:
                return errors.FieldInvalid(
                    message, metadata={**metadata, "failure": failure.reason}, violations=violations_in(message)
                )
            return kind(message, metadata={**metadata, "failure": failure.reason})
        case "cancelled":
            return errors.Cancelled(event.cancelled.reason or "the generation was cancelled", metadata=metadata)
        case "expired":
            reason = event.expired.reason or "no worker began the generation in the time it was given; try again later"
            return errors.JobExpired(reason, metadata=metadata)
        case _:
            return None


def may_be_redriven(event: job_pb2.JobEvent) -> bool:
    """Whether an operator may have the job done again once he mended what made all its attempts fail."""
    return event.HasField("failed") and event.failed.failure.failure_class != job_pb2.FAILURE_CLASS_PERMANENT


def violations_in(message: str) -> list[errors.FieldViolation]:
    """The field that the message of a worker's FieldInvalid begins with, for clients that look for it apart."""
    field, _, description = message.partition(": ")
    return [errors.FieldViolation(field, description)] if description and " " not in field else []
