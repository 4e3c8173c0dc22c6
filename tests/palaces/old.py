#!/usr/bin/env python3
"""Makes a palace with the chromadb that is installed, as an older MemPalace would have left it, and dumps it.

    old.py PALACE OUT.jsonl

The palace has two collections with a history: rows in the index, rows only in the log, updated, deleted and added again.
The dump has one JSON object per row as that chromadb's own client returns it, vectors as hex of their little-endian f32.
"""
import hashlib
import json
import os
import random
import struct
import sys

os.environ["ANONYMIZED_TELEMETRY"] = "False"
import chromadb  # noqa: E402
from chromadb.config import Settings  # noqa: E402

DIMENSION = 24
palace, out = sys.argv[1:]
client = chromadb.PersistentClient(path=palace, settings=Settings(anonymized_telemetry=False))


def vector(seed):
    stream = random.Random(hashlib.sha256(seed.encode()).hexdigest())
    return [struct.unpack("<f", struct.pack("<f", stream.gauss(0, 1)))[0] for _ in range(DIMENSION)]


def rows(name, numbers, edition=0):
    numbers = list(numbers)
    metadatas = [{"wing": "code", "chunk_index": n % 5, "source_mtime": 1.25 + n, "edition": edition} for n in numbers]
    return {
        "ids": [f"{name}_{n:05}" for n in numbers],
        "documents": [f"{n}.{edition} naïve 日本語 🙂" for n in numbers],
        "metadatas": metadatas,
        "embeddings": [vector(f"{name}/{n}/{edition}") for n in numbers],
    }


def make(name, space, count):
    metadata = {"hnsw:space": space, "hnsw:batch_size": 100, "hnsw:sync_threshold": 500}
    collection = client.create_collection(name, metadata=metadata, embedding_function=None)
    for start in range(0, count, 250):
        collection.upsert(**rows(name, range(start, min(start + 250, count))))
    collection.upsert(**rows(name, range(0, count, 7), edition=1))
    collection.delete(ids=[f"{name}_{n:05}" for n in range(0, count, 11)])
    collection.add(**rows(name, range(0, count, 22), edition=2))
    moved = [n for n in range(3, count, 13) if n % 11]
    collection.update(ids=[f"{name}_{n:05}" for n in moved], metadatas=[{"wing": "moved"}] * len(moved))


make("mempalace_drawers", "cosine", 1900)
make("mempalace_closets", "l2", 130)
with open(out, "w") as lines:
    for name in ("mempalace_closets", "mempalace_drawers"):
        got = client.get_collection(name, embedding_function=None).get(include=["documents", "metadatas", "embeddings"])
        for row_id, document, metadata, embedding in zip(*(got[key] for key in ("ids", "documents", "metadatas", "embeddings"))):
            numbers = struct.pack(f"<{len(embedding)}f", *(float(x) for x in embedding)).hex()
            row = {"collection": name, "id": row_id, "document": document, "metadata": metadata, "embedding": numbers}
            lines.write(json.dumps(row) + "\n")
