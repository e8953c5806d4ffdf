#!/bin/sh
# Builds the one ffmpeg the recorder runs: a static binary of Debian trixie's ffmpeg source with nothing in it but the
# containers, parsers and bitstream filters that remuxing needs (about 3 MB, 4 MB of memory when running).
#
#   infra/ffmpeg/build.sh OUTPUT [ARCHITECTURE]
#
# writes the binary to OUTPUT, and does nothing when OUTPUT was built by this very script. The architecture is amd64 or
# arm64, this machine's if none is given; for the other one it is cross-compiled.
#
# Used alike by the Dockerfile, `make demo`, `make test` and CI. Needs root only to install missing build packages.
set -eu

output=${1:?usage: build.sh OUTPUT [amd64|arm64]}
version=7.1.5
machine=$(dpkg --print-architecture)
target=${2:-$machine}
case $target in
amd64) gnu=x86_64 package=x86-64 ;;
arm64) gnu=aarch64 package=aarch64 ;;
*) gnu='' ;;
esac
[ -n "$gnu" ] || [ "$target" = "$machine" ] || { echo "ffmpeg: no way to build for $target here" >&2; exit 1; }
mkdir -p "$(dirname "$output")"
output=$(cd "$(dirname "$output")" && pwd)/$(basename "$output")
stamp="$output.built-by"
fingerprint=$(cksum < "$0")
[ "$target" = "$machine" ] || fingerprint="$fingerprint $target"
if [ -x "$output" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$fingerprint" ]; then exit 0; fi

missing=
for tool in gcc:gcc make:make xz:xz-utils; do command -v "${tool%%:*}" >/dev/null || missing="$missing ${tool#*:}"; done
[ "$target" != amd64 ] || command -v nasm >/dev/null || missing="$missing nasm"
cross='' prefix=''
if [ "$target" != "$machine" ]; then
	prefix=$gnu-linux-gnu-
	cross="--enable-cross-compile --target-os=linux --arch=$gnu --cross-prefix=$prefix"
	command -v "${prefix}gcc" >/dev/null || missing="$missing gcc-$package-linux-gnu"
	[ -e "/usr/$gnu-linux-gnu/include/stdio.h" ] || missing="$missing libc6-dev-$target-cross"
fi
[ -e /usr/include/stdio.h ] || missing="$missing libc6-dev"
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || missing="$missing debian-archive-keyring"
if [ -n "$missing" ]; then
	echo "ffmpeg: installing$missing" >&2
	apt-get update -qq
	# shellcheck disable=SC2086 # a list of packages
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# The signed source package, from whichever mirror this machine already uses for Debian.
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
	grep -v '^[[:space:]]*#' | grep -v security | grep -oE 'https?://[^ ]+' | head -n 1)
[ -n "$mirror" ] || { echo "ffmpeg: no Debian mirror in /etc/apt" >&2; exit 1; }
# shellcheck disable=SC2016 # sh -c expands it
mkdir -p "$work/lists/partial" "$work/source"
for suite in trixie trixie-updates; do
	echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
done > "$work/sources.list"
chmod 755 "$work" && chown -R _apt "$work/lists" 2>/dev/null || true
apt_trixie() {
	apt-get -qq -o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o Dir::State::Lists="$work/lists" -o Dir::Cache::srcpkgcache= -o Dir::Cache::pkgcache= \
		-o APT::Sandbox::User=root "$@"
}
apt_trixie update
(cd "$work/source" && apt_trixie source --download-only ffmpeg >/dev/null)
tarball=$(find "$work/source" -name "ffmpeg_${version}*.orig.tar.xz")
[ -n "$tarball" ] || { echo "ffmpeg: trixie no longer has $version: $(ls "$work/source")" >&2; exit 1; }
mkdir "$work/ffmpeg" && tar -xJf "$tarball" -C "$work/ffmpeg" --strip-components=1

cd "$work/ffmpeg"
# shellcheck disable=SC2086 # a list of options
./configure $cross --prefix=/usr --disable-everything --disable-autodetect --disable-doc --disable-debug --disable-network \
	--disable-ffplay --disable-ffprobe --disable-avdevice --disable-swscale --disable-postproc --enable-pthreads \
	--enable-static --disable-shared --extra-ldflags=-static --enable-small \
	--enable-demuxer=matroska,mov,ogg --enable-muxer=mp4,mov,webm,ogg,opus,matroska \
	--enable-parser=h264,hevc,vp8,vp9,av1,opus \
	--enable-bsf=aac_adtstoasc,av1_metadata,extract_extradata,h264_mp4toannexb,vp9_superframe,vp9_superframe_split,opus_metadata,setts,null \
	--enable-protocol=file,pipe,fd >configure.log 2>&1 || { tail -n 20 configure.log ffbuild/config.log >&2; exit 1; }
make -j"$(nproc)" ffmpeg >make.log 2>&1 || { tail -n 40 make.log >&2; exit 1; }
"${prefix}strip" ffmpeg
# The name of the option, in the binary itself: one for another machine does not run here.
grep -aq hybrid_fragmented ffmpeg || { echo "ffmpeg: its MP4 would not survive a crash" >&2; exit 1; }
cp ffmpeg "$output.new" && mv "$output.new" "$output"
printf '%s\n' "$fingerprint" > "$stamp"
