#!/bin/sh
# newer_pebble.sh FOLDER - gets a Pebble of 2.10 or newer (ARI, profiles, Retry-After)
# from a newer suite of the Debian mirror that this machine already uses, and unpacks it
# below FOLDER without installing it. Prints the folder of its programs. Where it can't
# (offline, not Debian), says why on stderr and exits 1. apt's own state isn't touched;
# root isn't needed. What was fetched once is kept.
set -eu

wanted=2.10
suites='trixie-backports forky sid'
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

[ $# -eq 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)

exec 9>"$folder/lock" # tests that run side by side ask at the same time
flock 9
if [ -x "$folder/root/usr/bin/pebble" ]; then
    echo "$folder/root/usr/bin"
    exit 0
fi

say_no() {
    echo "no Pebble $wanted: $1" >&2
    exit 1
}

command -v apt-get >/dev/null || say_no 'this is not Debian'
[ -r "$keyring" ] || say_no 'the archive keyring is missing'
# The mirror of the installed release: not the one for its security updates.
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' |
    awk '$2 !~ /-/ { print $1; exit }')
[ -n "$mirror" ] || say_no 'apt has no mirror, or no lists yet'

private=$(mktemp -d)
trap 'rm -rf "$private"' EXIT
mkdir -p "$private/lists/partial" "$private/archives/partial"

# apt with a source, lists and cache of its own, as the user who calls it.
private_apt() {
    program=$1
    shift
    timeout 120 "$program" -q \
        -o Dir::Etc::sourcelist="$private/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::Etc::preferences=- -o Dir::Etc::preferencesparts=- \
        -o Dir::State="$private" -o Dir::State::status=/dev/null \
        -o Dir::Cache="$private" -o Dir::Cache::archives=archives/ \
        -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none \
        -o Acquire::Retries=1 -o Acquire::http::Timeout=15 "$@"
}

newest() {
    private_apt apt-cache madison pebble | awk -F'|' 'NR == 1 { gsub(/ /, "", $2); print $2 }'
}

for suite in $suites; do
    echo "deb [signed-by=$keyring] $mirror $suite main" >"$private/sources.list"
    private_apt apt-get update >"$private/log" 2>&1 || continue
    version=$(newest)
    [ -n "$version" ] && dpkg --compare-versions "$version" ge "$wanted" || continue
    (cd "$private" && private_apt apt-get download "pebble=$version") >"$private/log" 2>&1 ||
        continue
    rm -rf "$folder/new" "$folder/root"
    dpkg -x "$private"/pebble_*.deb "$folder/new"
    # It was built for a newer release: does it run on this one?
    "$folder/new/usr/bin/pebble" -version >"$private/log" 2>&1 ||
        say_no "$version of $suite doesn't run here"
    mv "$folder/new" "$folder/root"
    echo "$folder/root/usr/bin"
    exit 0
done
say_no "none of $suites could be had from the mirror"
