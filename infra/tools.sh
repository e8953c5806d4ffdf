#!/bin/sh
# Puts everything that the local system and the tests need into .tools/, and missing Debian packages onto the machine.
# What is there already is left alone, so that a second run takes no time and says nothing.
#
#   infra/tools.sh system      LiveKit server, S3 stand-in, minimal ffmpeg, and Debian's ffmpeg to look at the results
#   infra/tools.sh browser     also Chromium and livekit-client, for the tests with a real browser
#   infra/tools.sh lint        the linters
#   infra/tools.sh audit       what looks for known vulnerabilities, and the newest list of them
set -eu
cd "$(dirname "$0")/.."
tools=$PWD/.tools
bin=$tools/bin
mkdir -p "$bin"

say() { printf 'tools: %s\n' "$*" >&2; }

# plan COUNT: how many of the steps that follow have something to do.
plan() {
	steps=$1
	step=0
}

# long LOG SECONDS WHAT COMMAND...: runs a step, which takes about that long, with its output in a log. Says which step
# of how many it is, gives a sign of life every 15 seconds, and says how long it took; if it fails, the end of its log.
long() {
	log=$tools/$1.log
	about=$2
	what=$3
	shift 3
	step=$((step + 1))
	began=$(date +%s)
	say "$step of $steps: $what, about $about s"

	"$@" >"$log" 2>&1 &
	work=$!
	trap 'kill "$work" 2>/dev/null; exit 130' INT TERM
	while kill -0 "$work" 2>/dev/null; do
		sleep 1
		elapsed=$(($(date +%s) - began))
		[ $((elapsed % 15)) -ne 0 ] || [ "$elapsed" -eq 0 ] || ! kill -0 "$work" 2>/dev/null ||
			say "$step of $steps: still at it, $elapsed s"
	done
	trap - INT TERM

	if ! wait "$work"; then
		say "$step of $steps: failed after $(($(date +%s) - began)) s, the end of $log:"
		tail -n 20 "$log" >&2
		exit 1
	fi
	say "$step of $steps: done in $(($(date +%s) - began)) s"
}

# missing COMMAND:PACKAGE...: the packages of which the command is not there. (No function here may be named like one.)
missing() {
	for pair in "$@"; do command -v "${pair%%:*}" >/dev/null || printf ' %s' "${pair#*:}"; done
}

# apt runs once for all packages of a list.
install_packages() {
	apt-get update -qq
	# shellcheck disable=SC2086 # a list of packages
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $1
}

packages() {
	wanted=$(missing "$@")
	[ -z "$wanted" ] || long apt 60 "installing Debian packages:$wanted" install_packages "$wanted"
}

# The pinned programs: a name, a package, a version, and about how many seconds building takes on two cores.
server="server github.com/livekit/livekit-server/cmd/server v1.13.5 150"
versitygw="versitygw github.com/versity/versitygw/cmd/versitygw v1.8.0 90"
staticcheck="staticcheck honnef.co/go/tools/cmd/staticcheck v0.6.1 30"
actionlint="actionlint github.com/rhysd/actionlint/cmd/actionlint v1.7.12 20"
govulncheck="govulncheck golang.org/x/vuln/cmd/govulncheck v1.9.0 30"

built() { [ "$(cat "$bin/.$1" 2>/dev/null)" = "$3" ] && [ -x "$bin/$1" ]; }

go_install() { cd / && GOFLAGS='' GOBIN="$bin" go install "$1"; }

# go_tool NAME PACKAGE VERSION SECONDS: builds a pinned program in its own module graph.
go_tool() {
	built "$@" && return 0
	long "$1" "$4" "building $1 $3" go_install "$2@$3"
	printf '%s\n' "$3" >"$bin/.$1"
}

have_ffmpeg() {
	[ -x "$bin/ffmpeg" ] && [ "$(cat "$bin/ffmpeg.built-by" 2>/dev/null)" = "$(cksum <infra/ffmpeg/build.sh)" ]
}

minimal_ffmpeg() { have_ffmpeg || long ffmpeg 120 "building the minimal ffmpeg" infra/ffmpeg/build.sh "$bin/ffmpeg"; }

have_client() { cmp -s infra/local/browser/package-lock.json "$tools/browser/package-lock.json" 2>/dev/null; }

install_client() {
	mkdir -p "$tools/browser"
	cp infra/local/browser/package.json infra/local/browser/package-lock.json "$tools/browser/"
	(cd "$tools/browser" && npm ci --no-audit --no-fund) || { rm -f "$tools/browser/package-lock.json"; return 1; }
}

# vulnerabilities: the list is a Go module, too, which knows how to index itself.
vulnerabilities() {
	list=golang.org/x/vulndb
	directory=$(cd / && go mod download -json "$list@latest" | sed -n 's/.*"Dir": "\(.*\)",*/\1/p')
	rm -rf "$tools/vulnerabilities"
	(cd / && GOFLAGS='' go run "$list/cmd/indexdb@${directory##*@}" -vulns "$directory/data/osv" -out "$tools/vulnerabilities")
}

client() { have_client || long npm 10 "installing livekit-client" install_client; }

# todo WHAT...: how many steps these have to do.
todo() {
	count=0
	add() { count=$((count + 1)); }
	# shellcheck disable=SC2086 # lists of words
	for what in "$@"; do
		case $what in
		system)
			[ -z "$(missing $system_packages)" ] || add
			built $server || add
			built $versitygw || add
			have_ffmpeg || add
			;;
		browser)
			[ -z "$(missing $browser_packages)" ] || add
			have_client || add
			;;
		lint)
			built $staticcheck || add
			built $actionlint || add
			;;
		audit)
			built $govulncheck || add
			add
			;;
		*) say "unknown: $what"; exit 2 ;;
		esac
	done
}

system_packages="ffmpeg:ffmpeg"
browser_packages="chromium:chromium node:nodejs npm:npm"

todo "$@"
plan "$count"
# shellcheck disable=SC2086 # lists of words
for what in "$@"; do
	case $what in
	system)
		packages $system_packages
		go_tool $server
		go_tool $versitygw
		minimal_ffmpeg
		;;
	browser)
		packages $browser_packages
		client
		;;
	lint)
		go_tool $staticcheck
		go_tool $actionlint
		;;
	audit)
		go_tool $govulncheck
		long vulnerabilities 30 "fetching the list of known vulnerabilities" vulnerabilities
		;;
	esac
done
