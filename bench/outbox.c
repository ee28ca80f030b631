/* bench/outbox.c: events into the outbox of a store that no server has open.
 *
 *   outbox_bench STORE EVENTS CONNECTIONS PER_COMMIT
 *
 * Writes EVENTS events, in turn of CONNECTIONS connections (made for it, switched off) of the
 * store's first organization, PER_COMMIT to a durable commit, by the store's own code: with a
 * delivery for each endpoint that wants them. They look as the end of a small sync does. Prints
 * seconds and CPU seconds as one JSON object, and some bodies, one a line, before it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"
#include "grow.h"
#include "os/clock.h"
#include "os/rand.h"
#include "store/accounts.h"
#include "store/connections.h"
#include "store/events.h"
#include "store/store.h"

enum { CONNECTIONS_MAX = 100000, BODY = 2048, SHOWN = 1000 };

struct work {
    struct pst_organization organization;
    int64_t connections, per_commit, written, events;
    int64_t pks[CONNECTIONS_MAX];
    struct pst_id ids[CONNECTIONS_MAX];
};

static pst_code set_up(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct work *w = arg;
    struct pst_organization *list = NULL;
    size_t count = 0;
    bool more = false;
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    PST_TRY(pst_arena_new(&arena, 1 << 20, err));
    PST_TRY(pst_organizations_list(conn, 0, 1, arena, &list, &count, &more, err));
    if (count == 0)
        return PST_FAIL(err, PST_E_INVALID, "the store has no organization");
    w->organization = list[0];
    for (int64_t i = 0; i < w->connections; i++) {
        struct pst_connection c = {.id = pst_rand_id("conn_"),
                                   .organization_pk = list[0].pk,
                                   .name = PST_STR("bench"),
                                   .connector = PST_STR("peoplesoft"),
                                   .config = PST_STR("{}"),
                                   .entities = PST_STR("[]"),
                                   .metadata = PST_STR("{}"),
                                   .mapping = PST_STR("{}"),
                                   .status = PST_CONNECTION_INACTIVE,
                                   .created_at = pst_wall_now()};
        PST_TRY(pst_connections_create(conn, &c, PST_STR(""), err));
        w->pks[i] = c.pk;
        w->ids[i] = c.id;
    }
    return PST_OK;
}

static void make_body(const struct work *w, const struct pst_event *e, char body[BODY], int *len)
{
    char at[PST_WALL_TEXT];
    (void)pst_wall_format(at, e->at);
    *len = snprintf(
        body, BODY,
        "{\"id\":\"%s\",\"type\":\"sync.completed\",\"timestamp\":\"%s\",\"organization_id\":\"%"
        "s\","
        "\"connection_id\":\"%s\",\"data\":{\"sync_id\":\"sync_01jdf3x8q2e4vb7n5k9m1r6t0w\","
        "\"mode\":\"incremental\",\"trigger\":\"scheduled\",\"status\":\"completed\","
        "\"started_at\":\"%s\",\"ended_at\":\"%s\",\"error\":null,\"request_id\":null,"
        "\"entities\":[{\"entity\":\"purchase_orders\",\"status\":\"completed\",\"error\":null,"
        "\"read\":42,\"created\":1,\"updated\":3,\"deleted\":0,\"unchanged\":38,\"rejected\":0}]}}",
        e->id.text, at, w->organization.id.text, e->connection_id.text, at, at);
}

static pst_code write_some(struct pst_db_conn *conn, void *arg, struct pst_err *err)
{
    struct work *w = arg;
    for (int64_t i = 0; i < w->per_commit && w->written < w->events; i++) {
        char body[BODY];
        int len = 0;
        int64_t of = w->written % w->connections;
        struct pst_event e = {.id = pst_rand_id("evt_"),
                              .organization_pk = w->organization.pk,
                              .connection_pk = w->pks[of],
                              .connection_id = w->ids[of],
                              .type = PST_STR("sync.completed"),
                              .at = pst_wall_now()};
        make_body(w, &e, body, &len);
        e.body = (pst_str){body, (size_t)len};
        PST_TRY(pst_events_add(conn, &e, err));
        if (w->written++ < SHOWN)
            puts(body);
    }
    return PST_OK;
}

int main(int argc, char **argv)
{
    static struct work w;
    struct pst_db *db = NULL;
    if (argc != 5 || !pst_parse_i64(&w.events, pst_str_from(argv[2]), 1, 1000000000) ||
        !pst_parse_i64(&w.connections, pst_str_from(argv[3]), 1, CONNECTIONS_MAX) ||
        !pst_parse_i64(&w.per_commit, pst_str_from(argv[4]), 1, 100000)) {
        (void)fprintf(stderr, "usage: outbox_bench STORE EVENTS CONNECTIONS PER_COMMIT\n");
        return 64;
    }
    const struct pst_db_options o = {.path = argv[1], .cache_bytes = 16 << 20};
    MUST(pst_store_open(&db, &o, &err));
    MUST(pst_db_write_direct(db, set_up, &w, &err));
    int64_t from = pst_mono_now().ns;
    int64_t cpu = pst_cpu_thread_ns();
    while (w.written < w.events)
        MUST(pst_db_write_direct(db, write_some, &w, &err));
    printf("{\"events\": %" PRId64 ", \"seconds\": %.4f, \"cpu_seconds\": %.4f}\n", w.events,
           (double)(pst_mono_now().ns - from) / 1e9, (double)(pst_cpu_thread_ns() - cpu) / 1e9);
    pst_db_close(db);
    return 0;
}
