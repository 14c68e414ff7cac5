"""Records as the contract's messages, and back."""

from sys import intern

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from mezzotint.api.errors.v1 import errors_pb2
from mezzotint.api.queue.v1 import job_pb2, queue_pb2
from mezzotint.queue.job import Failure, FailureClass, Job, JobEvent, JobState, NewJob
from mezzotint.queue.job_fields import failure_fields, fields_of, moment_fields
from mezzotint.queue.kinds import Place
from mezzotint.queue.watching import Progress, Sight

START_WITHIN_SECONDS = 86_400.0
ATTEMPTS_MAX = 3
MESSAGE_LENGTH_MAX = 1024
PREVIEW_BYTES_MAX = 256 * 1024
REASONS = frozenset(errors_pb2.Reason.keys())


def new_job(message: queue_pb2.NewJob) -> NewJob:
    """What a caller asks for, the contract's defaults filled in. Names that come again and again are kept once."""
    return NewJob(
        request_id=message.request_id,
        account_id=intern(message.account_id),
        tier=intern(message.tier),
        kind=intern(message.kind),
        payload=message.payload,
        cost_ms=message.cost_ms,
        start_within=message.start_within.ToNanoseconds() / 1e9 if message.HasField("start_within") else START_WITHIN_SECONDS,
        attempts_max=message.attempts_max or ATTEMPTS_MAX,
        labels=tuple(sorted(message.labels.items())) if message.labels else (),
        not_before=_moment_of(message.not_before) if message.HasField("not_before") else 0.0,
    )


def job_message(job: Job) -> job_pb2.Job:
    """A job."""
    return job_pb2.Job(**fields_of(job))


def sight_message(sight: Sight) -> job_pb2.JobEvent:
    """One thing a watcher sees."""
    message = job_pb2.JobEvent(sequence=sight.sequence, at=timestamp(sight.at))
    if sight.progress:
        progress = sight.progress
        message.progress.attempt, message.progress.step, message.progress.steps = (
            progress.attempt,
            progress.step,
            progress.steps,
        )
        message.progress.preview, message.progress.image_index = progress.preview, progress.image_index
    elif sight.event:
        _fill_event(message, sight.event, sight.place)
    return message


def _fill_event(message: job_pb2.JobEvent, event: JobEvent, place: Place | None) -> None:
    """A state event, in the field of its state."""
    reason = event.failure.message if event.failure else ""
    match event.state:
        case JobState.QUEUED:
            _fill_queued(message.queued, event, place)
        case JobState.RUNNING:
            message.started.attempt, message.started.worker_id = event.attempt, event.worker_id
        case JobState.SUCCEEDED:
            message.succeeded.result = event.result
        case JobState.FAILED:
            message.failed.failure.CopyFrom(_failure_message(event.failure) if event.failure else job_pb2.Failure())
        case JobState.CANCELLED:
            message.cancelled.SetInParent()
            message.cancelled.reason = reason
        case JobState.EXPIRED:
            message.expired.reason = reason
        case JobState.DEFERRED:
            message.deferred.reason = reason
            _fill_times(message.deferred, place)


def _fill_queued(message: job_pb2.Queued, event: JobEvent, place: Place | None) -> None:
    """A job waits, at a place if it does so now."""
    message.SetInParent()
    if place:
        message.position = place.position
        _fill_times(message, place)
    if event.failure:
        message.previous_attempt.CopyFrom(_failure_message(event.failure))


def _fill_times(message: job_pb2.Queued | job_pb2.Deferred, place: Place | None) -> None:
    """When a job is expected to start, as far as that is known."""
    if place and place.eta is not None:
        message.eta.CopyFrom(duration(place.eta))
    if place and place.eta_p90 is not None:
        message.eta_p90.CopyFrom(duration(place.eta_p90))


def _failure_message(failure: Failure) -> job_pb2.Failure:
    """A failure."""
    return job_pb2.Failure(**failure_fields(failure))


def failure_of(message: job_pb2.Failure) -> Failure:
    """A worker's failure: of an unknown class it is retryable, of an unknown reason JOB_FAILED, and a long text is cut."""
    known = {int(each): each for each in FailureClass}
    reason = message.reason if f"REASON_{message.reason}" in REASONS else "JOB_FAILED"
    text = message.message[:MESSAGE_LENGTH_MAX]
    return Failure(known.get(message.failure_class, FailureClass.RETRYABLE), reason, text)


def progress_of(message: job_pb2.Progress) -> Progress:
    """A worker's progress."""
    return Progress(message.attempt, message.step, message.steps, message.preview, message.image_index)


def _moment_of(message: Timestamp) -> float:
    """Seconds since the epoch, 0 for whatever lies before it. What a caller sent may be any numbers."""
    return max(0.0, message.seconds + message.nanos / 1e9)


def timestamp(moment: float) -> Timestamp:
    """Seconds since the epoch, to the microsecond."""
    return Timestamp(**moment_fields(moment))


def duration(seconds: float) -> Duration:
    """Seconds, to the millisecond."""
    message = Duration()
    message.FromMilliseconds(round(seconds * 1e3))
    return message
