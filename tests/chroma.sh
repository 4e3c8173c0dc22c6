#!/usr/bin/env bash
# Chroma servers for tests, out of chromadb's wheel from PyPI (that of PALANQUIN_TEST_PYTHON, if set).
#     tests/chroma.sh with COMMAND...     one server for as long as COMMAND runs, which finds its address in
#                                         PALANQUIN_TEST_CHROMA, and the command itself in PALANQUIN_CHROMA
#     tests/chroma.sh start DIR           starts one over DIR/palace on a free loopback port (the last one's, if DIR has
#                                         been started before), and prints its address once it answers
#     tests/chroma.sh stop DIR [TERM|KILL]   returns once its process is gone
#     tests/chroma.sh scratch             prints a new directory such a server can live in
set -euo pipefail

base() {
    local base="${CARGO_TARGET_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/target}/tests"
    mkdir -p "$base"
    echo "$base"
}

command_of_wheel() {
    if [ -n "${PALANQUIN_CHROMA:-}" ]; then
        echo "$PALANQUIN_CHROMA"
    elif [ -n "${PALANQUIN_TEST_PYTHON:-}" ]; then
        echo "$(dirname "$PALANQUIN_TEST_PYTHON")/chroma"
    else
        (cd "$(dirname "${BASH_SOURCE[0]}")/.." && . tests/prepare.sh >&2 && echo "$(dirname "$PALANQUIN_TEST_PYTHON")/chroma")
    fi
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

answers() {
    python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1] + "/api/v2/heartbeat", timeout=5)' "$1" 2>/dev/null
}

scratch() {
    mktemp -d "$(base)/chroma.XXXXXX"
}

start() {
    local directory=$1 port pid
    # Another process may take the port between its choice and the start.
    for attempt in 1 2 3 4 5; do
        port=$(cat "$directory/port" 2>/dev/null || free_port)
        "$(command_of_wheel)" run --path "$directory/palace" --host 127.0.0.1 --port "$port" \
            >"$directory/server.log" 2>&1 </dev/null &
        pid=$!
        while kill -0 "$pid" 2>/dev/null; do
            if answers "http://127.0.0.1:$port"; then
                echo "$pid" >"$directory/pid"
                echo "$port" >"$directory/port"
                echo "http://127.0.0.1:$port"
                return
            fi
            sleep 0.05
        done
    done
    echo "no server could be started in $directory:" >&2
    tail -n 20 "$directory/server.log" >&2
    return 1
}

stop() {
    local directory=$1 pid
    [ -f "$directory/pid" ] || return 0
    pid=$(cat "$directory/pid")
    kill "-${2:-TERM}" "$pid" 2>/dev/null || return 0
    # One with connections open waits for their ends.
    for waited in $(seq 250); do
        kill -0 "$pid" 2>/dev/null || return 0
        sleep 0.02
    done
    kill -KILL "$pid" 2>/dev/null || return 0
    while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
}

with_server() {
    local directory
    directory=$(scratch)
    trap 'stop "'"$directory"'" KILL; rm -rf "'"$directory"'"' EXIT
    PALANQUIN_CHROMA=$(command_of_wheel)
    export PALANQUIN_CHROMA
    PALANQUIN_TEST_CHROMA=$(start "$directory")
    export PALANQUIN_TEST_CHROMA
    "$@"
}

command=${1:-}
[ $# -gt 0 ] && shift
case "$command" in
with) with_server "$@" ;;
start) start "$@" ;;
stop) stop "$@" ;;
scratch) scratch ;;
*)
    sed -n '2,/^set /{/^#/p}' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
