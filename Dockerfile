# Tagline's image: a release build, then that binary alone on distroless. tests/it/container.rs runs the build stage's commands
# and starts what they make from an empty folder. Nothing in it needs BuildKit, which `az acr build` does not have.

FROM rust:1.95.0-slim-bookworm AS build
# OpenSSL is built from source (TLS towards InfluxDB): it wants perl and make. The base image has a C compiler.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends make perl \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin tagline \
    && install -D -m 0755 target/release/tagline out/tagline \
    && mkdir -p out/state

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/out/tagline /usr/local/bin/tagline
# The spool's home, owned by the user that writes it. Mount a volume here: what was accepted and waits lies in it, and dead letters.
COPY --from=build --chown=65532:65532 /src/out/state /var/lib/tagline
# Variables lie above a settings file: what it says of these two keys does not count in this image.
ENV TAGLINE__SERVER__LISTEN=0.0.0.0:8080 \
    TAGLINE__SERVER__ADMIN_LISTEN=0.0.0.0:8081
WORKDIR /var/lib/tagline
VOLUME /var/lib/tagline
USER 65532:65532
EXPOSE 8080 8081
ENTRYPOINT ["/usr/local/bin/tagline"]
