"""An account's own generations and pictures, as they stand."""

from mezzotint.api.images.v1 import images_pb2
from mezzotint.api.inference.v1 import generation_pb2
from mezzotint.api.queue.v1 import job_pb2
from mezzotint.gateway.jobs import Jobs
from mezzotint.runtime.blobs import Blobs
from mezzotint.runtime.errors import ImageNotFound, JobNotFound


class Gallery:
    """Looks up what the account `account_id` made; another account's is not found."""

    def __init__(self, jobs: Jobs, blobs: Blobs) -> None:
        self._jobs = jobs
        self._blobs = blobs

    async def generation(self, account_id: str, generation_id: str) -> images_pb2.Generation:
        """One generation with its pictures. Raises JobNotFound."""
        found = await self._jobs.get(generation_id, account_id)
        return generation_of(found.job, found.result)

    async def generations(self, account_id: str, page_size: int, page_token: str) -> images_pb2.ListGenerationsResponse:
        """A page, newest first, without pictures. Raises PageTokenInvalid."""
        page = await self._jobs.list(account_id, page_size, page_token)
        generations = [generation_of(job) for job in page.jobs]
        return images_pb2.ListGenerationsResponse(generations=generations, next_page_token=page.next_page_token)

    async def cancel(self, account_id: str, generation_id: str) -> images_pb2.Generation:
        """The generation, cancelled. Raises JobNotFound, JobFinished."""
        return generation_of(await self._jobs.cancel(generation_id, account_id, "cancelled by its owner"))

    async def image(self, account_id: str, generation_id: str, index: int) -> images_pb2.FinishedImage:
        """One finished picture. Raises ImageNotFound."""
        try:
            images = (await self.generation(account_id, generation_id)).images
        except JobNotFound as error:
            raise ImageNotFound(f"you have no generation {generation_id!r}") from error
        if index >= len(images):
            raise ImageNotFound(
                f"the generation {generation_id!r} has {len(images)} finished pictures, and none with index {index}"
            )
        data = await self._blobs.get(images[index].key)
        return images_pb2.FinishedImage(image_index=index, ref=images[index], data=data)


def generation_of(job: job_pb2.Job, result: bytes = b"") -> images_pb2.Generation:
    """A job as its owner sees it."""
    generation = images_pb2.Generation(generation_id=job.job_id, state=job.state, created_at=job.created_at)
    if job.HasField("finished_at"):
        generation.finished_at.CopyFrom(job.finished_at)
    if job.HasField("failure"):
        generation.failure.CopyFrom(job.failure)
    if result:
        generation.images.extend(generation_pb2.GenerationResult.FromString(result).images)
    return generation
