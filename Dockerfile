# `mpscnn serve` in a container, on port 8000:
#   docker build --tag mpscnn .
#   docker run --publish 8000:8000 --env MPSCNN_SERVE_TOKEN=... mpscnn mobilenet_v2
# The arguments are those of `mpscnn serve`, including --port. Without a token the service starts only with --insecure. The volume /models keeps
# downloaded models.

FROM python:3.13-slim@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285 AS build
RUN apt-get update && apt-get install --yes --no-install-recommends g++
COPY . /source
# The image may run on another machine than that on which it is built, and one build serves many runs.
ENV MPSCNN_INSTRUCTION_SETS=all MPSCNN_LINK_TIME_OPTIMISATION=ON
RUN pip wheel --no-cache-dir --wheel-dir /wheels '/source[cli,serve]'

FROM python:3.13-slim@sha256:9d2e5553305c7c7b0097999bb17187c69b921ccd6bc9d40e4bb5ebe652c00285
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels 'mpscnn[cli,serve]'
RUN useradd --system --uid 10001 mpscnn && install --directory --owner mpscnn /models
USER 10001
ENV MPSCNN_CACHE=/models
VOLUME /models
EXPOSE 8000
# The service writes its address to a file, because --host and --port may change it. /dev/shm is writable in a read-only container, too.
HEALTHCHECK --start-period=60s CMD ["python", "-c", "from urllib.request import Request, urlopen; urlopen(Request(open('/dev/shm/mpscnn-address').read() + '/v2/health/ready', headers={'Host': 'localhost'}))"]
ENTRYPOINT ["mpscnn", "serve", "--host", "0.0.0.0", "--port", "8000", "--address-file", "/dev/shm/mpscnn-address"]
