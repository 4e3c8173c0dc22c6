"""Writes to a palace in Postgres while it is followed: by MemPalace's own backend, and by SQL as others may.

    postgres_writer.py SERVER PALACE DIRECTORY --seconds N --seed N     writes at random, then says how many transactions
    postgres_writer.py SERVER PALACE DIRECTORY --sql STATEMENT          runs it; {table} stands for the drawers' table

DIRECTORY is the palace's own, with MemPalace's marker. Documents are of lengths at which Postgres stores them, or the
vector beside them, out of line, or neither.
"""

import argparse
import os
import random
import string
import tempfile
import time

parser = argparse.ArgumentParser()
parser.add_argument("server")
parser.add_argument("palace")
parser.add_argument("directory")
parser.add_argument("--seconds", type=float, default=0)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--sql")
given = parser.parse_args()
os.environ["HOME"] = os.environ["MEMPALACE_CONFIG_DIR"] = tempfile.mkdtemp()
os.environ["MEMPALACE_PGVECTOR_DSN"] = given.server

import psycopg  # noqa: E402

connection = psycopg.connect(given.server, autocommit=True)
prefix = connection.execute("SELECT prefix FROM palanquin_palaces WHERE palace = %s", [given.palace]).fetchone()[0]
table = f'"{prefix}_mempalace_drawers"'
if given.sql:
    connection.execute(given.sql.replace("{table}", table))
    raise SystemExit

from mempalace.backends import PalaceRef  # noqa: E402
from mempalace.backends.pgvector import PgVectorBackend  # noqa: E402

chance = random.Random(given.seed)
palace = PalaceRef(id=given.palace, local_path=given.directory)
drawers = PgVectorBackend().get_collection(palace=palace, collection_name="mempalace_drawers", create=False)
WIDTH = 384


def text():
    return "".join(chance.choices(string.ascii_letters, k=chance.choice([10, 300, 480, 1000, 1500, 2500, 9000])))


def vector():
    return [chance.uniform(-1, 1) for _ in range(WIDTH)]


def name():
    return f"written-{chance.randrange(400):03d}"


def by_mempalace(n):
    names = sorted({name() for _ in range(chance.randrange(1, 6))})
    kind = chance.randrange(4)
    if kind < 2:
        drawers.upsert(
            ids=names,
            documents=[text() for _ in names],
            metadatas=[{"n": n, "f": n / 2} for _ in names],
            embeddings=[vector() for _ in names],
        )
    elif kind == 2:
        drawers.update(ids=names, metadatas=[{"touched": n} for _ in names])
    else:
        drawers.delete(ids=names)


def by_sql(n):
    with connection.transaction() as transaction:
        for _ in range(chance.randrange(1, 4)):
            kind, one, other = chance.randrange(5), name(), name()
            if kind == 0:
                connection.execute(f"DELETE FROM {table} WHERE id = %s", [one])
            elif kind == 1:
                statement = f"UPDATE {table} SET id = %s WHERE id = %s AND NOT EXISTS (SELECT FROM {table} WHERE id = %s)"
                connection.execute(statement, [other, one, other])
            else:
                statement = f"UPDATE {table} SET metadata = jsonb_build_object('sql', %s::int) WHERE id = %s"
                connection.execute(statement, [n, one])
        if chance.random() < 0.1:
            raise psycopg.Rollback(transaction)


ends, n = time.monotonic() + given.seconds, 0
while time.monotonic() < ends:
    n += 1
    (by_mempalace if chance.random() < 0.5 else by_sql)(n)
print(n)
