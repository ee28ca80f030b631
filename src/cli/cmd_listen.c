/* cli/cmd_listen.c: penstock webhooks listen: receive webhooks on this machine and show them. */
#include <signal.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/receiver.h"
#include "cli/terminal.h"
#include "cli/webhooks.h"
#include "os/service.h"
#include "os/thread.h"
#include "webhook/webhook.h"

enum { CALL_MS = 60000 };
enum { PORT = PST_CLI_OWN, CREATE, CONNECTION, EVENTS, SECRET_FILE, SECRET };

PST_CLI_TABLE(table,
              {.name = "port",
               .letter = 'p',
               .type = PST_CONFIG_INT,
               .value = "0",
               .min = 0,
               .max = 65535,
               .flags = PST_CONFIG_FLAG_ONLY,
               .arg = "PORT",
               .help = "The port of 127.0.0.1 to listen on; 0 is any that is free."},
              {.name = "create",
               .type = PST_CONFIG_BOOL,
               .flags = PST_CONFIG_FLAG_ONLY,
               .help = "Create a webhook for it at the server, which has to run with --dev on this "
                       "machine, and delete it at the end."},
              {.name = "connection",
               .letter = 'c',
               .type = PST_CONFIG_STRING,
               .max = 200,
               .flags = PST_CONFIG_FLAG_ONLY,
               .arg = "CONNECTION",
               .help = "With --create: only events of this connection."},
              {.name = "events",
               .letter = 'e',
               .type = PST_CONFIG_LIST,
               .max = 50,
               .flags = PST_CONFIG_FLAG_ONLY,
               .arg = "TYPE,...",
               .help = "With --create: only these types of events."},
              {.name = "secret_file",
               .type = PST_CONFIG_STRING,
               .max = 4000,
               .flags = PST_CONFIG_FLAG_ONLY,
               .arg = "FILE",
               .help = "Check signatures with the secret (whsec_... or whsk_...) in the first line "
                       "of this file; - is standard input."},
              {.name = "webhook_secret",
               .type = PST_CONFIG_STRING,
               .max = 400,
               .flags = PST_CONFIG_SECRET,
               .arg = "SECRET",
               .help = "The same from the environment."});

struct listener {
    struct pst_cli *cli;
    struct pst_secret *secret;
    struct pst_receiver *receiver;
    pst_str webhook_id; /* that --create made, or "" */
    pst_code code; /* of the receiver's thread */
    struct pst_err err;
};

/* A word of a line, without what could drive the terminal, and blanks up to the next column. */
static void add_word(struct pst_buf *b, pst_str word, size_t width)
{
    size_t begin = b->len;
    pst_terminal_clean(b, word, 60);
    size_t have = b->len - begin;
    pst_buf_addf(b, "%*s", (int)(have < width ? width - have : 0) + 2, "");
}

/* "2026-11-28 14:00:01Z  sync.completed  conn_...  evt_...  #12  ok, duplicate". */
static void add_line(struct pst_buf *b, const struct pst_received *d)
{
    char at[PST_WALL_TEXT];
    pst_str connection = pst_value_str(d->event, "connection_id");
    pst_wall whole = {d->at.us - d->at.us % PST_US_PER_S};
    size_t len = pst_wall_format(at, whole);
    if (len > 10)
        at[10] = ' ';
    pst_buf_addf(b, "%s  ", at);
    add_word(b, d->event ? pst_value_str(d->event, "type") : PST_STR("(no JSON)"), 24);
    add_word(b, connection.len ? connection : PST_STR("-"), 31);
    add_word(b, d->id.len ? d->id : PST_STR("(no id)"), 30);
    pst_buf_add_char(b, '#');
    add_word(b, d->sequence.len ? d->sequence : PST_STR("?"), 4);
    pst_buf_addf(b, "%s%s%s", pst_verdict_name(d->verdict), d->is_duplicate ? ", duplicate" : "",
                 d->is_sample ? ", sample" : "");
    if (d->attempt.len && !pst_str_is(d->attempt, "1")) {
        pst_buf_add_lit(b, ", attempt ");
        pst_terminal_clean(b, d->attempt, 20);
    }
    pst_buf_add_char(b, '\n');
}

/* On the receiver's thread; the main thread only waits meanwhile. With --json what was taken goes
 * to standard output as it came, one event a line, and what was refused is only told. */
static void show(void *self, const struct pst_received *d)
{
    const struct listener *l = self;
    PST_AUTO(buf) struct pst_buf b = {.max = 4 << 20};
    bool is_taken = d->verdict == PST_VERDICT_OK || d->verdict == PST_VERDICT_UNCHECKED;
    if (l->cli->json && is_taken && d->event) {
        struct pst_json_writer w;
        pst_json_init(&w, &b);
        pst_json_put_val(&w, d->event);
        pst_buf_add_char(&b, '\n');
        pst_terminal_print(pst_buf_str(&b));
        return;
    }
    add_line(&b, d);
    if (l->cli->json)
        pst_terminal_note(pst_buf_str(&b));
    else
        pst_terminal_print(pst_buf_str(&b));
}

/* ---- the webhook of --create ---- */

static enum pst_endpoint_signing signing_of(const struct listener *l)
{
    bool is_pair = l->secret && pst_str_starts(pst_secret_expose(l->secret), PST_STR("whsk_"));
    return is_pair ? PST_SIGNING_ED25519 : PST_SIGNING_HMAC;
}

static pst_code write_body(struct listener *l, struct pst_buf *body, struct pst_err *err)
{
    struct pst_json_writer w;
    char url[64];
    const pst_str *events = NULL;
    size_t count = pst_config_list(l->cli->options, EVENTS, &events);
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%d/", pst_receiver_port(l->receiver));
    pst_json_init(&w, body);
    pst_json_begin_object(&w);
    pst_json_add_z(&w, "url", url);
    pst_json_add_z(&w, "description", "penstock webhooks listen");
    pst_json_add_z(&w, "signing", pst_endpoint_signing_name(signing_of(l)));
    if (l->secret)
        pst_json_add_str(&w, "secret", pst_secret_expose(l->secret));
    if (count > 0) {
        pst_json_add_array(&w, "events");
        for (size_t i = 0; i < count; i++)
            pst_json_put_str(&w, events[i]);
        pst_json_end_array(&w);
    }
    pst_json_end_object(&w);
    return pst_json_finish(&w, err);
}

static pst_code create_webhook(struct listener *l, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    PST_AUTO(buf) struct pst_buf body = {.max = PST_BODY_BYTES};
    struct pst_reply reply = {0};
    pst_str connection = pst_config_str(l->cli->options, CONNECTION);
    pst_target_init(&target);
    if (connection.len)
        PST_TRY(pst_client_connection_target(l->cli, connection, &target, err));
    pst_target_add(&target, PST_STR("webhooks"));
    PST_TRY(write_body(l, &body, err));
    pst_code code =
        pst_client_call(l->cli, "POST", &target, pst_buf_str(&body), CALL_MS, &reply, err);
    pst_wipe(body.ptr, body.len);
    PST_TRY(code);
    l->webhook_id = pst_value_str(reply.root, "id");
    if (!l->secret)
        PST_TRY(pst_secret_new(&l->secret, pst_value_str(reply.root, "secret"), err));
    return PST_OK;
}

static pst_code delete_webhook(struct listener *l, struct pst_err *err)
{
    PST_AUTO(target) struct pst_target target = {0};
    struct pst_reply reply = {0};
    pst_target_init(&target);
    pst_target_add(&target, PST_STR("webhooks"));
    pst_target_add(&target, l->webhook_id);
    if (pst_client_call(l->cli, "DELETE", &target, PST_STR(""), CALL_MS, &reply, err) != PST_OK)
        return pst_err_wrap(err, "the webhook %.*s stays", PST_STR_ARG(l->webhook_id));
    pst_notef("the webhook %.*s was deleted\n", PST_STR_ARG(l->webhook_id));
    return PST_OK;
}

/* ---- running ---- */

static void run_receiver(void *arg)
{
    struct listener *l = arg;
    l->code = pst_receiver_run(l->receiver, &l->err);
    if (l->code != PST_OK)
        (void)kill(getpid(), SIGTERM);
}

static void tell_begin(const struct listener *l)
{
    pst_notef("listening on http://127.0.0.1:%d/ (Ctrl-C ends)\n", pst_receiver_port(l->receiver));
    if (l->webhook_id.len)
        pst_notef("the webhook %.*s sends here; try it out: penstock webhooks test %.*s\n",
                  PST_STR_ARG(l->webhook_id), PST_STR_ARG(l->webhook_id));
    else if (!l->secret)
        pst_notef("signatures are not checked: give the webhook's secret with --secret-file\n");
}

static pst_code serve(struct listener *l, int signals, struct pst_err *err)
{
    struct pst_thread *thread = NULL;
    pst_receiver_set_secret(l->receiver, l->secret);
    tell_begin(l);
    PST_TRY(pst_thread_start(&thread, "receiver", run_receiver, l, err));
    while (pst_service_wait_signal(signals, -1) != PST_SIGNAL_STOP)
        ;
    pst_receiver_stop(l->receiver);
    pst_thread_join(thread);
    if (l->code != PST_OK)
        *err = l->err;
    return l->code;
}

/* From here on Ctrl-C is read by serve, so that it cannot leave the webhook behind. */
static pst_code listen_with(struct listener *l, int signals, struct pst_err *err)
{
    struct pst_err later;
    if (pst_config_bool(l->cli->options, CREATE))
        PST_TRY(create_webhook(l, err));
    pst_code code = serve(l, signals, err);
    if (l->webhook_id.len && delete_webhook(l, &later) != PST_OK && code == PST_OK) {
        *err = later;
        return later.code;
    }
    return code;
}

static pst_code check_secret(const struct listener *l, struct pst_err *err)
{
    return l->secret ? pst_hook_secret_check(pst_secret_expose(l->secret), signing_of(l), err)
                     : PST_OK;
}

static pst_code run(struct pst_cli *cli, struct pst_err *err)
{
    struct listener l = {.cli = cli};
    int signals = -1;
    struct pst_receiver_options options = {
        .port = (int)pst_config_int(cli->options, PORT), .received = show, .self = &l};
    pst_code code = pst_webhook_secret(cli, SECRET_FILE, SECRET, &l.secret, err);
    if (code == PST_OK)
        code = check_secret(&l, err);
    if (code == PST_OK)
        code = pst_receiver_new(&l.receiver, &options, err);
    if (code == PST_E_CONFLICT)
        code = PST_FAIL(err, PST_E_CONFLICT,
                        "another program listens on 127.0.0.1:%d: choose another --port",
                        options.port);
    if (code == PST_OK)
        code = pst_service_signals(&signals, err);
    if (code == PST_OK)
        code = listen_with(&l, signals, err);
    if (signals >= 0)
        (void)close(signals);
    pst_receiver_free(l.receiver);
    pst_secret_free(l.secret);
    return code;
}

static const struct pst_example examples[] = {
    {"penstock webhooks listen --create", "see every event of a server that runs with --dev"},
    {"penstock webhooks listen --create --connection acme --events sync.completed --json", NULL},
    {"penstock webhooks listen --port 8080 --secret-file secret",
     "behind a tunnel of your own; checks what comes"},
    {0},
};

const struct pst_command pst_command_webhooks_listen = {
    .name = "webhooks listen",
    .words = "",
    .summary = "receive webhooks on this machine, check their signatures and show them",
    .details = "Answers 204, and 401 where timestamp or signature are wrong. Listens on 127.0.0.1 "
               "only. Duplicates, which\nat-least-once delivery allows, are shown as such.",
    .table = &table,
    .examples = examples,
    .run = run,
};
