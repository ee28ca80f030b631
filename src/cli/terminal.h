/* cli/terminal.h: the person at the other end: standard streams, a line that is drawn over, and
 * reading a password.
 *
 * Thread-safety: main thread.
 */
#ifndef PST_CLI_TERMINAL_H
#define PST_CLI_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "crypto/crypto.h"

bool pst_terminal_out(void); /* standard output is a terminal */
bool pst_terminal_err(void); /* standard error is one */
size_t pst_terminal_width(void); /* of standard error, 40..200 columns; 80 where unknown */

/* Write to standard output / error. What comes from elsewhere (names, messages) goes through
 * pst_terminal_clean first, since control bytes in it could drive the terminal. */
void pst_terminal_print(pst_str text);
void pst_terminal_note(pst_str text);

/* Append s without control characters; at most max_columns characters, cut with "...". */
void pst_terminal_clean(struct pst_buf *out, pst_str s, size_t max_columns);

/* Draw over the current line of standard error. "" removes it. Only on a terminal. */
void pst_terminal_line(pst_str text);

/* Ask on the terminal without echo. Errors: INVALID (there is no terminal: say how else to give
 * it), CANCELLED (nothing was typed), NO_MEMORY. */
pst_code pst_terminal_password(struct pst_secret **out, const char *prompt, struct pst_err *err);

/* The first line of a file ("-": standard input). Errors: as pst_file_read_into, INVALID when it
 * is empty. */
pst_code pst_terminal_secret_file(struct pst_secret **out, const char *path, struct pst_err *err);

/* Ask a question that is answered by y or n; false where there is no terminal. */
bool pst_terminal_confirm(const char *question);

#endif
