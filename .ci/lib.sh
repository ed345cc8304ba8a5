# Shared by the scripts of this folder; sourced, never run.

say() { printf '\n== %s\n' "$*"; }

# Networks of CI machines drop packets: three tries with a pause that grows.
retry() {
    local try
    for try in 1 2 3; do
        "$@" && return 0
        echo "try $try of 3 failed: $*" >&2
        sleep $((try * 5))
    done
    return 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo --preserve-env=DEBIAN_FRONTEND "$@"; fi
}

# Installs the Debian packages that are missing; asks the network for nothing when none is.
debian() {
    local package missing=()
    for package in "$@"; do
        dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null | grep -q '^ii' ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    export DEBIAN_FRONTEND=noninteractive
    # A third-party source that does not answer is no reason to stop: the install will tell.
    retry as_root apt-get update -q || echo "apt-get update failed; trying to install all the same" >&2
    retry as_root apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# stage NAME COMMAND...: runs it and keeps its time for `timings`.
took=()
stage() {
    local name=$1 start=$SECONDS
    shift
    say "$name"
    took+=("$name: stopped here")
    "$@"
    took[-1]=$(printf '%-28s %5d s' "$name" $((SECONDS - start)))
}

timings() {
    say "time"
    printf '%s\n' "${took[@]}"
    printf '%-28s %5d s\n' together "$SECONDS"
}
