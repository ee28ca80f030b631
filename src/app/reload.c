/* app/reload.c: a new configuration while running. */
#include "app/internal.h"
#include "base/log.h"
#include "os/service.h"

enum { ARENA_BYTES = 4 << 20 };

struct pst_config *pst_app_config(struct pst_app *app)
{
    (void)pthread_mutex_lock(&app->mutex);
    struct pst_config *config = pst_config_ref(app->config);
    (void)pthread_mutex_unlock(&app->mutex);
    return config;
}

static void log_changes(struct pst_config *old, struct pst_config *fresh)
{
    size_t changed[PST_OPT_COUNT];
    bool needs_restart = false;
    size_t count = pst_config_diff(old, fresh, changed, PST_COUNT(changed), &needs_restart);
    for (size_t i = 0; i < count; i++) {
        const struct pst_config_option *o = &pst_options.options[changed[i]];
        bool taken = (o->flags & PST_CONFIG_RELOADABLE) != 0;
        PST_LOG(taken ? PST_LOG_INFO : PST_LOG_WARN,
                taken ? "option changed" : "option changed, but needs a restart",
                PST_F_Z("option", o->name));
    }
    if (count == 0)
        PST_LOG(PST_LOG_INFO, "configuration read again, nothing changed");
}

void pst_app_set_limits(struct pst_app *app, const struct pst_config *config)
{
    const struct pst_api_limits limits = {
        .key = pst_config_int(config, PST_OPT_RATE_LIMIT_KEY),
        .connection = pst_config_int(config, PST_OPT_RATE_LIMIT_CONNECTION),
        .failures = pst_config_int(config, PST_OPT_RATE_LIMIT_FAILURES),
    };
    pst_api_set_limits(app->api, &limits);
}

static pst_code reload(struct pst_app *app, struct pst_err *err)
{
    PST_AUTO(arena) struct pst_arena *arena = NULL;
    PST_AUTO(config) struct pst_config *fresh = NULL;
    PST_AUTO(config) struct pst_config *old = pst_app_config(app);
    struct pst_config *merged = NULL;
    struct pst_settings settings;
    PST_TRY(pst_arena_new(&arena, ARENA_BYTES, err));
    PST_TRY(pst_settings_load(&settings, arena, app->args, app->arg_count, app->env, err));
    fresh = settings.config;
    PST_TRY(pst_config_merge_reload(&merged, old, fresh, err));
    log_changes(old, fresh);

    pst_log_set_level((enum pst_log_level)pst_config_int(merged, PST_OPT_LOG_LEVEL));
    pst_sync_engine_retune(app->sync, (uint32_t)pst_config_int(merged, PST_OPT_PAGE_ROWS),
                           pst_config_int(merged, PST_OPT_SYNC_OVERLAP),
                           (int)pst_config_int(merged, PST_OPT_DELETE_GUARD));
    pst_app_set_limits(app, merged);
    (void)pthread_mutex_lock(&app->mutex);
    struct pst_config *before = app->config;
    app->config = merged;
    (void)pthread_mutex_unlock(&app->mutex);
    pst_config_unref(before);
    return PST_OK;
}

void pst_app_reload(struct pst_app *app)
{
    struct pst_err err;
    pst_service_notify(PST_NOTIFY_RELOADING, NULL);
    if (reload(app, &err) != PST_OK)
        pst_log_err(PST_LOG_ERROR, "the configuration is not taken over", &err, NULL);
    pst_service_notify(PST_NOTIFY_READY, NULL);
}
