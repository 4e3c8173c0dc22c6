"""Copies a Chroma palace's drawers into Postgres through MemPalace's own backends, page by page, as an operator would
without anything else: `get` with a limit and an offset, then `upsert`.

    loop_over_backends.py PALACE ROWS      prints how many rows, and in how many seconds

The server is that of MEMPALACE_PGVECTOR_DSN. What is told begins once both collections are open.
"""

import os
import sys
import tempfile
import time

os.environ["HOME"] = os.environ["MEMPALACE_CONFIG_DIR"] = tempfile.mkdtemp()
os.environ["ANONYMIZED_TELEMETRY"] = "False"

from mempalace.backends import PalaceRef  # noqa: E402
from mempalace.backends.chroma import ChromaBackend  # noqa: E402
from mempalace.backends.pgvector import PgVectorBackend  # noqa: E402

PAGE = 1000
palace, wanted = sys.argv[1], int(sys.argv[2])
copy = tempfile.mkdtemp()
os.system(f"cp -a '{palace}/.' '{copy}'")
source = ChromaBackend().get_collection(
    palace=PalaceRef(id=copy, local_path=copy), collection_name="mempalace_drawers", create=False
)
directory = tempfile.mkdtemp()
target = PgVectorBackend().get_collection(
    palace=PalaceRef(id=directory, local_path=directory), collection_name="mempalace_drawers", create=True
)
began, done = time.monotonic(), 0
while done < wanted:
    page = source.get(limit=min(PAGE, wanted - done), offset=done, include=["documents", "metadatas", "embeddings"])
    if not page.ids:
        break
    target.upsert(ids=page.ids, documents=page.documents, metadatas=page.metadatas, embeddings=page.embeddings)
    done += len(page.ids)
print(done, time.monotonic() - began)
