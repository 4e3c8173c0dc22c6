#!/usr/bin/env bash
# Makes the sample palace of the demonstration anew, with the real MemPalace: 400 drawers with a history of rewrites and
# deletes long enough for one flush of the vector index and a tail in the queue, and 40 closets.
#     tests/palaces/sample.sh PYTHON    (a Python with mempalace and chromadb, as tests/run sets up)
set -euo pipefail
cd "$(dirname "$0")/../.."
palace=$(mktemp -d)
trap 'rm -rf "$palace"' EXIT
"$1" tests/palaces/palace.py make "$palace/sample" --rows 400 --closets 40 --churn 6 --seed sample
tar -C "$palace/sample" --sort=name --owner=0 --group=0 --numeric-owner -cf - . | zstd -19 -q -f -o tui/cli/demo/sample-palace.tar.zst
ls -l tui/cli/demo/sample-palace.tar.zst
