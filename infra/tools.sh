#!/bin/sh
# Puts everything that the local system and the tests need into .tools/, and missing Debian packages onto the machine.
# What is there already is left alone, so that a second run takes no time.
#
#   infra/tools.sh system      LiveKit server, S3 stand-in, minimal ffmpeg, and Debian's ffmpeg to look at the results
#   infra/tools.sh browser     also Chromium and livekit-client, for the tests with a real browser
#   infra/tools.sh lint        the linters
set -eu
cd "$(dirname "$0")/.."
tools=$PWD/.tools
bin=$tools/bin
mkdir -p "$bin"

say() { printf '%s\n' "tools: $*" >&2; }

# The first binary that is missing of each "command:package" decides; apt runs once for all of them.
packages() {
	missing=
	for pair in "$@"; do command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"; done
	[ -n "$missing" ] || return 0
	say "installing Debian packages:$missing"
	apt-get update -qq
	# shellcheck disable=SC2086 # a list of packages
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >"$tools/apt.log" 2>&1 ||
		{ tail -n 20 "$tools/apt.log" >&2; exit 1; }
}

# go_tool NAME MODULE/PACKAGE VERSION: builds a pinned program in its own module graph.
go_tool() {
	[ "$(cat "$bin/.$1" 2>/dev/null)" = "$3" ] && [ -x "$bin/$1" ] && return 0
	say "building $1 $3 (once, a minute or two)"
	(cd / && GOFLAGS= GOBIN="$bin" go install "$2@$3") 2>"$tools/$1.log" || { tail -n 20 "$tools/$1.log" >&2; exit 1; }
	printf '%s\n' "$3" >"$bin/.$1"
}

system() {
	packages ffmpeg:ffmpeg
	go_tool server github.com/livekit/livekit-server/cmd/server v1.13.5
	go_tool versitygw github.com/versity/versitygw/cmd/versitygw v1.8.0
	if ! [ -x "$bin/ffmpeg" ] || [ "$(cat "$bin/ffmpeg.built-by" 2>/dev/null)" != "$(cksum <infra/ffmpeg/build.sh)" ]; then
		say "building the minimal ffmpeg (once, about a minute)"
		infra/ffmpeg/build.sh "$bin/ffmpeg"
	fi
}

browser() {
	packages chromium:chromium node:nodejs npm:npm
	if ! cmp -s infra/local/browser/package-lock.json "$tools/browser/package-lock.json" 2>/dev/null; then
		say "installing livekit-client"
		mkdir -p "$tools/browser"
		cp infra/local/browser/package.json infra/local/browser/package-lock.json "$tools/browser/"
		(cd "$tools/browser" && npm ci --silent --no-audit --no-fund >"$tools/npm.log" 2>&1) ||
			{ tail -n 20 "$tools/npm.log" >&2; rm -f "$tools/browser/package-lock.json"; exit 1; }
	fi
}

lint() { go_tool staticcheck honnef.co/go/tools/cmd/staticcheck v0.6.1; }

for what in "$@"; do
	case $what in
	system) system ;;
	browser) browser ;;
	lint) lint ;;
	*) say "unknown: $what"; exit 2 ;;
	esac
done
