# The recorder's image: two static binaries, certificates, and nothing else.
#
#   docker build -t participant-recorder .

# The base images are named by suite: the tags move with Debian's and Go's security updates.
FROM debian:trixie-slim AS ffmpeg
COPY infra/ffmpeg/build.sh /build/build.sh
RUN /build/build.sh /build/ffmpeg

FROM golang:1.26-trixie AS recorder
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY shared shared
COPY recorder recorder
RUN CGO_ENABLED=0 go build -buildvcs=false -trimpath -ldflags '-s -w' -o /build/recorder ./recorder
# The only place that is written to, by a user who can do nothing else.
RUN mkdir -p /build/scratch && chown 65532:65532 /build/scratch

FROM scratch
COPY --from=recorder /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=ffmpeg /build/ffmpeg /usr/local/bin/ffmpeg
COPY --from=recorder /build/recorder /usr/local/bin/recorder
COPY --from=recorder --chown=65532:65532 /build/scratch /scratch
ENV FFMPEG=/usr/local/bin/ffmpeg SCRATCH_DIR=/scratch TMPDIR=/scratch
USER 65532:65532
VOLUME /scratch
ENTRYPOINT ["/usr/local/bin/recorder"]
