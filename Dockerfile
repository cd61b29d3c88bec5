# SPDX-License-Identifier: PostgreSQL
#
# pgfold in a container: docker build -t pgfold . && docker run -e PGFOLD_SERVER='host=… port=5432' -p 127.0.0.1:6432:6432 pgfold
# Runs as a user without rights and writes no file: use it with --read-only, --cap-drop ALL. Settings come from the
# environment (PGFOLD_…, see docs/settings.md), or from a file that you mount at /etc/pgfold/pgfold.ini. It replaces the one that
# is there, which has "listen = :6432" and nothing else: without a listen of its own it listens on 127.0.0.1 alone, inside.
# The target "app" is the sample application of docker-compose.yml.

FROM debian:bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev meson ninja-build pkg-config libuv1-dev libpq-dev \
    libssl-dev libmicrohttpd-dev libjansson-dev libpg-query-dev libprotobuf-c-dev libinih-dev uthash-dev libxxhash-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY meson.build meson_options.txt ./
COPY protocol protocol
COPY batching batching
COPY config config
COPY proxy proxy
RUN meson setup /src/build --buildtype=release --prefix=/usr/local -Dstrip=true -Dextras=false -Dsystemd=disabled
RUN ninja -C /src/build
RUN DESTDIR=/src/out meson install -C /src/build

FROM debian:bookworm-slim AS app
RUN apt-get update && apt-get install -y --no-install-recommends python3 python3-sqlalchemy python3-greenlet python3-asyncpg && \
    rm -rf /var/lib/apt/lists/*
COPY examples/page.py /usr/local/bin/page.py
ENV PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
ENTRYPOINT ["/usr/bin/python3", "/usr/local/bin/page.py"]

FROM debian:bookworm-slim AS pgfold
RUN apt-get update && apt-get install -y --no-install-recommends libuv1 libpq5 libssl3 libmicrohttpd12 libjansson4 libpg-query1504.0 libinih1 libxxhash0 \
    ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/out/usr/local/bin/pgfold /usr/local/bin/pgfold
COPY deploy/container.ini /etc/pgfold/pgfold.ini
ENV PGFOLD_CONFIG=/etc/pgfold/pgfold.ini
USER 65532:65532
EXPOSE 6432
# HTTP (metrics, health checks) is on 127.0.0.1:6433, inside: PGFOLD_HTTP_LISTEN=:6433 shows it to others.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 CMD ["/usr/local/bin/pgfold", "healthcheck", "--like", "1"]
ENTRYPOINT ["/usr/local/bin/pgfold"]
