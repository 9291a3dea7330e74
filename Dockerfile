# One image with every program; docker-compose.yml says which one a container runs.
FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends build-essential && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --workspace --bins --all-features \
    && mkdir /out && cd target/release \
    && cp organise-event users events notifications payments gateway razorpay-simulator /out/ \
    && strip /out/*

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin organise \
    && install -d -o organise -g organise -m 0700 /data
COPY --from=build /out/ /usr/local/bin/
COPY docker-health.sh /usr/local/bin/health
USER 10001:10001
# A named volume that is mounted here takes over the owner and mode.
VOLUME /data
ENV DATA_DIR=/data BIND_ADDR=0.0.0.0
WORKDIR /data
CMD ["organise-event"]
