#!/bin/sh
# Tries README's two commands as a new user would: on a bare Debian userland, with nothing but git.
#
#   tools/bare-debian.sh [bookworm|trixie] [demo|check|COMMAND ...]
#
# Makes the userland with debootstrap under build/bare/ (once), clones the committed state of this
# repository into it, and runs ./dev demo (makes the call it prints, then Ctrl-C) or ./dev check
# there. The archive is the one that apt is configured for on this machine. Needs root.
set -eu
cd "$(dirname "$0")/.."

suite=${1:-bookworm}
what=${2:-demo}
[ $# -lt 2 ] || shift 2
tree=$PWD/build/bare/$suite

[ "$(id -u)" = 0 ] || {
    echo "bare-debian: chroot needs root" >&2
    exit 77
}

make_tree() {
    command -v debootstrap >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get -q install -y debootstrap
    # shellcheck disable=SC2016 # apt expands these, not the shell
    site=$(apt-get indextargets --format '$(CREATED_BY) $(COMPONENT) $(ORIGIN) $(SUITE) $(REPO_URI)' |
        sed -n 's/^Packages main Debian [a-z]*stable //p' | head -n 1)
    rm -rf "$tree"
    mkdir -p "$tree"
    debootstrap --variant=minbase "$suite" "$tree" "$site"
    # What a fresh installation has as well: the archive's updates, and git.
    echo "deb $site $suite-updates main" >>"$tree/etc/apt/sources.list"
    inside apt-get -q update
    inside apt-get -q install -y --no-install-recommends git ca-certificates
    touch "$tree/.made"
}

# Runs a command in the tree: own process list, this machine's network and name service.
inside() {
    cp -L /etc/resolv.conf /etc/hosts "$tree/etc/"
    # shellcheck disable=SC2016 # $tree and $@ are the inner shell's
    unshare --mount --pid --fork sh -c '
        tree=$1
        shift
        mount -t proc proc "$tree/proc"
        mount --rbind /dev "$tree/dev"
        exec chroot "$tree" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
            LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"' sh "$tree" "$@" </dev/null
}

[ -f "$tree/.made" ] || make_tree
if [ ! -d "$tree/penstock/.git" ]; then
    git clone -q --no-hardlinks . "$tree/penstock"
else
    git --git-dir=.git bundle create -q "$tree/penstock.bundle" HEAD
    inside git -C /penstock fetch -q /penstock.bundle HEAD
    inside git -C /penstock reset -q --hard FETCH_HEAD
fi

case "$what" in
demo) inside sh /penstock/tools/try-demo.sh ;;
check) inside sh -c 'cd /penstock && ./dev check' ;;
*) inside sh -c 'cd /penstock && exec "$@"' sh "$what" "$@" ;;
esac
