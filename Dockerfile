# One image for the five services and the command line. Which one a container runs is its command: ["mezzotint-queue"].
#   docker build -t mezzotint .                          ONNX Runtime on the CPU
#   docker build -t mezzotint --build-arg RUNTIME=gpu .  ONNX Runtime for NVIDIA GPUs; CUDA's libraries have to come from elsewhere
# Dependencies have a layer of their own, so that a new version of ours is a small download.
FROM python:3.11-slim-bookworm AS dependencies
ARG RUNTIME=cpu
WORKDIR /source
RUN python -m venv --without-pip /opt/mezzotint
COPY pyproject.toml constraints.txt ./
# The project's own list of what it needs; this layer is built again only when these two files change.
RUN python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; extras = project['optional-dependencies']; \
print(*project['dependencies'], *extras['server'], *extras['${RUNTIME}'], sep='\n')" > requirements.txt \
    && pip --python /opt/mezzotint/bin/python install --quiet --no-cache-dir -c constraints.txt -r requirements.txt

FROM dependencies AS build
ARG RUNTIME=cpu
COPY . .
# Only what is not there yet, ourselves, goes to /built.
RUN pip --python /opt/mezzotint/bin/python install --quiet --no-cache-dir --root /built -c constraints.txt ".[server,${RUNTIME}]"

FROM dependencies
LABEL org.opencontainers.image.title="Mezzotint" \
      org.opencontainers.image.description="Image generation that stays up when everyone arrives at once" \
      org.opencontainers.image.licenses="Apache-2.0"
# ONNX Runtime's official builds report to their maker unless told not to, before they are loaded.
ENV PATH=/opt/mezzotint/bin:$PATH \
    MEZZOTINT_DATA=/data \
    ORT_DISABLE_TELEMETRY=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    GRPC_VERBOSITY=NONE
# A fixed id, so that volumes keep their owner when the image is built anew. The folders are where volumes are mounted: a new
# volume takes over the owner and mode of the folder it covers.
RUN rm -r /source \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /data --shell /usr/sbin/nologin mezzotint \
    && install --directory --owner=mezzotint --group=mezzotint --mode=0700 /data /data/tls /data/images /issued \
       /issued/auth /issued/ratelimit /issued/queue /issued/inference /issued/gateway /issued/operator
COPY --from=build /built/opt/mezzotint /opt/mezzotint
USER 10001:10001
WORKDIR /data
CMD ["mezzotint", "--help"]
