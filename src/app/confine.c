/* app/confine.c: what the running server may still read and write, and the way into the sandbox.
 *
 * Read after the start are: its configuration (SIGHUP), and what the C library, libcurl and
 * OpenSSL look up when a system is called: resolver files, certificates, time zones, modules.
 * Directories stand for the files in them, since editors, resolvers and package updates replace
 * a file by renaming a new one over it. */
#include <limits.h>

#include "app/internal.h"
#include "base/log.h"

enum { PATHS_MAX = 64 };

static const char *const system_paths[] = {
    "/etc",
    "/usr",
    "/lib",
    "/lib64",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager",
    "/dev/null",
    "/dev/urandom",
    "/proc/sys/vm/overcommit_memory", /* glibc, before it gives memory back */
    "/sys/devices/system/cpu/online",
};

struct path_list {
    struct pst_sandbox_path items[PATHS_MAX];
    size_t count;
};

static pst_code add_path(struct path_list *list, const char *path, enum pst_sandbox_use use,
                         struct pst_err *err)
{
    if (list->count == PST_COUNT(list->items))
        return PST_FAIL(err, PST_E_LIMIT, "too many directories for the sandbox");
    list->items[list->count++] = (struct pst_sandbox_path){.path = path, .use = use};
    return PST_OK;
}

/* The directory that holds the file; nothing for an empty name. */
static pst_code add_parent(struct path_list *list, struct pst_arena *arena, pst_str file,
                           enum pst_sandbox_use use, struct pst_err *err)
{
    pst_str dir = {0};
    size_t end = file.len;
    if (file.len == 0)
        return PST_OK;
    while (end > 0 && file.ptr[end - 1] != '/')
        end--;
    PST_TRY(pst_arena_dup(arena, &dir, end > 0 ? pst_str_sub(file, 0, end) : PST_STR("."), err));
    return add_path(list, dir.ptr, use, err);
}

static pst_code add_configured(struct path_list *list, const struct pst_app *app,
                               struct pst_err *err)
{
    struct pst_config_files files = {0};
    const pst_str *backup_dirs = NULL;
    size_t count = pst_config_list(app->config, PST_OPT_BACKUP_DIRS, &backup_dirs);
    PST_TRY(add_path(list, app->paths.data_dir.ptr, PST_SANDBOX_WRITE, err));
    PST_TRY(add_parent(list, app->arena, app->paths.store, PST_SANDBOX_WRITE, err));
    for (size_t i = 0; i < count; i++) {
        pst_str dir = {0};
        PST_TRY(pst_arena_dup(app->arena, &dir, backup_dirs[i], err));
        PST_TRY(add_path(list, dir.ptr, PST_SANDBOX_WRITE, err));
    }
    pst_str authorities = pst_config_str(app->config, PST_OPT_WEBHOOK_CA_FILE);
    PST_TRY(add_parent(list, app->arena, authorities, PST_SANDBOX_READ, err));
    PST_TRY(add_parent(list, app->arena, app->config_file, PST_SANDBOX_READ, err));
    PST_TRY(pst_config_file_names(app->arena, &files, app->env, err));
    PST_TRY(add_parent(list, app->arena, files.user, PST_SANDBOX_READ, err));
    return add_parent(list, app->arena, files.system, PST_SANDBOX_READ, err);
}

static pst_code enter(struct pst_app *app, struct pst_err *err)
{
    struct path_list list = {0};
    PST_TRY(add_configured(&list, app, err));
    for (size_t i = 0; i < PST_COUNT(system_paths); i++)
        PST_TRY(add_path(&list, system_paths[i], PST_SANDBOX_READ, err));
    pst_sandbox_enter(list.items, list.count, &app->sandbox);
    return PST_OK;
}

static void say(const struct pst_app *app, pst_str mode)
{
    const struct pst_sandbox_state *s = &app->sandbox;
    struct pst_api_sandbox shown = {
        .mode = mode,
        .no_new_privileges = s->no_new_privileges,
        .system_calls = s->syscalls,
        .landlock = s->landlock,
        .missing = s->why,
    };
    pst_api_set_sandbox(app->api, &shown);
    PST_LOG(pst_sandbox_is_whole(s) ? PST_LOG_INFO : PST_LOG_WARN, "sandbox",
            PST_F_STR("mode", mode), PST_F_Z("system_calls", s->syscalls ? "restricted" : "all"),
            PST_F_INT("landlock", s->landlock), PST_F_Z("missing", s->why));
}

pst_code pst_app_confine(struct pst_app *app, struct pst_err *err)
{
    pst_str mode = {0}; /* outlives this snapshot of the configuration */
    PST_TRY(pst_arena_dup(app->arena, &mode, pst_config_str(app->config, PST_OPT_SANDBOX), err));
#ifdef PST_INSTRUMENTED
    /* Sanitizers and coverage write files and attach to the process when it ends. */
    bool can = false;
#else
    bool can = true;
#endif
    if (can && !pst_str_is(mode, "off"))
        PST_TRY(enter(app, err));
    else
        (void)snprintf(app->sandbox.why, sizeof(app->sandbox.why), "%s",
                       can ? "switched off by the option sandbox"
                           : "this build is made for testing");
    say(app, mode);
    if (pst_str_is(mode, "require") && !pst_sandbox_is_whole(&app->sandbox))
        return PST_FAIL_AT(err, PST_E_UNAVAILABLE, "sandbox",
                           "sandbox: require, but this machine does not give all of it: %s",
                           app->sandbox.why);
    return PST_OK;
}
