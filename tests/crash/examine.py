"""A store file as a crash (or a backup) left it, opened as a copy: sound, in agreement with itself, and with
everything that the source has held."""
import contextlib
import functools
import json
import pathlib
import shutil
import sqlite3
import tempfile

import reference
from truth import ENTITIES

# What holds in the store at every moment: a name, and a query that gives the rows which break it.
INVARIANTS = [
    ("change numbers are 1, 2, 3, ... up to the connection's",
     "SELECT c.last_seq, count(x.seq), min(x.seq), max(x.seq) FROM connection c LEFT JOIN change x"
     " ON x.connection_pk = c.pk WHERE c.purge = 0 GROUP BY c.pk HAVING count(x.seq) <> c.last_seq"
     " OR (c.last_seq > 0 AND (min(x.seq) <> 1 OR max(x.seq) <> c.last_seq))"),
    ("the runs' counts add up to the changes",
     "SELECT c.pk, c.last_seq, total FROM connection c JOIN (SELECT y.connection_pk AS of,"
     " sum(n_created + n_updated + n_deleted) AS total FROM sync_stream t JOIN sync y ON y.pk = t.sync_pk"
     " GROUP BY y.connection_pk) ON of = c.pk WHERE total <> c.last_seq AND c.purge = 0"),
    ("a run's changes are what it counted",
     "SELECT t.sync_pk, t.stream_pk, t.n_created, t.n_updated, t.n_deleted, count(x.seq) FROM sync_stream t"
     " JOIN sync y ON y.pk = t.sync_pk LEFT JOIN change x ON x.sync_pk = t.sync_pk AND x.stream_pk = t.stream_pk"
     " GROUP BY t.sync_pk, t.stream_pk HAVING count(x.seq) <> t.n_created + t.n_updated + t.n_deleted"),
    ("a run that has ended has no open stream",
     "SELECT s.pk, t.status FROM sync s JOIN sync_stream t ON t.sync_pk = s.pk"
     " WHERE s.ended_at IS NOT NULL AND t.status IN ('queued', 'running')"),
    ("a stream is held by a run that is open and reads it",
     "SELECT s.pk, s.sync_pk FROM stream s LEFT JOIN sync y ON y.pk = s.sync_pk LEFT JOIN sync_stream t"
     " ON t.sync_pk = s.sync_pk AND t.stream_pk = s.pk WHERE s.sync_pk IS NOT NULL"
     " AND (y.pk IS NULL OR y.ended_at IS NOT NULL OR t.ended_at IS NOT NULL OR t.sync_pk IS NULL)"),
    ("an open run holds the streams that it has not ended",
     "SELECT t.sync_pk, t.stream_pk FROM sync_stream t JOIN stream s ON s.pk = t.stream_pk"
     " WHERE t.ended_at IS NULL AND s.sync_pk IS NOT t.sync_pk"),
    ("a record's changes are created, then updated, then deleted, and so on",
     "SELECT seq, op, before FROM (SELECT connection_pk, seq, op, lag(op) OVER (PARTITION BY connection_pk,"
     " stream_pk, record_id ORDER BY seq) AS before FROM change) WHERE (coalesce(before, 2) = 2) <> (op = 0) LIMIT 3"),
    ("only full reads delete, and only when they are complete",
     "SELECT x.seq, t.window_to, t.phase FROM change x JOIN sync_stream t"
     " ON t.sync_pk = x.sync_pk AND t.stream_pk = x.stream_pk"
     " WHERE x.op = 2 AND (t.window_to IS NOT NULL OR t.phase <> 1) LIMIT 3"),
]
INVARIANTS += [
    ("a run that has ended is told",
     "SELECT pk FROM sync WHERE ended_at IS NOT NULL AND told = 0"),
    ("the outbox counts its events",
     "SELECT events, (SELECT count(*) FROM event) AS n FROM outbox WHERE events <> n"),
    # 200, 400, 100: PST_OUTBOX_EVENT_BYTES and its neighbours in store/outbox_private.h
    ("the outbox counts its bytes",
     "SELECT bytes, (SELECT coalesce(sum(200 + length(CAST(body AS BLOB))), 0) FROM event)"
     " + (SELECT count(*) * 400 FROM delivery)"
     " + (SELECT coalesce(sum(100 + length(CAST(error AS BLOB)) + length(response)), 0) FROM attempt) AS size"
     " FROM outbox WHERE bytes <> size"),
    ("deliveries are numbered 1, 2, 3, ... per endpoint and connection",
     "SELECT d.endpoint_pk, d.connection_pk, count(*), max(d.sequence), l.last_sequence FROM delivery d LEFT JOIN lane l"
     " ON l.endpoint_pk = d.endpoint_pk AND l.connection_pk = d.connection_pk WHERE d.sequence > 0 GROUP BY 1, 2"
     " HAVING count(DISTINCT d.sequence) <> max(d.sequence) OR max(d.sequence) IS NOT l.last_sequence"),
    ("an event has a delivery for every endpoint",
     "SELECT e.pk, h.pk FROM event e JOIN endpoint h ON h.organization_pk = e.organization_pk AND h.created_at <= e.at"
     " LEFT JOIN delivery d ON d.endpoint_pk = h.pk AND d.event_pk = e.pk WHERE h.events = '*' AND d.pk IS NULL"),
    ("a delivery is of an event, and has ended or waits",
     "SELECT d.pk FROM delivery d LEFT JOIN event e ON e.pk = d.event_pk WHERE e.pk IS NULL"
     " OR (d.status = 0) <> (d.ended_at IS NULL)"),
    ("attempts are counted",
     "SELECT d.pk, d.attempts, max(a.number) FROM delivery d JOIN attempt a ON a.delivery_pk = d.pk GROUP BY d.pk"
     " HAVING max(a.number) <> d.attempts"),
]
INVARIANTS_PER_ENTITY = [
    ("the stream counts its records",
     "SELECT s.pk, s.records, count(r.pk) FROM stream s LEFT JOIN {table} r ON r.conn = s.connection_pk"
     " AND r.deleted_at IS NULL WHERE s.entity = '{entity}' GROUP BY s.pk HAVING s.records <> count(r.pk)"),
    ("every record's newest change is the last of it in the feed, and says whether it is deleted",
     "SELECT r.source_id, r.seq FROM {table} r LEFT JOIN change x ON x.connection_pk = r.conn AND x.seq = r.seq"
     " WHERE x.record_id IS NOT r.id OR (x.op = 2) <> (r.deleted_at IS NOT NULL) LIMIT 3"),
    ("every change names a record, whose newest change is not older",
     "SELECT x.seq FROM change x JOIN stream s ON s.pk = x.stream_pk AND s.entity = '{entity}'"
     " LEFT JOIN {table} r ON r.id = x.record_id AND r.conn = x.connection_pk"
     " WHERE r.pk IS NULL OR r.seq < x.seq OR r.first_seq > x.seq LIMIT 3"),
    ("no record lies behind the checkpoint of the run that wrote it",
     "SELECT r.source_id FROM {table} r JOIN change x ON x.connection_pk = r.conn AND x.seq = r.seq"
     " JOIN sync_stream t ON t.sync_pk = x.sync_pk AND t.stream_pk = x.stream_pk"
     " WHERE t.status = 'running' AND t.phase = 0 AND r.deleted_at IS NULL AND r.sort_key > t.sort_key LIMIT 3"),
]


# Rows and audit rows that are written in one transaction, so that neither is without the other: what, the ids
# in the table, the actions that name them in the audit log.
TWINS = [
    ("connections and their creation", "SELECT public_id('conn_', id) FROM connection", "connection.create"),
    ("keys and tokens and their creation", "SELECT public_id('key_', id) FROM access", "key.create,token.create"),
    # A run that new credentials broke off has a successor with the same request.
    ("runs and what asked for them by hand", "SELECT public_id('sync_', id), min(pk) FROM sync WHERE cause = 'manual'"
     " GROUP BY request_id", "sync.create"),
    ("revoked keys and their revocation", "SELECT public_id('key_', id) FROM access WHERE revoked_at IS NOT NULL"
     " AND connection_pk IS NULL", "key.revoke"),
    ("deleted connections and their deletion", "SELECT public_id('conn_', id) FROM connection"
     " WHERE deleted_at IS NOT NULL AND length(credentials) = 0", "connection.delete,connection.purge"),
]


# Rows and the events that tell of them: what, the ids in the table, the types that name them in data.sync_id. What
# is purged leaves its events behind.
TOLD = [
    ("runs that are complete", "y.status = 'completed'", "sync.completed"),
    ("runs that failed", "y.status = 'failed'", "sync.failed"),
    ("runs that changed something", "EXISTS (SELECT 1 FROM sync_stream t WHERE t.sync_pk = y.pk AND t.first_seq"
     " IS NOT NULL)", "records.changed"),
]


class Broken(AssertionError):
    """Something that must always hold does not."""


@functools.lru_cache(maxsize=1 << 16)
def public_id(prefix, raw):
    return prefix + "".join(reference.ALPHABET[int.from_bytes(raw, "big") >> (5 * i) & 31] for i in range(25, -1, -1))


@contextlib.contextmanager
def opened_copy(path):
    """The store at `path`, with what its log still holds, as a file of its own; read only from here on."""
    with tempfile.TemporaryDirectory(dir=pathlib.Path(path).parent.parent) as place:
        for end in ("", "-wal"):
            if pathlib.Path(f"{path}{end}").exists():
                shutil.copy(f"{path}{end}", pathlib.Path(place) / f"copy.db{end}")
        db = sqlite3.connect(pathlib.Path(place) / "copy.db")
        db.create_function("public_id", 2, public_id, deterministic=True)
        try:
            yield db
        finally:
            db.close()


def check_itself(db, thorough=False):
    """The file and what stands in it."""
    verdict = db.execute("PRAGMA integrity_check(1)" if thorough else "PRAGMA quick_check(1)").fetchone()[0]
    if verdict != "ok":
        raise Broken(f"the file is damaged: {verdict}")
    if db.execute("PRAGMA foreign_key_check").fetchone():
        raise Broken("a row refers to one that is not there")
    checks = INVARIANTS + [(f"{entity}: {name}", query.format(entity=entity, table=f"rec_{entity}"))
                           for entity in ENTITIES for name, query in INVARIANTS_PER_ENTITY]
    for name, query in checks:
        broken = db.execute(query).fetchmany(3)
        if broken:
            raise Broken(f"not so: {name}: {broken}")
    check_told(db)
    purged = {row[0] for row in db.execute("SELECT object FROM audit WHERE action = 'connection.purge'")}
    for name, query, actions in TWINS:
        rows = {row[0] for row in db.execute(query)}
        noted = {row[0] for row in db.execute("SELECT object FROM audit WHERE action IN (SELECT value FROM"
                                              " json_each(?))", (json.dumps(actions.split(",")),))}
        if (rows ^ noted) - purged:  # what is purged is gone at some time, but for the audit log
            raise Broken(f"one without the other: {name}: {sorted((rows ^ noted) - purged)[:3]}")


def check_told(db):
    """Runs that have ended and the events of their ends, each once."""
    for name, which, kind in TOLD:
        ended = {row[0] for row in db.execute("SELECT public_id('sync_', y.id) FROM sync y JOIN connection c"
                                              " ON c.pk = y.connection_pk WHERE c.purge = 0 AND y.ended_at IS NOT NULL"
                                              f" AND {which}")}
        told = [row[0] for row in db.execute("SELECT json_extract(body, '$.data.sync_id') FROM event JOIN connection c"
                                             " ON c.pk = connection_pk WHERE c.purge = 0 AND type = ?", (kind,))]
        if len(told) != len(set(told)) or set(told) != ended:
            raise Broken(f"not told, or told twice or for nothing: {name}: {sorted(set(told) ^ ended)[:3]}")


class Observer:
    """Compares stores of one connection with the truth, and remembers how far each record had come."""

    def __init__(self, truth, connection):
        self.truth, self.connection = truth, connection
        self.reached = {entity: {} for entity in ENTITIES}

    def compare(self, db, is_backup=False):
        """Every record is a version that the source had, none goes back, and no checkpoint promises what is
        not there."""
        pk = next((pk for pk, raw in db.execute("SELECT pk, id FROM connection")
                   if public_id("conn_", raw) == self.connection), None)
        if pk is None:
            raise Broken("the connection is gone")
        with self.truth.lock:
            for entity in ENTITIES:
                stored = self.read(db, pk, entity)
                if not is_backup:
                    self.check_versions(entity, stored)
                self.check_promises(db, pk, entity, stored)

    @staticmethod
    def read(db, pk, entity):
        """source_id -> record, None where it is marked as deleted."""
        found = db.execute(f"SELECT source_id, data, deleted_at FROM rec_{entity} WHERE conn = ?", (pk,))
        return {sid: None if deleted is not None else reference.shown(json.loads(data)) for sid, data, deleted in found}

    def check_versions(self, entity, stored):
        reached = self.reached[entity]
        gone = reached.keys() - stored.keys()
        if gone:
            raise Broken(f"{entity} {sorted(gone)[:3]} were stored and are not there any more")
        for sid, doc in stored.items():
            versions = self.truth.versions[entity].get(sid)
            if versions is None:
                raise Broken(f"{entity} {sid} was never in the source")
            at = next((i for i in range(reached.get(sid, 0), len(versions)) if versions[i].doc == doc), None)
            if at is None:
                ever = [i for i, v in enumerate(versions) if v.doc == doc]
                raise Broken(f"{entity} {sid} " + ("is deleted, and was not in the source" if doc is None
                             else "went back to an earlier version" if ever else "is none of its versions") +
                             f" ({len(versions)} versions, had reached {reached.get(sid)})")
            reached[sid] = at

    def check_promises(self, db, pk, entity, stored):
        """The checkpoint of the stream, that of a run in progress, and what a full read had to delete."""
        for (synced_to,) in db.execute("SELECT synced_to FROM stream WHERE connection_pk = ? AND entity = ?"
                                       " AND synced_to IS NOT NULL", (pk, entity)):
            self.require(entity, stored, f"the stream is synced to {synced_to}",
                         lambda sid, v, to=synced_to: v.seen_us < to)
        running = db.execute("SELECT window_from, window_to, as_of, after_key, phase FROM sync_stream t JOIN stream s"
                             " ON s.pk = t.stream_pk WHERE s.connection_pk = ? AND s.entity = ?"
                             " AND t.status = 'running' AND t.begun = 1", (pk, entity))
        for begin, end, as_of, after_key, phase in running:
            after = after_key.split("|")
            self.require(entity, stored, f"a run has read up to {after_key}",
                         lambda sid, v, b=begin, e=end, a=as_of, k=after, whole=phase == 1:
                         (whole or sid.split("|") <= k) and v.seen_us < (a if e is None else e)
                         and (b is None or v.stamp_us is not None and v.stamp_us >= b))
        full = db.execute("SELECT max(t.as_of) FROM sync_stream t JOIN stream s ON s.pk = t.stream_pk"
                          " WHERE s.connection_pk = ? AND s.entity = ? AND t.window_to IS NULL"
                          " AND t.status = 'completed'", (pk, entity)).fetchone()[0]
        for sid, versions in self.truth.versions[entity].items() if full is not None else ():
            if versions[-1].doc is None and versions[-1].seen_us < full and stored.get(sid) is not None:
                raise Broken(f"{entity} {sid} was gone before a full read that is complete, and is still there")

    def require(self, entity, stored, why, applies):
        for sid, versions in self.truth.versions[entity].items():
            newest = versions[-1]
            if newest.doc is not None and applies(sid, newest) and stored.get(sid) != newest.doc:
                raise Broken(f"{entity} {sid}: {why}, but its newest version is not stored "
                             f"({'absent' if stored.get(sid) is None else 'an older one is'})")
