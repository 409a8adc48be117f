# Hansard, one binary. The first build compiles a query engine and takes a while.
FROM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends libclang-dev && rm -rf /var/lib/apt/lists/*
RUN rustup target add wasm32-unknown-unknown
WORKDIR /hansard
COPY . .
RUN cargo xtask web && cargo build --release --locked --package hansard && cp target/release/hansard /usr/local/bin/

FROM debian:bookworm-slim
# The authorities that sslmode=verify-full goes by when no others are named.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
RUN useradd --system --create-home --home-dir /var/lib/hansard hansard
COPY --from=build /usr/local/bin/hansard /usr/local/bin/hansard
USER hansard
WORKDIR /var/lib/hansard
ENTRYPOINT ["hansard"]
CMD ["up"]
