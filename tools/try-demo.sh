#!/bin/sh
# Runs ./dev demo as a user would: waits for it to be ready, makes the call it prints, presses
# Ctrl-C, and looks at how it ended; then once more, on the same store.
set -eu
cd "$(dirname "$0")/.."

log=build/logs/try-demo.log
mkdir -p build/logs

try() {
    ./dev demo "$@" >"$log" 2>&1 &
    pid=$!
    while ! grep -q 'Ctrl-C' "$log"; do
        if ! kill -0 $pid 2>/dev/null; then
            cat "$log"
            echo "demo ended before it was ready"
            return 1
        fi
        sleep 0.2
    done
    call=$(sed -n 's/^ *\(curl .*\)/\1/p' "$log" | head -n 1)
    answer=$(sh -c "$call")
    kill -INT $pid
    status=0
    wait $pid || status=$?
    cat "$log"
    echo "the printed call answered: $(echo "$answer" | cut -c1-200)"
    echo "Ctrl-C: exit $status"
    [ $status = 0 ] && echo "$answer" | grep -q '"source_id"'
}

try --fresh --records "${1:-2000}"
try
