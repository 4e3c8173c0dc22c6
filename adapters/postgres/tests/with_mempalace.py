"""Palaces in Postgres through MemPalace's own pgvector backend.

    with_mempalace.py write  DIRECTORY COLLECTION < rows.jsonl      makes the palace
    with_mempalace.py dump   DIRECTORY COLLECTION > rows.jsonl      opens it (create=False) and tells its rows, by id
    with_mempalace.py use    DIRECTORY COLLECTION < rows.jsonl      searches for each row, then writes: replaces the first,
                                                               deletes the second, adds "added", builds the index

The server and the namespaces come from MEMPALACE_PGVECTOR_*. A row is {"id", "document", "metadata", "embedding"}; the
components of a vector are the bits of its floats.
"""

import json
import os
import struct
import sys
import tempfile

os.environ["HOME"] = os.environ["MEMPALACE_CONFIG_DIR"] = tempfile.mkdtemp()

from mempalace.backends import PalaceRef  # noqa: E402
from mempalace.backends.base import EmbedderIdentity  # noqa: E402
from mempalace.backends.pgvector import PgVectorBackend  # noqa: E402


def vector(bits):
    return list(struct.unpack(f"<{len(bits)}f", struct.pack(f"<{len(bits)}I", *bits)))


def bits(vector):
    return list(struct.unpack(f"<{len(vector)}I", struct.pack(f"<{len(vector)}f", *vector)))


def rows():
    return [json.loads(line) for line in sys.stdin]


def upsert(collection, rows):
    collection.upsert(
        ids=[row["id"] for row in rows],
        documents=[row["document"] for row in rows],
        metadatas=[row["metadata"] for row in rows],
        embeddings=[vector(row["embedding"]) for row in rows],
    )


action, directory, name = sys.argv[1:]
backend = PgVectorBackend()
palace = PalaceRef(id=directory, local_path=directory)
collection = backend.get_collection(palace=palace, collection_name=name, create=action == "write")

if action == "write":
    upsert(collection, rows())
    collection.set_embedder_identity(EmbedderIdentity(model_name="minilm", dimension=0))
elif action == "dump":
    got = collection.get(include=["documents", "metadatas", "embeddings"])
    assert collection.count() == len(got.ids)
    told = zip(got.ids, got.documents, got.metadatas, got.embeddings)
    for id, document, metadata, embedding in sorted(told):
        row = {"id": id, "document": document, "metadata": metadata, "embedding": bits(embedding)}
        print(json.dumps(row))
else:
    given = rows()
    assert collection.health().ok, collection.health()
    assert str(collection.get_stored_embedder_identity().model_name) == "minilm"
    for row in given:
        hits = collection.query(query_embeddings=[vector(row["embedding"])], n_results=1, include=["distances"])
        assert hits.ids[0] and abs(hits.distances[0][0]) < 1e-5, (row["id"], hits)
    wing = collection.get(where={"wing": "north"})
    assert sorted(wing.ids) == sorted(row["id"] for row in given if row["metadata"].get("wing") == "north"), wing.ids
    upsert(collection, [{**given[0], "document": "replaced"}, {**given[0], "id": "added"}])
    collection.delete(ids=[given[1]["id"]])
    assert collection.run_maintenance("reindex").status == "ran"
    assert collection.run_maintenance("analyze").status == "ran"
    state = collection.maintenance_state()
    assert state["row_count"] == len(given) and state["vector_index"] == "hnsw", state
