/* event/tell.c: from what happened to events: ends of runs, statuses, troubles, columns. */
#include "base/alloc.h"
#include "event/draft.h"
#include "store/accounts.h"
#include "store/records.h"

enum { ROW_BYTES = 4 << 20, CHANGES_LISTED = 100 };

static struct pst_event_subject subject_of(const struct pst_connection *c)
{
    return (struct pst_event_subject){.organization_pk = c->organization_pk,
                                      .connection_pk = c->pk,
                                      .organization_id = c->organization_id,
                                      .connection_id = c->id};
}

/* What makes the event of a moment another than its neighbours', also where the clock stands: what
 * it is about, and its place behind the newest one. */
struct moment {
    char place[24];
    pst_str parts[2];
};
static pst_code fill_moment(struct moment *m, struct pst_db_conn *conn, pst_str about,
                            struct pst_err *err)
{
    int64_t newest = 0;
    PST_TRY(pst_events_newest(conn, &newest, err));
    int n = snprintf(m->place, sizeof(m->place), "%lld", (long long)newest);
    m->parts[0] = about;
    m->parts[1] = (pst_str){m->place, (size_t)n};
    return PST_OK;
}

/* ---- runs ---- */

static void put_entities(struct pst_json_writer *w, const struct pst_sync *sync)
{
    pst_json_add_array(w, "entities");
    for (size_t i = 0; i < sync->stream_count; i++) {
        const struct pst_sync_stream *s = &sync->streams[i];
        if (!s->entity)
            continue;
        pst_json_begin_object(w);
        pst_json_add_z(w, "entity", s->entity->name);
        pst_json_add_z(w, "status", pst_sync_status_name(s->status));
        pst_json_add_error(w, s->error_code, s->error_message);
        pst_json_add_i64(w, "read", s->counts.read);
        pst_json_add_i64(w, "created", s->counts.created);
        pst_json_add_i64(w, "updated", s->counts.updated);
        pst_json_add_i64(w, "deleted", s->counts.deleted);
        pst_json_add_i64(w, "unchanged", s->counts.unchanged);
        pst_json_add_i64(w, "rejected", s->counts.rejected);
        pst_json_end_object(w);
    }
    pst_json_end_array(w);
}

static pst_code tell_end(struct pst_db_conn *conn, const struct pst_event_subject *subject,
                         const struct pst_sync *sync, pst_wall now, struct pst_err *err)
{
    PST_AUTO(draft) struct pst_draft d = {0};
    const pst_str id = pst_id_str(&sync->id);
    if (sync->status == PST_SYNC_CANCELLED)
        return PST_OK;
    pst_draft_begin(&d, subject,
                    sync->status == PST_SYNC_COMPLETED ? PST_STR("sync.completed")
                                                       : PST_STR("sync.failed"),
                    &id, 1, now);
    pst_json_add_str(&d.w, "sync_id", id);
    pst_json_add_z(&d.w, "mode", pst_sync_mode_name(sync->mode));
    pst_json_add_z(&d.w, "trigger", pst_sync_trigger_name(sync->trigger));
    pst_json_add_z(&d.w, "status", pst_sync_status_name(sync->status));
    pst_json_add_wall(&d.w, "started_at", sync->started_at);
    pst_json_add_wall(&d.w, "ended_at", sync->ended_at);
    pst_json_add_error(&d.w, sync->error_code, sync->error_message);
    pst_json_add_text(&d.w, "request_id", sync->request_id);
    put_entities(&d.w, sync);
    return pst_draft_send(&d, conn, err);
}

static pst_code put_change(void *self, const struct pst_change_row *c, struct pst_err *err)
{
    static const char *const ops[] = {
        [PST_CHANGE_CREATED] = "created",
        [PST_CHANGE_UPDATED] = "updated",
        [PST_CHANGE_DELETED] = "deleted",
    };
    struct pst_json_writer *w = self;
    struct pst_id id = pst_id_format("rec_", c->id);
    (void)err;
    pst_json_begin_object(w);
    pst_json_add_i64(w, "seq", c->seq);
    pst_json_add_z(w, "entity", c->entity->name);
    pst_json_add_z(w, "op", ops[c->op]);
    pst_json_add_str(w, "record_id", pst_id_str(&id));
    pst_json_end_object(w);
    return PST_OK;
}

static void put_changed_entities(struct pst_json_writer *w, const struct pst_sync *sync)
{
    pst_json_add_array(w, "entities");
    for (size_t i = 0; i < sync->stream_count; i++) {
        const struct pst_sync_stream *s = &sync->streams[i];
        if (!s->entity || s->first_seq == 0)
            continue;
        pst_json_begin_object(w);
        pst_json_add_z(w, "entity", s->entity->name);
        pst_json_add_i64(w, "created", s->counts.created);
        pst_json_add_i64(w, "updated", s->counts.updated);
        pst_json_add_i64(w, "deleted", s->counts.deleted);
        pst_json_end_object(w);
    }
    pst_json_end_array(w);
}

static pst_code tell_changes(struct pst_db_conn *conn, const struct pst_event_subject *subject,
                             const struct pst_sync *sync, pst_wall now, struct pst_err *err)
{
    PST_AUTO(draft) struct pst_draft d = {0};
    const pst_str id = pst_id_str(&sync->id);
    int64_t first = 0;
    int64_t last = 0;
    bool more = false;
    for (size_t i = 0; i < sync->stream_count; i++) {
        const struct pst_sync_stream *s = &sync->streams[i];
        first = s->first_seq && (!first || s->first_seq < first) ? s->first_seq : first;
        last = s->last_seq > last ? s->last_seq : last;
    }
    if (first == 0)
        return PST_OK;
    pst_draft_begin(&d, subject, PST_STR("records.changed"), &id, 1, now);
    pst_json_add_str(&d.w, "sync_id", id);
    pst_json_add_z(&d.w, "sync_status", pst_sync_status_name(sync->status));
    pst_json_add_i64(&d.w, "after_seq", first - 1);
    pst_json_add_i64(&d.w, "to_seq", last);
    put_changed_entities(&d.w, sync);
    pst_json_add_array(&d.w, "changes");
    PST_TRY(pst_changes_of_sync(conn, subject->connection_pk, sync->pk, first, last, CHANGES_LISTED,
                                put_change, &d.w, &more, err));
    pst_json_end_array(&d.w);
    pst_json_add_bool(&d.w, "truncated", more);
    return pst_draft_send(&d, conn, err);
}

/* Nothing is told of a connection that is gone. */
static pst_code find_subject(struct pst_db_conn *conn, int64_t connection_pk,
                             struct pst_arena *arena, struct pst_event_subject *out, bool *found,
                             struct pst_err *err)
{
    struct pst_connection c;
    pst_code rc = pst_connections_get_pk(conn, connection_pk, arena, &c, err);
    *found = rc == PST_OK;
    if (rc == PST_OK)
        *out = subject_of(&c);
    return rc == PST_E_NOT_FOUND ? PST_OK : rc;
}

pst_code pst_event_tell_syncs(struct pst_db_conn *conn, int64_t connection_pk, pst_wall now,
                              struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    struct pst_event_subject subject = {0};
    bool found = false;
    int64_t pk = 0;
    PST_TRY(pst_syncs_next_untold(conn, connection_pk, &pk, err));
    if (pk == 0)
        return PST_OK;
    PST_TRY(pst_arena_new(&arena, ROW_BYTES, err));
    PST_TRY(find_subject(conn, connection_pk, arena, &subject, &found, err));
    while (pk) {
        struct pst_sync sync;
        if (found) {
            PST_TRY(pst_syncs_get_pk(conn, pk, arena, &sync, err));
            PST_TRY(tell_changes(conn, &subject, &sync, now, err));
            PST_TRY(tell_end(conn, &subject, &sync, now, err));
        }
        PST_TRY(pst_syncs_mark_told(conn, pk, err));
        PST_TRY(pst_syncs_next_untold(conn, connection_pk, &pk, err));
    }
    return PST_OK;
}

/* ---- statuses ---- */

/* The statuses that are told, and the code that stands for them. */
static const struct {
    enum pst_connection_status status;
    pst_str type;
    pst_code code;
} told[] = {
    {PST_CONNECTION_ONLINE, PST_STR_INIT("connection.online"), PST_OK},
    {PST_CONNECTION_OFFLINE, PST_STR_INIT("connection.offline"), PST_E_UNREACHABLE},
    {PST_CONNECTION_AUTHENTICATION_REQUIRED, PST_STR_INIT("connection.authentication_required"),
     PST_E_REAUTH},
};

static void put_status(struct pst_json_writer *w, const struct pst_connection *c,
                       const struct pst_event_status *status, pst_code fallback)
{
    bool is_bad = fallback != PST_OK;
    pst_str code = status->code.len ? status->code : pst_str_from(pst_code_name(fallback));
    pst_json_add_str(w, "name", c->name);
    pst_json_add_str(w, "connector", c->connector);
    pst_json_add_z(w, "status", pst_connection_status_name(status->status));
    pst_json_add_wall(w, "since", status->since);
    pst_json_add_z(w, "previous_status", pst_connection_status_name(status->previous));
    pst_json_add_error(w, is_bad ? code : PST_STR(""), status->reason);
    pst_json_add_i64(w, "tries", is_bad && status->tries == 0 ? 1 : status->tries);
    pst_json_add_text(w, "request_id", status->request_id);
}

pst_code pst_event_tell_status(struct pst_db_conn *conn, int64_t connection_pk,
                               const struct pst_event_status *status, pst_wall now,
                               struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    PST_AUTO(draft) struct pst_draft d = {0};
    struct pst_connection c;
    struct moment m;
    size_t which = 0;
    while (which < PST_COUNT(told) && told[which].status != status->status)
        which++;
    if (which == PST_COUNT(told))
        return PST_OK;
    PST_TRY(pst_arena_new(&arena, ROW_BYTES, err));
    pst_code rc = pst_connections_get_pk(conn, connection_pk, arena, &c, err);
    if (rc == PST_E_NOT_FOUND)
        return PST_OK;
    PST_TRY(rc);
    struct pst_event_subject subject = subject_of(&c);
    PST_TRY(fill_moment(&m, conn, pst_id_str(&c.id), err));
    pst_draft_begin(&d, &subject, told[which].type, m.parts, PST_COUNT(m.parts), now);
    put_status(&d.w, &c, status, told[which].code);
    return pst_draft_send(&d, conn, err);
}

/* ---- the rest ---- */

pst_code pst_event_tell_trouble(struct pst_db_conn *conn, const struct pst_event_trouble *t,
                                pst_wall now, struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    PST_AUTO(draft) struct pst_draft d = {0};
    struct pst_event_subject subject = {.organization_pk = t->organization_pk};
    struct pst_organization organization;
    struct moment m;
    bool found = false;
    PST_TRY(pst_arena_new(&arena, ROW_BYTES, err));
    PST_TRY(pst_organizations_get_pk(conn, t->organization_pk, arena, &organization, err));
    subject.organization_id = organization.id;
    if (t->connection_pk)
        PST_TRY(find_subject(conn, t->connection_pk, arena, &subject, &found, err));
    PST_TRY(fill_moment(&m, conn, t->webhook_id, err));
    pst_draft_begin(&d, &subject, PST_STR("system.error"), m.parts, PST_COUNT(m.parts), now);
    pst_json_add_z(&d.w, "code", pst_code_name(t->code));
    pst_json_add_str(&d.w, "message", t->message);
    pst_json_add_z(&d.w, "origin", pst_origin_name(pst_code_origin(t->code)));
    pst_json_add_text(&d.w, "webhook_id", t->webhook_id);
    pst_json_add_text(&d.w, "request_id", t->request_id);
    return pst_draft_send(&d, conn, err);
}

pst_code pst_event_tell_schema(struct pst_db_conn *conn, int64_t connection_pk, const char *entity,
                               const struct pst_event_column *columns, size_t count, pst_wall now,
                               struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    PST_AUTO(draft) struct pst_draft d = {0};
    struct pst_event_subject subject = {0};
    struct moment m;
    bool found = false;
    PST_TRY(pst_arena_new(&arena, ROW_BYTES, err));
    PST_TRY(find_subject(conn, connection_pk, arena, &subject, &found, err));
    if (!found || count == 0)
        return PST_OK;
    PST_TRY(fill_moment(&m, conn, pst_id_str(&subject.connection_id), err));
    pst_draft_begin(&d, &subject, PST_STR("schema.changed"), m.parts, PST_COUNT(m.parts), now);
    pst_json_add_z(&d.w, "entity", entity);
    pst_json_add_array(&d.w, "columns");
    for (size_t i = 0; i < count; i++) {
        const struct pst_event_column *c = &columns[i];
        pst_json_begin_object(&d.w);
        pst_json_add_str(&d.w, "name", c->name);
        pst_json_add_z(&d.w, "change",
                       c->before.len == 0  ? "added"
                       : c->after.len == 0 ? "removed"
                                           : "changed");
        pst_json_add_text(&d.w, "before", c->before);
        pst_json_add_text(&d.w, "after", c->after);
        pst_json_end_object(&d.w);
    }
    pst_json_end_array(&d.w);
    return pst_draft_send(&d, conn, err);
}
