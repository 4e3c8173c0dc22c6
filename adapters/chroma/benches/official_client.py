"""What chromadb's own client does in the time: upserts into a server, or pages every row out of one; prints JSON.

    official_client.py upsert URL ROWS BATCH...     rows per second for each size of batch
    official_client.py page URL COLLECTION LIMIT    rows per second of reading everything by limit and offset
"""
import json
import sys
import time

import chromadb
import numpy

what, url = sys.argv[1:3]
host, port = url.removeprefix("http://").split(":")
client = chromadb.HttpClient(host=host, port=int(port))
if what == "upsert":
    rows = int(sys.argv[3])
    vectors = numpy.random.default_rng(7).standard_normal((rows, 384), dtype="f4")
    vectors /= numpy.linalg.norm(vectors, axis=1, keepdims=True)
    document = "stone river garden naïve word after word in a chunk of a file " * 5
    rates = {}
    for batch in map(int, sys.argv[4:]):
        name = f"bench-{batch}-{time.time_ns()}"
        collection = client.create_collection(name, metadata={"hnsw:space": "cosine"}, embedding_function=None)
        began = time.monotonic()
        for start in range(0, rows, batch):
            numbers = range(start, min(start + batch, rows))
            collection.upsert(
                ids=[f"row-{n:07}" for n in numbers], embeddings=vectors[start:start + batch],
                documents=[f"{n} {document}" for n in numbers],
                metadatas=[{"wing": "code", "room": "general", "n": n, "f": n + 0.5, "at": "2026-03-01T12:00:00", "v": 2} for n in numbers],
            )
        rates[batch] = rows / (time.monotonic() - began)
        client.delete_collection(name)
    print(json.dumps(rates))
else:
    collection, limit = client.get_collection(sys.argv[3], embedding_function=None), int(sys.argv[4])
    began, read = time.monotonic(), 0
    while page := collection.get(limit=limit, offset=read, include=["documents", "metadatas", "embeddings"])["ids"]:
        read += len(page)
    print(json.dumps({"rows": read, "rate": read / (time.monotonic() - began)}))
