#!/usr/bin/env python3
"""Makes, changes and dumps palaces through the real MemPalace and the real chromadb.

    palace.py make PALACE --rows N [--closets K] [--churn TIMES] [--seed S]
    palace.py dump PALACE OUT.jsonl
    palace.py odd PALACE [--rows N] [--bare ID]...
    palace.py write PALACE --seconds S
    palace.py bulk PALACE --rows N

`make` writes drawers and closets; --churn rewrites, deletes and adds
some again, so many times, so that queue, index and metadata all
have a history. `dump` writes one JSON object per row as chromadb's client returns it, vectors as hex of their little-endian
f32. `odd` makes a palace of collections that are out of the ordinary, the rows of --bare without their vectors. `bulk` makes a large palace for benchmarks: a real one of a single row, whose tables and index files are then filled
directly, all vectors flushed. `write` changes rows for so many seconds, printing "ready" once it has begun.
"""
import argparse
import hashlib
import json
import math
import os
import random
import sqlite3
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


def odd(args):
    """Collections of different widths and metrics, one of a single row, one of none; documents that are empty."""
    import chromadb
    os.makedirs(args.palace, mode=0o700)
    client = chromadb.PersistentClient(args.palace)
    make_one = lambda name, space: client.create_collection(
        name, metadata={"hnsw:space": space}, embedding_function=None)
    make_one("empty", "cosine")
    if args.rows == 0:
        return
    make_one("by_cosine", "cosine").add(ids=["only"], documents=["one"], embeddings=[[0.6, 0.8, 0.0]])
    numbers = range(30)
    make_one("by_l2", "l2").add(
        ids=[f"row-{n:02d}" for n in numbers], documents=["" for _ in numbers],
        embeddings=[[float(n), 1.0, -2.5, 0.25, 0.0] for n in numbers], metadatas=[{"n": n} for n in numbers])
    # So few rows are in no index yet: without its place in the queue a vector is lost.
    with sqlite3.connect(f"{args.palace}/chroma.sqlite3") as database:
        for row_id in args.bare:
            lost = database.execute("DELETE FROM embeddings_queue WHERE id = ?", (row_id,)).rowcount
            assert lost == 1, (row_id, lost)
    database.close()


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


def bulk(args):
    import glob
    import pickle

    import numpy
    args.churn = args.closets = 0
    rows, args.rows = args.rows, 1
    make(args)
    database = sqlite3.connect(f"{args.palace}/chroma.sqlite3")
    segment = dict(database.execute("SELECT scope, id FROM segments"))
    created = database.execute("SELECT created_at FROM embeddings").fetchone()[0]
    for table in ("embeddings", "embedding_metadata", "embedding_fulltext_search", "embeddings_queue", "max_seq_id"):
        database.execute(f"DELETE FROM {table}")
    labels = {}
    stream = numpy.random.default_rng(7)
    folder = f"{args.palace}/{segment['VECTOR']}"
    os.makedirs(folder, exist_ok=True)
    # As hnswlib lays an element out: link count, links, vector, label.
    element = numpy.dtype([("count", "<u4"), ("links", "<u4", 32), ("vector", "<f4", DIMENSION), ("label", "<u8")])
    with open(f"{folder}/data_level0.bin", "wb") as out:
        for start in range(0, rows, 10_000):
            numbers = numpy.arange(start, min(start + 10_000, rows))
            vectors = stream.standard_normal((len(numbers), DIMENSION), dtype="f4")
            block = numpy.zeros(len(numbers), element)
            block["vector"] = vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)
            block["label"] = numbers + 1
            out.write(block.tobytes())
            embeddings, metadata = [], []
            for n in numbers.tolist():
                row_id, document, values, _ = bulk_row(args.seed, n)
                labels[row_id] = n + 1
                embeddings.append((n + 1, segment["METADATA"], row_id, n + 1, created))
                metadata.append((n + 1, "chroma:document", document, None, None, None))
                for key, value in values.items():
                    kind = (str, int, float).index(type(value))
                    cell = [None] * 3
                    cell[kind] = value
                    metadata.append((n + 1, key, *cell, None))
            database.executemany("INSERT INTO embeddings (id, segment_id, embedding_id, seq_id, created_at) VALUES (?,?,?,?,?)", embeddings)
            database.executemany("INSERT INTO embedding_metadata (id, key, string_value, int_value, float_value, bool_value) VALUES (?,?,?,?,?,?)", metadata)
            database.commit()
    for scope in segment:
        database.execute("INSERT INTO max_seq_id (segment_id, seq_id) VALUES (?, ?)", (segment[scope], rows))
    database.commit()
    size = element.itemsize
    header = struct.pack("<i6QiI3QdQ", 1, 0, rows, rows, size, size - 8, 132, 0, 0, 16, 32, 16, 1 / math.log(16), 100)
    files = {"header.bin": header, "length.bin": numpy.ones(rows, "<f4").tobytes(), "link_lists.bin": b""}
    index = {"dimensionality": None, "total_elements_added": rows, "max_seq_id": None, "id_to_label": labels,
             "label_to_id": {label: row_id for row_id, label in labels.items()}, "id_to_seq_id": {}}
    files["index_metadata.pickle"] = pickle.dumps(index, protocol=2)
    for name, content in files.items():
        with open(f"{folder}/{name}", "wb") as out:
            out.write(content)
    assert glob.glob(f"{args.palace}/*/header.bin")
    print("rows", rows)


def bulk_row(seed, number):
    """A row like a mined drawer: some 500 bytes of text, a dozen keys."""
    row_id = f"drawer_code_general_{hashlib.sha256(f'{seed}/{number}'.encode()).hexdigest()[:24]}"
    document = f"{number}: " + "stone river garden naïve word after word in a chunk of a file " * 8
    return row_id, document, {
        "wing": "wing_code", "room": "general", "source_file": f"/home/u/projects/demo/file_{number // 5}.md",
        "chunk_index": number % 5, "added_by": "mempalace", "filed_at": "2026-03-01T12:00:00.123456", "normalize_version": 2,
        "id_recipe": "v3", "source_mtime": 1772366400.25 + number, "chunk_total": 5, "hall": "general",
        "line_start": 1 + 10 * (number % 5), "line_end": 10 + 10 * (number % 5),
    }, None


parser = argparse.ArgumentParser()
commands = parser.add_subparsers(dest="command", required=True)
for name in ("make", "odd", "write", "bulk"):
    command = commands.add_parser(name)
    command.add_argument("palace")
    command.add_argument("--rows", type=int, default=100)
    command.add_argument("--bare", action="append", default=[])
    command.add_argument("--closets", type=int, default=0)
    command.add_argument("--churn", type=int, default=0)
    command.add_argument("--seed", default="palace")
    command.add_argument("--seconds", type=float, default=5)
    command.add_argument("--width", type=int, default=DIMENSION)
command = commands.add_parser("dump")
command.add_argument("palace")
command.add_argument("out")
arguments = parser.parse_args()
DIMENSION = getattr(arguments, "width", DIMENSION)
{"make": make, "odd": odd, "dump": dump, "write": write, "bulk": bulk}[arguments.command](arguments)

from mempalace.backends import reset_backends  # noqa: E402
reset_backends()
