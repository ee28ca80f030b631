/* api/waiters.c: requests that wait for a commit with a topic (long-poll): changes of a connection,
 * or events of an organization.
 *
 * A request enters before it looks at the store, so that a commit between its look and its
 * suspension is not missed: the commit's wake-up then waits in the loop's inbox.
 */
#include "api/internal.h"
#include "base/vec.h"

static pst_code enter(struct pst_api_call *call, struct pst_err *err)
{
    struct pst_api *api = call->api;
    struct pst_api_waiter *waiter = NULL;
    (void)pthread_mutex_lock(&api->wait_lock);
    pst_code code = pst_vec_push(&api->waiters, &waiter, err);
    if (code == PST_OK)
        *waiter = (struct pst_api_waiter){call->wait.topic, call->ticket};
    (void)pthread_mutex_unlock(&api->wait_lock);
    return code;
}

static void leave(struct pst_api_call *call)
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
    if (topic <= 0 && topic > PST_TOPIC_ORGANIZATIONS)
        return; /* nobody waits for these */
    (void)pthread_mutex_lock(&api->wait_lock);
    for (size_t i = 0; i < api->waiters.len;) {
        if (api->waiters.items[i].topic != topic) {
            i++;
            continue;
        }
        /* resume only posts to the loop: it takes a lock of its own and calls nothing. */
        pst_server_resume(api->server, api->waiters.items[i].ticket);
        api->waiters.items[i] = api->waiters.items[--api->waiters.len];
    }
    (void)pthread_mutex_unlock(&api->wait_lock);
}

static pst_code look_or_wait(struct pst_api_call *call, struct pst_err *err);

static pst_code woken(void *data, struct pst_request *req, struct pst_response *res,
                      enum pst_wake why, struct pst_err *err)
{
    (void)res;
    struct pst_api_call *call = data;
    leave(call);
    if (why == PST_WAKE_GONE)
        return PST_OK;
    if (why != PST_WAKE_RESUMED)
        call->wait.until = req->now; /* answer with what there is, even nothing */
    return look_or_wait(call, err);
}

static pst_code look_or_wait(struct pst_api_call *call, struct pst_err *err)
{
    bool got = false;
    if (call->wait.until.ns <= call->req->now.ns)
        return call->wait.look(call, &got, err);
    struct pst_suspend how = {
        .resumed = woken,
        .data = call,
        .deadline = call->wait.until,
    };
    call->ticket = pst_server_suspend(call->req, &how);
    PST_TRY(enter(call, err));
    pst_code code = call->wait.look(call, &got, err);
    if (code == PST_OK && !got)
        return PST_OK;
    leave(call);
    pst_server_unsuspend(call->req);
    return code;
}

pst_code pst_api_look_or_wait(struct pst_api_call *call, int64_t topic, int64_t wait_s,
                              pst_api_look_fn *look, struct pst_err *err)
{
    call->wait.topic = topic;
    call->wait.look = look;
    call->wait.until = pst_mono_after_ms(call->req->now, wait_s * 1000);
    return look_or_wait(call, err);
}
