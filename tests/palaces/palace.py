#!/usr/bin/env python3
"""Makes, changes and dumps palaces through the real MemPalace and the real chromadb.

    palace.py make PALACE --rows N [--closets K] [--churn TIMES] [--seed S]
    palace.py dump PALACE OUT.jsonl
    palace.py write PALACE --seconds S

`make` writes drawers and closets; --churn rewrites, deletes and adds
some again, so many times, so that queue, index and metadata all
have a history. `dump` writes one JSON object per row as chromadb's client returns it, vectors as hex of their little-endian
f32. `write` changes rows for so many seconds, printing "ready" once it has begun.
"""
import argparse
import hashlib
import json
import math
import os
import random
import struct
import sys
import tempfile
import time

os.environ["MEMPALACE_CONFIG_DIR"] = os.environ["HOME"] = tempfile.mkdtemp(prefix="palace-home-")
os.environ["ANONYMIZED_TELEMETRY"] = "False"

DRAWERS, CLOSETS = "mempalace_drawers", "mempalace_closets"
DIMENSION = 384


def unit_vector(seed):
    """A unit vector that depends on the seed alone, as f32 holds it."""
    stream = random.Random(hashlib.sha256(seed.encode()).hexdigest())
    raw = [stream.gauss(0, 1) for _ in range(DIMENSION)]
    norm = math.sqrt(sum(x * x for x in raw))
    return [struct.unpack("<f", struct.pack("<f", x / norm))[0] for x in raw]


def drawer(seed, number, edition=0):
    stream = random.Random(f"{seed}/{number}/{edition}")
    wing, room = stream.choice(["code", "people", "garden ü"]), stream.choice(["ci", "diary", "general"])
    row_id = f"drawer_{wing}_{room}_{hashlib.sha256(f'{seed}/{number}'.encode()).hexdigest()[:24]}"
    if edition:
        # The id stays; what it names has changed.
        first = random.Random(f"{seed}/{number}/0")
        row_id = f"drawer_{first.choice(['code', 'people', 'garden ü'])}_{first.choice(['ci', 'diary', 'general'])}_{row_id[-24:]}"
    words = ["stone", "river", "naïve", "日本語", "🙂", '"said"', "tab\there", "O'Brien", "back\\slash"]
    document = f"{number}.{edition} " + " ".join(stream.choice(words) for _ in range(stream.randint(5, 90)))
    metadata = {
        "wing": wing, "room": room, "chunk_index": number % 5, "filed_at": f"2026-03-01T12:00:{number % 60:02d}.5",
        "source_mtime": 1772366400.25 + number, "normalize_version": 2, "whole": float(number), "big": 2**62 + number,
    }
    if number % 7 == 0:
        metadata["entities"] = "Ada;Grace;José"
    if number % 11 == 0:
        metadata["pinned"] = number % 2 == 0
    if number % 13 == 0:
        metadata["tags"] = ["a", f"t{number}"]
    return row_id, document, metadata, unit_vector(f"{seed}/{number}/{edition}")


def closet(seed, number):
    return (f"closet_code_general_{number:04d}_01", f"topic {number}|Ada|->drawer", {"wing": "code", "drawer_count": number},
            unit_vector(f"{seed}/closet/{number}"))


def upsert(collection, rows, at_once=500):
    for start in range(0, len(rows), at_once):
        ids, documents, metadatas, embeddings = zip(*rows[start:start + at_once])
        collection.upsert(ids=list(ids), documents=list(documents), metadatas=list(metadatas), embeddings=list(embeddings))


def open_collection(palace, name, create=True):
    from mempalace import palace as mempalace
    return mempalace.get_collection(palace, collection_name=name, create=create, backend="chroma")


def make(args):
    drawers = open_collection(args.palace, DRAWERS)
    upsert(drawers, [drawer(args.seed, n) for n in range(args.rows)])
    for turn in range(args.churn):
        stream = random.Random(f"{args.seed}/churn/{turn}")
        numbers = list(range(args.rows))
        upsert(drawers, [drawer(args.seed, n, 3 * turn + 1) for n in stream.sample(numbers, args.rows // 5)])
        gone = stream.sample(numbers, args.rows // 20)
        drawers.delete(ids=[drawer(args.seed, n)[0] for n in gone])
        upsert(drawers, [drawer(args.seed, n, 3 * turn + 2) for n in gone[: len(gone) // 2]])
        upsert(drawers, [drawer(args.seed, n, 3 * turn + 3) for n in stream.sample(numbers, args.rows // 10)])
        drawers.delete(ids=[drawer(args.seed, n)[0] for n in gone[: len(gone) // 4]])
    print(DRAWERS, drawers.count())
    if args.closets:
        closets = open_collection(args.palace, CLOSETS)
        upsert(closets, [closet(args.seed, n) for n in range(args.closets)])
        print(CLOSETS, closets.count())


def dump(args):
    import chromadb
    client = chromadb.PersistentClient(args.palace)
    with open(args.out, "w", encoding="utf-8") as out:
        for collection in client.list_collections():
            collection = client.get_collection(collection.name, embedding_function=None)
            for start in range(0, collection.count(), 1000):
                page = collection.get(limit=1000, offset=start, include=["documents", "metadatas", "embeddings"])
                for row_id, document, metadata, vector in zip(page["ids"], page["documents"], page["metadatas"], page["embeddings"]):
                    out.write(json.dumps({
                        "collection": collection.name, "id": row_id, "document": document, "metadata": metadata or {},
                        "embedding": struct.pack(f"<{len(vector)}f", *vector).hex(),
                    }, ensure_ascii=False) + "\n")


def write(args):
    drawers = open_collection(args.palace, DRAWERS)
    stream = random.Random(f"{args.seed}/write")
    end = time.monotonic() + args.seconds
    rounds, slowest = 0, 0.0
    while time.monotonic() < end:
        rounds += 1
        rows = [drawer(args.seed, stream.randrange(args.rows), 100 + rounds) for _ in range(20)]
        rows = list({row[0]: row for row in rows}.values())
        began = time.monotonic()
        upsert(drawers, rows)
        slowest = max(slowest, time.monotonic() - began)
        if rounds == 1:
            print("ready", flush=True)
    print(f"rounds {rounds} slowest {slowest:.3f}", flush=True)


parser = argparse.ArgumentParser()
commands = parser.add_subparsers(dest="command", required=True)
for name in ("make", "write"):
    command = commands.add_parser(name)
    command.add_argument("palace")
    command.add_argument("--rows", type=int, default=100)
    command.add_argument("--closets", type=int, default=0)
    command.add_argument("--churn", type=int, default=0)
    command.add_argument("--seed", default="palace")
    command.add_argument("--seconds", type=float, default=5)
command = commands.add_parser("dump")
command.add_argument("palace")
command.add_argument("out")
arguments = parser.parse_args()
{"make": make, "dump": dump, "write": write}[arguments.command](arguments)

from mempalace.backends import reset_backends  # noqa: E402
reset_backends()
