/* api/test.c: checking a connection: address, credentials, and what can be read. */
#include "api/internal.h"
#include "base/log.h"

/* The first one that failed is what the test is diagnosed by, if no call of it shows more. */
static void note_finding(struct pst_api_call *call, const struct pst_checks *checks)
{
    for (size_t i = 0; i < checks->count && call->finding == PST_OK; i++) {
        if (checks->items[i].ok)
            continue;
        call->finding = checks->items[i].code;
        call->finding_text = checks->items[i].detail;
    }
}

static void put_checks(struct pst_json_writer *w, const struct pst_checks *checks)
{
    bool all_ok = true;
    for (size_t i = 0; i < checks->count; i++)
        all_ok = all_ok && checks->items[i].ok;
    pst_json_add_bool(w, "ok", all_ok);
    pst_json_add_array(w, "checks");
    for (size_t i = 0; i < checks->count; i++) {
        const struct pst_check *c = &checks->items[i];
        pst_json_begin_object(w);
        pst_json_add_str(w, "name", c->name);
        if (c->entity.len)
            pst_json_add_str(w, "entity", c->entity);
        else
            pst_json_add_null(w, "entity");
        pst_json_add_bool(w, "ok", c->ok);
        pst_json_add_z(w, "code", c->ok ? NULL : pst_code_name(c->code));
        pst_json_add_str(w, "detail", c->detail);
        if (c->fix.len)
            pst_json_add_str(w, "fix", c->fix);
        else
            pst_json_add_null(w, "fix");
        pst_json_end_object(w);
    }
    pst_json_end_array(w);
}

/* A connection that cannot even be opened (its settings make no sense) is a finding, too. */
static void opening_failed(struct pst_checks *checks, struct pst_check *check,
                           const struct pst_err *why)
{
    *check = (struct pst_check){
        .name = PST_STR("settings"),
        .code = why->code,
        .detail = pst_str_from(why->msg),
        .fix = PST_STR("Correct the connection's settings."),
    };
    *checks = (struct pst_checks){check, 1};
}

pst_code pst_api_test_connection(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_json_writer w;
    struct pst_check failed;
    struct pst_checks checks = {0};
    struct pst_api_streams streams = {0};
    struct pst_sync_system system = {0};
    struct pst_err why;
    const struct pst_sync_systems *systems = &call->api->options.systems;
    PST_TRY(pst_api_streams_of(call, &call->connection, &streams, err));

    if (systems->set_trace)
        systems->set_trace(systems->self, call->worker, call->trace);
    pst_code code = systems->open(systems->self, call->worker, &call->connection, PST_STR(""),
                                  pst_id_str(&call->req->id), NULL, &system, &why);
    if (code == PST_E_INVALID || code == PST_E_UNSUPPORTED) {
        opening_failed(&checks, &failed, &why);
    } else if (code != PST_OK) {
        *err = why;
        return code;
    } else {
        system.ctx.deadline = pst_mono_after_ms(call->req->now, call->api->options.call_ms - 1000);
        code = system.ops->test(system.connector, &system.ctx, streams.items, streams.count,
                                call->arena, &checks, err);
        systems->close(systems->self, &system);
        PST_TRY(code);
    }
    note_finding(call, &checks);
    pst_api_begin(call, &w);
    put_checks(&w, &checks);
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}
