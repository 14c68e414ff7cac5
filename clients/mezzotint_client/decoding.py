"""From the contract's messages to the client's own records and events."""

from datetime import UTC, datetime

from google.protobuf import duration_pb2, timestamp_pb2

from mezzotint.api.auth.v1 import account_pb2
from mezzotint.api.images.v1 import images_pb2
from mezzotint.api.inference.v1 import generation_pb2
from mezzotint.api.queue.v1 import job_pb2
from mezzotint_client import events, records

FORMATS: dict[int, str] = {
    generation_pb2.IMAGE_FORMAT_UNSPECIFIED: "png",
    generation_pb2.IMAGE_FORMAT_PNG: "png",
    generation_pb2.IMAGE_FORMAT_JPEG: "jpeg",
    generation_pb2.IMAGE_FORMAT_WEBP: "webp",
}


def event(message: images_pb2.GenerateImagesResponse) -> events.Event | None:
    """The event in a message of GenerateImages; None for one that a newer server sends and this client does not know."""
    match message.WhichOneof("event"):
        case "accepted":
            return events.Accepted(message.accepted.generation_id, message.accepted.replayed)
        case "waiting":
            return waiting(message.waiting)
        case "drawing":
            return events.Started(message.drawing.attempt)
        case "progress":
            told = message.progress
            return events.Progress(told.attempt, told.step, told.steps, told.image_index, told.preview)
        case "image":
            return picture(message.image)
        case "finished":
            return events.Finished(message.finished.model, message.finished.steps)
        case _:
            return None


def waiting(message: images_pb2.Waiting) -> events.Waiting:
    """A place in the queue."""
    eta = seconds(message.eta) if message.HasField("eta") else None
    return events.Waiting(message.position, eta, message.deferred, message.retrying)


def picture(message: images_pb2.FinishedImage) -> events.Picture:
    """A picture with its bytes."""
    ref = message.ref
    return events.Picture(message.image_index, format_name(ref.format), ref.width, ref.height, ref.seed, message.data)


def account(message: account_pb2.Account) -> records.Account:
    """An account."""
    return records.Account(message.account_id, message.email, message.tier, moment(message.created_at))


def api_key(message: account_pb2.ApiKey) -> records.ApiKey:
    """An API key without its secret."""
    return records.ApiKey(
        message.key_id,
        message.name,
        tuple(message.scopes),
        moment(message.created_at),
        moment(message.expires_at) if message.HasField("expires_at") else None,
        moment(message.revoked_at) if message.HasField("revoked_at") else None,
    )


def session(message: account_pb2.SessionTokens) -> records.Session:
    """A session with its tokens."""
    ends = moment(message.access_expires_at)
    return records.Session(message.session.session_id, ends, message.access_token, message.refresh_token)


def generation(message: images_pb2.Generation) -> records.Generation:
    """A generation as it stands."""
    state = job_pb2.JobState.Name(message.state).removeprefix("JOB_STATE_").lower()
    return records.Generation(
        message.generation_id,
        state,
        moment(message.created_at),
        moment(message.finished_at) if message.HasField("finished_at") else None,
        message.failure.reason,
        message.failure.message,
        tuple(image_info(ref) for ref in message.images),
    )


def image_info(ref: generation_pb2.ImageRef) -> records.ImageInfo:
    """What is known of a picture without its bytes."""
    return records.ImageInfo(format_name(ref.format), ref.width, ref.height, ref.seed, ref.size_bytes)


def format_name(number: int) -> str:
    """How a picture is encoded, as its file's suffix."""
    return FORMATS.get(number, "bin")


def moment(timestamp: timestamp_pb2.Timestamp) -> datetime:
    """A time, in UTC."""
    return timestamp.ToDatetime(tzinfo=UTC)


def seconds(duration: duration_pb2.Duration) -> float:
    """A duration in seconds."""
    return duration.ToNanoseconds() / 1e9
