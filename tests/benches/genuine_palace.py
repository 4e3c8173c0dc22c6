"""Makes a palace of 500-byte documents through MemPalace itself, as large as is asked for.

    genuine_palace.py PALACE ROWS
"""

import os
import random
import string
import sys
import tempfile

os.environ["HOME"] = os.environ["MEMPALACE_CONFIG_DIR"] = tempfile.mkdtemp()
os.environ["ANONYMIZED_TELEMETRY"] = "False"

import numpy  # noqa: E402
from mempalace import palace as mempalace  # noqa: E402

WIDTH, AT_ONCE = 384, 1000
palace, rows = sys.argv[1], int(sys.argv[2])
drawers = mempalace.get_collection(palace, collection_name="mempalace_drawers", create=True, backend="chroma")
words, vectors = random.Random(5), numpy.random.default_rng(5)
letters = string.ascii_letters + "     "
for start in range(0, rows, AT_ONCE):
    numbers = range(start, min(start + AT_ONCE, rows))
    drawers.upsert(
        ids=[f"drawer_code_general_{words.getrandbits(96):024x}" for _ in numbers],
        documents=["".join(words.choices(letters, k=500)) for _ in numbers],
        metadatas=[
            {
                "wing": "wing_code", "room": "general", "source_file": f"/home/u/projects/demo/file_{n // 5}.md",
                "chunk_index": n % 5, "added_by": "mempalace", "filed_at": "2026-03-01T12:00:00.123456",
                "normalize_version": 2, "id_recipe": "v3", "source_mtime": 1772366400.25 + n, "chunk_total": 5,
                "hall": "general", "line_start": 1 + 10 * (n % 5), "line_end": 10 + 10 * (n % 5),
            }
            for n in numbers
        ],
        embeddings=(vectors.standard_normal((len(numbers), WIDTH), dtype="f4")).tolist(),
    )
print("rows", drawers.count())
