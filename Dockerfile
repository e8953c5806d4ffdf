# One image with both programs, recorder and api: static binaries, certificates, and nothing else. It is built for the
# platform that it is asked for on whatever machine, without emulation: everything is cross-compiled.
#
#   docker buildx build --platform linux/arm64 --load -t participant-recorder .
#
# The base images are named by suite here, whose tags move with Debian's and Go's security updates;
# `infra/release.sh pin` writes today's digests behind them, and no release is made without.
FROM --platform=$BUILDPLATFORM debian:trixie-slim AS ffmpeg
COPY infra/ffmpeg/build.sh /build/build.sh
ARG TARGETARCH
RUN /build/build.sh /build/ffmpeg $TARGETARCH

FROM --platform=$BUILDPLATFORM golang:1.26-trixie AS programs
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY shared shared
COPY functions functions
COPY recorder recorder
ARG TARGETARCH
ARG VERSION=unreleased
ARG COMMIT=unknown
ENV CGO_ENABLED=0 GOOS=linux GOARCH=$TARGETARCH
RUN flags="-s -w -X livekit-recorder/shared/version.version=$VERSION -X livekit-recorder/shared/version.commit=$COMMIT" && \
    go build -buildvcs=false -trimpath -ldflags "$flags" -o /build/api ./functions/server && \
    go build -buildvcs=false -trimpath -ldflags "$flags" -o /build/recorder ./recorder
# The only places that are written to, by a user who can do nothing else.
RUN mkdir -p /build/scratch /build/data && chown 65532:65532 /build/scratch /build/data

# The queue server of infra/compose.yaml, for machines without SQS: `docker build --target queues`.
FROM programs AS queues-program
COPY infra/local/sqs infra/local/sqs
COPY infra/queues infra/queues
RUN go build -buildvcs=false -trimpath -ldflags '-s -w' -o /build/queues ./infra/queues

FROM scratch AS queues
COPY --from=queues-program /build/queues /usr/local/bin/queues
COPY --from=queues-program --chown=65532:65532 /build/data /data
USER 65532:65532
VOLUME /data
EXPOSE 9324
ENTRYPOINT ["/usr/local/bin/queues"]

FROM scratch AS participant-recorder
COPY --from=programs /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=ffmpeg /build/ffmpeg /usr/local/bin/ffmpeg
COPY --from=programs /build/recorder /usr/local/bin/recorder
COPY --from=programs /build/api /usr/local/bin/api
COPY --from=programs --chown=65532:65532 /build/scratch /scratch
ENV FFMPEG=/usr/local/bin/ffmpeg SCRATCH_DIR=/scratch TMPDIR=/scratch
ARG VERSION=unreleased
ARG COMMIT=unknown
ARG CREATED=
ARG SOURCE=
LABEL org.opencontainers.image.title="LiveKit participant recorder" \
      org.opencontainers.image.description="Records each participant of a LiveKit room into a file of their own" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COMMIT" \
      org.opencontainers.image.created="$CREATED" \
      org.opencontainers.image.source="$SOURCE"
USER 65532:65532
VOLUME /scratch
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/recorder"]
