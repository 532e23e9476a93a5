# Two images of convoke. The default image has only the binary: no shell, no package manager, no root user.
#
#   docker build --tag convoke .
#   docker build --tag convoke-ci --target ci .
#
# "ci" also has a shell, git, curl and jq, for runners that need them (GitLab, the CronJob in examples/ci).
# BINARY=archive takes the binaries of a release from dist/ (see .github/release/image.sh) and builds nothing.
ARG RUST=rust:1.91.0-alpine3.21@sha256:e9cf108518171a523b0f4f73989d1f35a6c6dc593df52990c29150e57e2ec80a
ARG ALPINE=alpine:3.22.1@sha256:4bcff63911fcb4448bd4fdacec207030997caf25e9bea4045fa6c8c44de311d1
ARG BINARY=source

FROM ${RUST} AS source
RUN apk add --no-cache gcc musl-dev
WORKDIR /convoke
COPY Cargo.toml Cargo.lock README.md ./
COPY benches benches
COPY schemas schemas
COPY src src
# The time of the commit, and no paths of this stage, so that the same source gives the same binary.
ARG SOURCE_DATE_EPOCH=0
ENV SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH} CARGO_INCREMENTAL=0 RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=/convoke=. --remap-path-prefix=/usr/local/cargo=cargo"
RUN cargo build --locked --profile dist --bin convoke && cp target/dist/convoke /usr/local/bin/convoke

FROM scratch AS archive
ARG TARGETARCH
COPY --chmod=755 dist/convoke-${TARGETARCH} /usr/local/bin/convoke

FROM ${BINARY} AS binary

FROM ${ALPINE} AS ci
RUN apk add --no-cache bash ca-certificates curl git jq
COPY --from=binary /usr/local/bin/convoke /usr/local/bin/convoke
RUN adduser -D -u 65532 convoke
USER 65532:65532
WORKDIR /work

# The same on every platform.
FROM --platform=$BUILDPLATFORM ${ALPINE} AS certificates
RUN apk add --no-cache ca-certificates

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
COPY --from=certificates /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=binary /usr/local/bin/convoke /usr/local/bin/convoke
COPY LICENSE-MIT LICENSE-APACHE /licenses/
USER 65532:65532
WORKDIR /work
ENTRYPOINT ["/usr/local/bin/convoke"]
