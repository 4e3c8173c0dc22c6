#!/usr/bin/env python3
"""Writes to a palace without a pause, with a chromadb that writes its vector files anew after every hundred operations.

    flush_loop.py PALACE

Says "ready", goes on until its input ends, and says how many operations there were. Operation k is known by its number alone:
whoever reads meanwhile can tell which of them it has seen.
"""
import os
import sys
import threading

os.environ["ANONYMIZED_TELEMETRY"] = "False"
import chromadb  # noqa: E402
from chromadb.config import Settings  # noqa: E402

client = chromadb.PersistentClient(path=sys.argv[1], settings=Settings(anonymized_telemetry=False))
metadata = {"hnsw:space": "l2", "hnsw:batch_size": 50, "hnsw:sync_threshold": 100}
rows = client.create_collection("rows", metadata=metadata, embedding_function=None)
there = set()


def row_id(n):
    return f"row-{n:03}"


def operation(k):
    touched = [(k * 7 + j * 3) % 150 for j in range(10)]
    kind = k % 5
    if kind == 0:
        gone = [n for n in touched[:6] if n in there]
        if gone:
            rows.delete(ids=[row_id(n) for n in gone])
            there.difference_update(gone)
    elif kind == 1:
        moved = [n for n in touched if n in there]
        if moved:
            rows.update(ids=[row_id(n) for n in moved], metadatas=[{"k": k}] * len(moved))
    else:
        rows.upsert(ids=[row_id(n) for n in touched], documents=[str(k)] * len(touched), metadatas=[{"k": k}] * len(touched),
                    embeddings=[[float(n), float(k), 0.5, -1.0] for n in touched])
        there.update(touched)


ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
operations = 0
while not ended.is_set():
    operations += 1
    operation(operations)
    if operations == 50:
        print("ready", flush=True)
print("operations", operations, flush=True)
