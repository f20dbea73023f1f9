#!/bin/sh
# newer_haproxy.sh FOLDER - gets the newest HAProxy that Debian has, from a newer suite of
# the mirror that this machine already uses, with all that it is linked with, and unpacks
# it below FOLDER without installing it. Prints the root; the program there is for the
# root's own ld-linux. Where it can't (offline, not Debian), says why on stderr and exits 1.
# apt's own state isn't touched; root isn't needed. What was fetched once is kept.
set -eu

suites='sid forky trixie'
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

[ $# -eq 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)

exec 9>"$folder/lock" # tests that run side by side ask at the same time
flock 9
if [ -d "$folder/root" ]; then
    echo "$folder/root"
    exit 0
fi

say_no() {
    echo "no newer HAProxy: $1" >&2
    exit 1
}

command -v apt-get >/dev/null || say_no 'this is not Debian'
[ -r "$keyring" ] || say_no 'the archive keyring is missing'
mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' |
    awk '$2 !~ /-/ { print $1; exit }')
[ -n "$mirror" ] || say_no 'apt has no mirror, or no lists yet'

private=$(mktemp -d)
trap 'rm -rf "$private"' EXIT
mkdir -p "$private/lists/partial" "$private/archives/partial"

# apt with a source, lists and cache of its own, as the user who calls it.
private_apt() {
    timeout 120 apt-get -q -y \
        -o Dir::Etc::sourcelist="$private/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::Etc::preferences=- -o Dir::Etc::preferencesparts=- \
        -o Dir::State="$private" -o Dir::State::status=/dev/null \
        -o Dir::Cache="$private" -o Dir::Cache::archives=archives/ \
        -o APT::Sandbox::User="$(id -un)" -o Acquire::Languages=none \
        -o Acquire::Retries=1 -o Acquire::http::Timeout=15 "$@"
}

for suite in $suites; do
    echo "deb [signed-by=$keyring] $mirror $suite main" >"$private/sources.list"
    private_apt update >"$private/log" 2>&1 || continue
    private_apt --download-only --no-install-recommends install haproxy \
        >"$private/log" 2>&1 || continue
    half="$folder/half"
    rm -rf "$half"
    mkdir "$half"
    for package in "$private"/archives/*.deb; do
        dpkg -x "$package" "$half" || say_no "$package can't be unpacked"
    done
    mv "$half" "$folder/root"
    echo "$folder/root"
    exit 0
done
say_no "$(tail -n 1 "$private/log")"
