# Two images of convoke. The default image has only the binary: no shell, no package manager, no root user.
#
#   docker build --tag convoke .
#   docker build --tag convoke-ci --target ci .
#
# "ci" also has a shell, git, curl and jq, for runners that need them (GitLab, the CronJob in examples/ci).
# For a reproducible build, pin the base images by digest:
#   --build-arg RUST=rust:1.90-alpine3.22@sha256:… --build-arg ALPINE=alpine:3.22@sha256:…
ARG RUST=rust:1.90-alpine3.22
ARG ALPINE=alpine:3.22

FROM ${RUST} AS build
RUN apk add --no-cache ca-certificates gcc musl-dev
WORKDIR /convoke
COPY Cargo.toml Cargo.lock README.md ./
COPY benches benches
COPY schemas schemas
COPY src src
# The time of the commit, and no paths of this stage, so that the same source gives the same binary.
ARG SOURCE_DATE_EPOCH=0
ENV SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} CARGO_INCREMENTAL=0 RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=/convoke=. --remap-path-prefix=/usr/local/cargo=cargo"
RUN cargo build --locked --release --bin convoke && cp target/release/convoke /usr/local/bin/convoke

FROM ${ALPINE} AS ci
RUN apk add --no-cache bash ca-certificates curl git jq
COPY --from=build /usr/local/bin/convoke /usr/local/bin/convoke
RUN adduser -D -u 65532 convoke
USER 65532:65532
WORKDIR /work

FROM scratch
ARG SOURCE_DATE_EPOCH=0
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="convoke" \
      org.opencontainers.image.description="Manages the members of Cloudflare user groups from files in Git" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# convoke trusts the certificates of the system.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/local/bin/convoke /usr/local/bin/convoke
COPY LICENSE-MIT LICENSE-APACHE /licenses/
USER 65532:65532
WORKDIR /work
ENTRYPOINT ["/usr/local/bin/convoke"]
