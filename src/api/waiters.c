/* api/waiters.c: requests that wait for changes of a connection (long-poll).
 *
 * A request enters before it looks at the store, so that a commit between its look and its
 * suspension is not missed: the commit's wake-up then waits in the loop's inbox.
 */
#include "api/internal.h"
#include "base/vec.h"

pst_code pst_api_wait(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_api *api = call->api;
    struct pst_api_waiter *waiter = NULL;
    (void)pthread_mutex_lock(&api->wait_lock);
    pst_code code = pst_vec_push(&api->waiters, &waiter, err);
    if (code == PST_OK)
        *waiter = (struct pst_api_waiter){call->connection.pk, call->ticket};
    (void)pthread_mutex_unlock(&api->wait_lock);
    return code;
}

void pst_api_unwait(struct pst_api_call *call)
{
    struct pst_api *api = call->api;
    (void)pthread_mutex_lock(&api->wait_lock);
    for (size_t i = 0; i < api->waiters.len; i++) {
        const struct pst_ticket *t = &api->waiters.items[i].ticket;
        if (t->serial == call->ticket.serial && t->loop == call->ticket.loop) {
            api->waiters.items[i] = api->waiters.items[--api->waiters.len];
            break;
        }
    }
    (void)pthread_mutex_unlock(&api->wait_lock);
}

void pst_api_on_commit(struct pst_api *api, int64_t topic)
{
    if (topic <= 0)
        return;
    (void)pthread_mutex_lock(&api->wait_lock);
    for (size_t i = 0; i < api->waiters.len;) {
        if (api->waiters.items[i].connection_pk != topic) {
            i++;
            continue;
        }
        /* resume only posts to the loop: it takes a lock of its own and calls nothing. */
        pst_server_resume(api->server, api->waiters.items[i].ticket);
        api->waiters.items[i] = api->waiters.items[--api->waiters.len];
    }
    (void)pthread_mutex_unlock(&api->wait_lock);
}
