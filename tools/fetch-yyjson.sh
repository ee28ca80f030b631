#!/bin/sh
# Puts yyjson under build/deps/ on Debian 12, which does not package it: libyyjson0 and
# libyyjson-dev of the next release, from the archive that apt is configured for here, through an
# apt state of its own. Nothing outside build/deps/ changes; apt checks the archive's signature.
# They need only libc >= 2.14, so the newer build runs on Debian 12.
set -eu
cd "$(dirname "$0")/.."

dest=build/deps/yyjson
next=trixie
[ -f "$dest/.done" ] && exit 0

# The address of the archive, as apt itself knows it.
# shellcheck disable=SC2016 # apt expands these, not the shell
site=$(apt-get indextargets --format '$(CREATED_BY) $(RELEASE) $(COMPONENT) $(REPO_URI)' |
    sed -n 's/^Packages bookworm main //p' | head -n 1)
if [ -z "$site" ]; then
    echo "fetch-yyjson: apt has no 'bookworm main' source here; add one, or install yyjson >= 0.10" >&2
    exit 1
fi

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp" # apt downloads as an unprivileged user
mkdir -p "$tmp/lists/partial" "$tmp/archives/partial" "$tmp/get"
: >"$tmp/status"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
[ -f "$keys" ] && signed="[signed-by=$keys] " || signed=
echo "deb $signed$site $next main" >"$tmp/sources.list"

apt() {
    apt-get -qq -o Dir::Etc::sourcelist="$tmp/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::State::lists="$tmp/lists" -o Dir::State::status="$tmp/status" \
        -o Dir::Cache::archives="$tmp/archives" -o Dir::Cache::pkgcache= \
        -o Dir::Cache::srcpkgcache= -o Acquire::Languages=none "$@"
}
[ "$(id -u)" = 0 ] && id _apt >/dev/null 2>&1 && chown -R _apt "$tmp"/lists "$tmp"/archives "$tmp"/get
apt update
(cd "$tmp/get" && apt download libyyjson0 libyyjson-dev)

for deb in "$tmp"/get/*.deb; do
    dpkg-deb -x "$deb" "$tmp/tree"
done
rm -rf "$dest"
mkdir -p "$dest/lib"
cp -a "$tmp"/tree/usr/include "$dest/"
cp "$tmp"/tree/usr/lib/*/libyyjson.so.0 "$dest/lib/"
ln -s libyyjson.so.0 "$dest/lib/libyyjson.so"
cp -a "$tmp"/tree/usr/share/doc/libyyjson0/copyright "$dest/"
touch "$dest/.done"
