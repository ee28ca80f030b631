/* cli/doctor.h: what the doctor finds, one finding at a time, and what it finds through a running
 * server: the connections and webhooks of every organization.
 *
 * Thread-safety: main thread.
 */
#ifndef PST_CLI_DOCTOR_H
#define PST_CLI_DOCTOR_H

#include "cli/command.h"
#include "codec/json.h"

enum pst_verdict { PST_FINDING_GOOD, PST_FINDING_WARNING, PST_FINDING_BAD, PST_FINDING_SKIPPED };

enum { PST_FINDING_TEXT = 600 };

struct pst_finding {
    enum pst_verdict verdict;
    char detail[PST_FINDING_TEXT];
    char fix[PST_FINDING_TEXT]; /* "" where nothing is to be done */
};

void pst_finding_say(struct pst_finding *f, enum pst_verdict verdict, const char *fix,
                     const char *fmt, ...) PST_PRINTF(4, 5);

/* Counts what is printed; json is the open array of findings where cli->json. */
struct pst_report {
    struct pst_cli *cli;
    struct pst_json_writer json;
    size_t bad, warnings;
};

void pst_report_print(struct pst_report *r, const char *name, const struct pst_finding *f);

/* Print a finding per connection and per webhook in trouble: of the organization that is named with
 * --organization, else of all of them. reach: call every connected system. What the server refuses
 * to tell is a finding, too. */
void pst_report_organizations(struct pst_report *r, bool reach);

#endif
