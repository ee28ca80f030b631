/* cli/commands.c: the list of commands, and finding one by its words. */
#include "cli/command.h"

const struct pst_command *const pst_commands[] = {
    &pst_command_serve,
    &pst_command_connect,
    &pst_command_connections,
    &pst_command_connections_get,
    &pst_command_connections_update,
    &pst_command_connections_delete,
    &pst_command_connections_test,
    &pst_command_connections_history,
    &pst_command_sync,
    &pst_command_status,
    &pst_command_records,
    &pst_command_changes,
    &pst_command_tail,
    &pst_command_webhooks,
    &pst_command_webhooks_show,
    &pst_command_webhooks_create,
    &pst_command_webhooks_update,
    &pst_command_webhooks_delete,
    &pst_command_webhooks_rotate_secret,
    &pst_command_webhooks_test,
    &pst_command_webhooks_deliveries,
    &pst_command_webhooks_attempts,
    &pst_command_webhooks_resend,
    &pst_command_webhooks_listen,
    &pst_command_diagnose,
    &pst_command_incidents,
    &pst_command_incidents_open,
    &pst_command_incidents_update,
    &pst_command_incidents_close,
    &pst_command_organizations,
    &pst_command_organizations_create,
    &pst_command_organizations_update,
    &pst_command_credits,
    &pst_command_keys,
    &pst_command_keys_create,
    &pst_command_keys_revoke,
    &pst_command_keys_rotate_root,
    &pst_command_keys_rotate_data,
    &pst_command_doctor,
    &pst_command_backup,
    &pst_command_restore,
    &pst_command_help,
    NULL,
};

static const struct pst_command *find_name(pst_str name)
{
    for (size_t i = 0; pst_commands[i]; i++) {
        if (pst_str_is(name, pst_commands[i]->name))
            return pst_commands[i];
    }
    return NULL;
}

const struct pst_command *pst_command_find(const char *const *args, size_t count, size_t *taken)
{
    char both[64];
    const struct pst_command *found = NULL;
    if (count >= 2) {
        int n = snprintf(both, sizeof(both), "%s %s", args[0], args[1]);
        if (n > 0 && (size_t)n < sizeof(both))
            found = find_name(pst_str_from(both));
        /* "connections list" is another spelling of "connections". */
        if (!found && strcmp(args[1], "list") == 0 && n > 0 && (size_t)n < sizeof(both)) {
            const struct pst_command *group = find_name(pst_str_from(args[0]));
            found = group && strstr(group->summary, "list") ? group : NULL;
        }
    }
    *taken = found ? 2 : 1;
    return found || count == 0 ? found : find_name(pst_str_from(args[0]));
}
