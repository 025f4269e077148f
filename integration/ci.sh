#!/bin/sh
# Run the README's two commands and the starred machines, say what each took, and add up what they
# counted.
set -u

cd "$(dirname "$0")/.." || exit 1
log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0 skipped=0
begun=$(date +%s)

step() {
    name=$1
    shift
    echo "=== $name"
    start=$(date +%s)
    { "$@" 2>&1; echo "status $?"; } | tee "$log" | grep --line-buffered -v '^status [0-9]*$'
    status=$(sed -n 's/^status //p' "$log" | tail -n 1)
    passed=$((passed + $(counted passed)))
    skipped=$((skipped + $(counted skipped)))
    broken=$(($(counted failed) + $(counted error)))
    # A step that ended badly without counting why is one failure.
    if [ "$status" != 0 ] && [ "$broken" = 0 ]; then broken=1; fi
    failed=$((failed + broken))
    echo "--- $name: $(($(date +%s) - start)) s, exit status $status"
}

# The last line with counts is the step's own: `12 passed, 1 skipped in 3.4s`.
counted() {
    number=$(grep -E '[0-9]+ (passed|failed|errors?)\b.* in [0-9.]+ ?s' "$log" | tail -n 1 |
        grep -oE "[0-9]+ $1" | cut -d ' ' -f 1)
    echo "${number:-0}"
}

step 'installs' integration/prepare.sh
step 'make demo' make --no-print-directory demo
step 'make test' make --no-print-directory test
step 'images of machines' make --no-print-directory images
step 'images of machines with ZFS' make --no-print-directory images-zfs
step 'make machines' make --no-print-directory machines
echo "=== $(($(date +%s) - begun)) s in all"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$skipped" = 0 ] && [ "$passed" -gt 0 ]
