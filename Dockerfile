# Two images: `gateway` (the default), which also contains the workers, and `local`, which contains
# the other processes of the local stack: endpoint, bridge and CPU engine.
#     docker build -t callscribe/gateway .        docker build -t callscribe/local --target local .

FROM python:3.13-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# The local endpoint writes its CA to /certs. A volume mounted there inherits the folder's owner.
RUN useradd --system --uid 10001 callscribe \
    && install -d -o callscribe -g callscribe /certs
WORKDIR /src

FROM base AS local
COPY requirements requirements
RUN pip install --require-hashes -r requirements/local.txt
COPY pyproject.toml README.md ./
COPY common common
COPY gateway gateway
COPY workers workers
COPY container container
COPY deploy deploy
COPY cli cli
RUN pip install --no-deps --no-build-isolation .
WORKDIR /
USER 10001

FROM base AS gateway
# For traces (docs/tracing.md): docker build --build-arg OTEL=1 ...
ARG OTEL=
# For wrap-ups (docs/wrapup.md): docker build --build-arg WRAPUP=1 ...
ARG WRAPUP=
# For a search index in PostgreSQL (docs/search.md): docker build --build-arg SEARCH_POSTGRES=1 ...
ARG SEARCH_POSTGRES=
COPY requirements requirements
RUN pip install --require-hashes -r requirements/workers.txt ${OTEL:+-r requirements/otel.txt} \
    ${WRAPUP:+-r requirements/wrapup.txt} ${SEARCH_POSTGRES:+-r requirements/search-postgres.txt}
COPY pyproject.toml README.md ./
COPY common common
COPY gateway gateway
COPY workers workers
RUN pip install --no-deps --no-build-isolation . \
    && install -d -m 700 -o callscribe -g callscribe /spool /words
WORKDIR /
USER 10001
# By default the gateway listens on loopback. In a container, the published ports limit access.
ENV GATEWAY_HOST=0.0.0.0 GATEWAY_ADMIN_HOST=0.0.0.0
EXPOSE 8000 9000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9000/healthz', timeout=2)"]
# After SIGTERM, live calls may continue for GATEWAY_DRAIN_TIMEOUT_S (1800). Set docker stop -t or
# terminationGracePeriodSeconds to 90 s more. See docs/admin.md.
CMD ["python", "-m", "gateway"]
