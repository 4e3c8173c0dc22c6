# Sourced by tests/run and tests/bench, from the root of the checkout: where things are built, and what is made once.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$PWD/target}"
mkdir -p "$CARGO_TARGET_DIR/tests"

# Made once for each content of a file: $1 names what is made, $2 the file, the rest makes it in the folder it is given.
made() {
    local folder
    folder="$CARGO_TARGET_DIR/tests/$1-$(cksum <"$2" | cut -d' ' -f1)"
    shift 2
    if [ ! -e "$folder.done" ]; then
        rm -rf "$folder"
        "$@" "$folder" >&2 || return 1
        touch "$folder.done"
    fi
    echo "$folder"
}

# MemPalace and chromadb, from PyPI.
environment() {
    python3 -m venv "$1" && "$1/bin/pip" install --quiet --disable-pip-version-check -r tests/requirements.txt
}

PALANQUIN_TEST_PYTHON="$(made environment tests/requirements.txt environment)/bin/python"
export PALANQUIN_TEST_PYTHON
