/* api/seen.c: what a loop remembers of keys and connections until the next commit.
 *
 * Nearly every request comes with a key, and names a connection, that the loop has just seen. An
 * entry carries the store's number of commits from before it was read and is good for nothing once
 * that number has moved, so a revoked key or a deleted connection is refused by the first request
 * after the revocation was answered; a sync that commits costs the loops a look-up per page.
 */
#include "api/internal.h"

static uint64_t commits_of(const struct pst_api_call *call)
{
    return pst_db_commits(call->api->options.db);
}

static struct pst_api_seen *seen_of(const struct pst_api_call *call)
{
    return call->api->loops[call->req->loop].seen;
}

bool pst_api_recall_access(struct pst_api_call *call, const uint8_t digest[PST_BLAKE2B_BYTES],
                           enum pst_token_kind *kind)
{
    typeof(&seen_of(call)->accesses[0]) entry = &seen_of(call)->accesses[digest[0] % PST_API_SEEN];
    if (!entry->filled || entry->commits != commits_of(call) ||
        !pst_bytes_equal(entry->digest, digest, PST_BLAKE2B_BYTES))
        return false;
    call->access = entry->access;
    *kind = entry->kind;
    return true;
}

void pst_api_remember_access(const struct pst_api_call *call,
                             const uint8_t digest[PST_BLAKE2B_BYTES], enum pst_token_kind kind,
                             uint64_t commits)
{
    typeof(&seen_of(call)->accesses[0]) entry = &seen_of(call)->accesses[digest[0] % PST_API_SEEN];
    entry->filled = true;
    entry->commits = commits;
    entry->kind = kind;
    entry->access = call->access;
    entry->access.hint = entry->access.name = PST_STR("");
    memcpy(entry->digest, digest, PST_BLAKE2B_BYTES);
}

/* The end of an id is random. */
static size_t slot_of(pst_str id)
{
    size_t slot = 0;
    for (size_t i = id.len < 4 ? 0 : id.len - 4; i < id.len; i++)
        slot = slot * 31 + (unsigned char)id.ptr[i];
    return slot % PST_API_SEEN;
}

bool pst_api_recall_connection(struct pst_api_call *call, pst_str id)
{
    typeof(&seen_of(call)->connections[0]) entry = &seen_of(call)->connections[slot_of(id)];
    if (!entry->filled || entry->commits != commits_of(call) ||
        entry->organization_pk != call->organization_pk ||
        !pst_str_eq(pst_id_str(&entry->connection.id), id))
        return false;
    call->connection = entry->connection;
    return true;
}

void pst_api_remember_connection(const struct pst_api_call *call, uint64_t commits)
{
    pst_str id = pst_id_str(&call->connection.id);
    typeof(&seen_of(call)->connections[0]) entry = &seen_of(call)->connections[slot_of(id)];
    const struct pst_connector_entry *connector =
        pst_connectors_find(call->api->options.connectors, call->connection.connector);
    struct pst_connection *c = &entry->connection;
    entry->filled = connector != NULL;
    entry->commits = commits;
    entry->organization_pk = call->organization_pk;
    *c = call->connection;
    c->name = c->config = c->credentials = c->schedule = c->entities = c->metadata = c->mapping =
        c->status_reason = PST_STR("");
    c->connector = connector ? pst_str_from(connector->ops->name) : PST_STR("");
}
