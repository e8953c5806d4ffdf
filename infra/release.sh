#!/bin/sh
# Makes a release, into .tools/release/VERSION: the programs for linux/amd64 and linux/arm64, what is in them, checksums;
# and the image for both, if there is a container engine with buildx.
#
#   infra/release.sh pin              writes the newest digests of the base images into the Dockerfile (needs Docker)
#   infra/release.sh v1.2.3           builds; nothing is published
#   infra/release.sh v1.2.3 IMAGE     builds, and pushes the image as IMAGE:v1.2.3 with its SBOM and provenance
#
# Needs Go and Debian, as the README says. What it refuses: changes that are in no commit, a version of which
# CHANGELOG.md says nothing, and base images without a digest.
set -eu
cd "$(dirname "$0")/.."

fail() { printf 'release: %s\n' "$*" >&2; exit 1; }
say() { printf 'release: %s\n' "$*" >&2; }

# pin puts a digest behind the name of every image that the Dockerfile begins with, instead of the one that is there.
pin() {
	command -v docker >/dev/null || fail "pinning base images needs Docker: docker buildx imagetools asks for digests"
	sed -n 's/^FROM \(--platform=[^ ]* \)\{0,1\}\([^ @]*:[^ @]*\)\(@[^ ]*\)\{0,1\} AS .*/\2/p' Dockerfile | sort -u |
		while read -r image; do
			digest=$(docker buildx imagetools inspect "$image" --format '{{.Manifest.Digest}}')
			case $digest in
			sha256:*) ;;
			*) fail "$image has no digest: $digest" ;;
			esac
			sed -i "s|\( $image\)\(@sha256:[0-9a-f]*\)\{0,1\} AS |\1@$digest AS |" Dockerfile
			say "$image is $digest"
		done
}

# check refuses what would be no release.
check() {
	case $1 in
	v[0-9]*.[0-9]*.[0-9]*) ;;
	*) fail "a version is like v1.2.3, and not $1" ;;
	esac
	[ -z "$(git status --porcelain)" ] || fail "there are changes that are in no commit"
	grep -q "^## ${1#v}\( \|$\)" CHANGELOG.md ||
		fail "CHANGELOG.md has no paragraph '## ${1#v}': call the unreleased one so, with the day"
	unpinned=$(sed -n 's/^FROM \([^@]*:[^@]*\) AS .*/\1/p' Dockerfile)
	[ -z "$unpinned" ] || fail "base images without a digest (infra/release.sh pin): $unpinned"
}

# programs builds for an architecture. What went into a program is in itself: go version -m prints it.
programs() {
	version=$1 commit=$2 architecture=$3 directory=$4
	package=livekit-recorder/shared/version
	for program in recorder:./recorder api:./functions/server bootstrap:./functions/lambda; do
		name=${program%%:*}
		CGO_ENABLED=0 GOOS=linux GOARCH=$architecture go build -buildvcs=false -trimpath -tags lambda.norpc \
			-ldflags "-s -w -X $package.version=$version -X $package.commit=$commit" \
			-o "$directory/$name-linux-$architecture" "${program#*:}"
		go version -m "$directory/$name-linux-$architecture" | tail -n +2 >"$directory/$name-linux-$architecture.modules"
	done
}

release() {
	version=$1
	check "$version"
	commit=$(git rev-parse HEAD)
	directory=.tools/release/$version
	rm -rf "$directory"
	mkdir -p "$directory"

	for architecture in amd64 arm64; do
		say "programs for linux/$architecture"
		programs "$version" "$commit" "$architecture" "$directory"
	done
	cp openapi.yaml shared/document/recording.schema.json template.yaml infra/compose.yaml LICENSE "$directory/"
	(cd "$directory" && sha256sum ./* >SHA256SUMS)

	image "$version" "$commit" "${2:-}"
	say "done: $directory"
}

# image builds for both architectures. The SBOM that buildx attaches lists the Go modules of the programs; ffmpeg is
# Debian's source package of the version that infra/ffmpeg/build.sh names.
image() {
	if ! docker buildx version >/dev/null 2>&1; then
		[ -z "$3" ] || fail "there is no Docker with buildx to push with"
		say "no image: there is no Docker with buildx"
		return
	fi
	set -- --platform linux/amd64,linux/arm64 --build-arg VERSION="$1" --build-arg COMMIT="$2" \
		--build-arg CREATED="$(git show -s --format=%cI HEAD)" --build-arg SOURCE="${SOURCE:-}" \
		--sbom=true --provenance=mode=max ${3:+--push --tag "$3:$1"}
	say "the image"
	docker buildx build "$@" .
}

case ${1:-} in
pin) pin ;;
v*) release "$@" ;;
*) fail "usage: infra/release.sh pin | infra/release.sh VERSION [IMAGE]" ;;
esac
