/* cli/cli.h: the command line. main() hands over and returns what comes back.
 *
 * Thread-safety: main thread.
 */
#ifndef PST_CLI_CLI_H
#define PST_CLI_CLI_H

/* Runs the command that argv names; the result is the exit status of the process (the values
 * of sysexits.h that errors.def holds, 0 for success). env: list ending in NULL. */
int pst_cli_main(int argc, char **argv, char **env);

#endif
