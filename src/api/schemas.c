/* api/schemas.c: JSON Schemas (2020-12) of bodies and answers, but for the model's records, which
 * come from the model itself. Single quotes stand for double ones, to be readable. */
#include "api/internal.h"

#define ID "{'type':'string','example':'conn_01m85gjr84fn2tvxyf0ejj4x3j'}"
#define TIME "{'type':'string','format':'date-time'}"
#define TIME_OR_NULL "{'type':['string','null'],'format':'date-time'}"
#define TEXT "{'type':'string'}"
#define TEXT_OR_NULL "{'type':['string','null']}"
#define COUNT "{'type':'integer','minimum':0}"
#define FLAG "{'type':'boolean'}"
#define OBJECT "{'type':'object'}"
#define NAMES "{'type':'array','items':{'type':'string'}}"
#define REF(name) "{'$ref':'#/components/schemas/" name "'}"
#define CURSOR "'next_cursor':{'type':['string','null']}"
#define PAGE(name)                                                                                 \
    "{'type':'object','required':['data','next_cursor'],'properties':{'data':{'type':'array',"     \
    "'items':" REF(name) "}," CURSOR "}}"
#define ERROR_OR_NULL                                                                              \
    "{'type':['object','null'],'required':['code','message'],'properties':{'code':" TEXT           \
    ",'message':" TEXT "}}"
#define SCHEDULE                                                                                   \
    "{'description':'{\\'interval\\':\\'15m\\'} (1m to 7d), {\\'cron\\':\\'0 6 * * *\\',\\'"       \
    "time_zone\\':\\'Europe/Berlin\\'} or {\\'manual\\':true}; as text: \\'15m\\', \\'0 6 * * * "  \
    "Europe/Berlin\\', \\'manual\\'','type':['object','string']}"
#define STATUS                                                                                     \
    "{'type':'string','enum':['pending','online','offline','authentication_required','inactive']}"
#define POOL                                                                                       \
    "'credits':{'type':['integer','null'],'minimum':0,'maximum':1000000000,'description':'The "    \
    "pool; null: without end.'},'overage':{'type':'boolean','description':'Whether connections "   \
    "may take more than there is.'}"
#define OUTAGE                                                                                     \
    "{'type':['object','null'],'description':'While it is offline: since when nothing answers, "   \
    "how many contacts failed in a row, and when it is probed next.','required':['since',"         \
    "'tries','next_probe_at'],'properties':{'since':" TIME ",'tries':" COUNT                       \
    ",'next_probe_at':" TIME "}}"
#define SYNC_STATUS "{'type':'string','enum':['queued','running','completed','failed','cancelled']}"
#define SETTINGS                                                                                   \
    "'name':{'type':'string','minLength':1,'maxLength':200},'config':" OBJECT                      \
    ",'credentials':{'type':'object','writeOnly':true},'schedule':" SCHEDULE                       \
    ",'history_days':{'type':'integer','minimum':0,'maximum':36500,'description':'0 is "           \
    "everything'},'entities':" NAMES ",'metadata':" OBJECT ",'mapping':" OBJECT                    \
    ",'serve_stale':" FLAG ",'enabled':" FLAG
#define COUNTS                                                                                     \
    "{'type':'object','required':['read','created','updated','deleted','unchanged','rejected'],"   \
    "'properties':{'read':" COUNT ",'created':" COUNT ",'updated':" COUNT ",'deleted':" COUNT      \
    ",'unchanged':" COUNT ",'rejected':" COUNT ",'pages':" COUNT ",'rows':" COUNT                  \
    ",'bytes':" COUNT                                                                              \
    ",'upstream_calls':{'type':'integer','minimum':0,'description':'Of an entity"                  \
    " those that read its pages; of the sync all, the clock, the columns and probes included'}"    \
    ",'waiting_ms':" COUNT ",'working_ms':" COUNT "}}"

#define IMPACT "{'enum':['degraded','down','maintenance']}"
#define INCIDENT_STATE "{'enum':['investigating','identified','monitoring','resolved']}"
/* clang-format off */
#define DURATION(words)                                                                            \
    "{'type':'string','pattern':'^[0-9]+(ms|s|m|h|d)?$','description':'" words "'}"
#define EVENT_NAMES                                                                                \
    "{'type':'array','maxItems':50,'items':{'type':'string'},'description':'Types of events; "     \
    "\\'sync.*\\' is all that begin so, \\'*\\' all there are'}"
/* Without the end of `headers`, whose members differ. */
#define HOOK_SETTINGS                                                                              \
    "'url':{'type':'string','maxLength':2000,'description':'https:// (http:// only where the "     \
    "server allows it)'},'description':{'type':'string','maxLength':1000},'events':" EVENT_NAMES   \
    ",'enabled':" FLAG ",'ordered':{'type':'boolean','description':'One delivery at a time per "   \
    "connection, in the order of events'},'rate_limit':{'type':['integer','null'],'minimum':1,"    \
    "'maximum':10000,'description':'Deliveries a second'},'timeout':" DURATION("1s to 30s")        \
    ",'retry_for':" DURATION("1h to 7d") ",'headers':{'type':'object','maxProperties':20,"         \
    "'description':'Sent with every delivery; values are never shown again'"
#define SIGNING "{'type':'string','enum':['hmac','ed25519']}"
#define WEBHOOK_MEMBERS                                                                            \
    "'id','organization_id','connection_id','url','description','events','enabled','ordered',"     \
    "'rate_limit','timeout','retry_for','headers','signing','public_keys','status',"               \
    "'disabled_reason','disabled_at','failing_since','failures','next_attempt_at',"                \
    "'last_success_at','last_failure_at','last_error','created_at','updated_at'"
#define DELIVERY_MEMBERS                                                                           \
    "'id','webhook_id','event_id','type','connection_id','sequence','sample','status',"            \
    "'attempts_made','next_attempt_at','last_status','last_error','created_at','ended_at'"
#define REQUEST_OBJECT(more)                                                                       \
    "{'type':'object','required':['id','at','operation','method','route','status','code',"         \
    "'detail','duration_us','bytes','caller','organization_id','connection_id','sync_id',"         \
    "'trace_id'],'properties':{'id':" TEXT ",'at':" TIME ",'operation':{'type':['string','null'],"  \
    "'description':'null: there is none at that path'},'method':" TEXT_OR_NULL ",'route':"         \
    TEXT_OR_NULL ",'status':{'type':'integer'},'code':" TEXT_OR_NULL ",'detail':" TEXT_OR_NULL     \
    ",'duration_us':" COUNT ",'bytes':" COUNT ",'caller':{'type':['string','null'],'description':" \
    "'Id of the key or token, or operator.'},'organization_id':" TEXT_OR_NULL ",'connection_id':"  \
    TEXT_OR_NULL ",'sync_id':" TEXT_OR_NULL ",'trace_id':{'type':'string','description':'W3C Trace" \
    " Context.'}" more "}}"

/* A verdict with its evidence, and what else comes with it. */
#define DIAGNOSIS_OBJECT(required, more)                                                           \
    "{'type':'object','required':['scope','reach','cause','summary','likely_cause',"               \
    "'what_to_do','since','because','evidence'" required "],'properties':{'scope':{'enum':["       \
    "'none','systemic','connection','request'],'description':'Whose trouble it is.'},'reach':{"    \
    "'enum':['host','connector','penstock',null],'description':'Of a systemic one.'},'cause':"     \
    TEXT ",'summary':" TEXT ",'likely_cause':" TEXT ",'what_to_do':" TEXT ",'since':" TIME_OR_NULL \
    ",'because':" NAMES ",'evidence':{'type':'object','required':['connection','host',"            \
    "'connector','elsewhere','operations'],'properties':{'connection':{'type':['object','null'],"  \
    "'properties':{'id':" TEXT ",'status':" STATUS ",'status_since':" TIME_OR_NULL                 \
    ",'good_calls':" COUNT ",'failed_calls':" COUNT ",'refused_operations':" COUNT "}},'host':"    \
    REF("Peers") ",'connector':" REF("Peers") ",'elsewhere':{'type':'boolean','description':"      \
    "'Connections of other organizations fail, too.'},'operations':{'type':'array','items':{"      \
    "'type':'object','properties':{'method':" TEXT ",'path':" TEXT ",'code':" TEXT "}}}}}" more    \
    "}}"

const struct pst_api_schema pst_api_schemas[] = {
    {"Problem",
     "{'description':'RFC 9457','type':'object','required':['type','title','status','detail',"
     "'code','origin','request_id','retryable'],'properties':{'type':" TEXT ",'title':" TEXT
     ",'status':{'type':'integer'},'detail':" TEXT ",'code':{'type':'string','description':"
     "'Stable: switch on this.'},'origin':{'type':'string','enum':['request','penstock',"
     "'connected_system']},'request_id':" TEXT ",'connection_id':" TEXT ",'retryable':" FLAG
     ",'retry_after':{'type':'integer','description':'seconds'},'param':{'type':'string',"
     "'description':'The parameter, member or header at fault.'},'sync_id':{'type':'string',"
     "'description':'With SYNC_IN_PROGRESS: the sync that is under way.'},'violated_policies':{"
     "'type':'array','items':{'type':'string','enum':['key','connection','address']},"
     "'description':'With RATE_LIMIT_EXCEEDED: whose quota is used up.'},'docs':" TEXT "}}"},
    {"Anything", OBJECT},
    {"Health", "{'type':'object','required':['status'],'properties':{'status':" TEXT
     ",'version':" TEXT "}}"},

    {"Change", "{'type':'object','required':['seq','entity','op','record_id','at','fields',"
     "'sync_id'],'properties':{'seq':" COUNT ",'entity':" TEXT ",'op':{'type':'string','enum':"
     "['created','updated','deleted']},'record_id':" ID ",'at':" TIME ",'fields':{'type':['array',"
     "'null'],'items':{'type':'string'},'description':'Of an update: the fields that changed.'},"
     "'sync_id':" TEXT_OR_NULL "}}"},
    {"ChangePage", "{'type':'object','required':['data','next_after','last_seq'],'properties':{"
     "'data':{'type':'array','items':" REF("Change") "},'next_after':{'type':'integer',"
     "'description':'Where the next call goes on.'},'last_seq':{'type':'integer','description':"
     "'Of the newest change there is.'}}}"},

    {"Connection", "{'type':'object','required':['id','organization_id','name','connector',"
     "'config','credentials_set','schedule','history_days','entities','metadata','mapping',"
     "'serve_stale','enabled','status','status_since','status_reason','outage','syncing',"
     "'initial_sync_done','next_run_at','last_seq','version','created_at','updated_at'],"
     "'properties':{'id':" ID ",'organization_id':" ID ",'connector':" TEXT ",'name':" TEXT
     ",'config':" OBJECT ",'credentials_set':" FLAG ",'schedule':" OBJECT ",'history_days':" COUNT
     ",'entities':" NAMES ",'metadata':" OBJECT ",'mapping':" OBJECT ",'serve_stale':" FLAG
     ",'enabled':" FLAG ",'status':" STATUS ",'status_since':" TIME ",'status_reason':"
     TEXT_OR_NULL ",'outage':" OUTAGE ",'syncing':" FLAG ",'initial_sync_done':" FLAG
     ",'next_run_at':" TIME_OR_NULL ",'last_seq':" COUNT ",'version':" COUNT ",'created_at':" TIME ",'updated_at':" TIME
     ",'notice':" TEXT "}}"},
    {"ConnectionPage", PAGE("Connection")},
    {"NewConnection", "{'type':'object','additionalProperties':false,'required':['name',"
     "'connector','config','credentials'],'properties':{'connector':" TEXT "," SETTINGS "}}"},
    {"ConnectionPatch", "{'type':'object','additionalProperties':false,'properties':{'connector':"
     TEXT "," SETTINGS "}}"},
    {"Test", "{'type':'object','required':['ok','checks'],'properties':{'ok':" FLAG ",'checks':{"
     "'type':'array','items':{'type':'object','required':['name','entity','ok','code','detail',"
     "'fix'],'properties':{'name':" TEXT ",'entity':" TEXT_OR_NULL ",'ok':" FLAG ",'code':"
     TEXT_OR_NULL ",'detail':" TEXT ",'fix':" TEXT_OR_NULL "}}}}}"},
    {"HistoryEntry", "{'type':'object','required':['at','status','reason','request_id'],"
     "'properties':{'at':" TIME ",'status':" STATUS ",'reason':" TEXT ",'request_id':"
     TEXT_OR_NULL "}}"},
    {"HistoryPage", PAGE("HistoryEntry")},
    {"Entity", "{'type':'object','required':['name','path','title','fields','filterable',"
     "'writable','required_for_writes','mapping'],'properties':{'name':" TEXT ",'path':" TEXT
     ",'title':" TEXT ",'domain':" TEXT ",'description':" TEXT ",'windowed':" FLAG ",'writable':"
     FLAG ",'required_for_writes':" NAMES ",'filterable':" NAMES ",'fields':{'type':'array',"
     "'items':" OBJECT "},'mapping':{}}}"},
    {"EntityPage", PAGE("Entity")},
    {"RejectedRow", "{'type':'object','required':['entity','source_id','reason','first_at',"
     "'last_at','sync_id','source','truncated'],'properties':{'entity':" TEXT_OR_NULL
     ",'source_id':" TEXT
     ",'reason':" TEXT ",'first_at':" TIME ",'last_at':" TIME ",'sync_id':" TEXT_OR_NULL
     ",'source':{'type':['array','null']},'truncated':" FLAG "}}"},
    {"RejectedPage", PAGE("RejectedRow")},
    {"Connector", "{'type':'object','required':['name','title','options','entities'],"
     "'properties':{'name':" TEXT ",'title':" TEXT ",'description':" TEXT ",'credits':" COUNT
     ",'options':{'type':'array','items':" OBJECT "},'entities':" NAMES "}}"},
    {"ConnectorPage", PAGE("Connector")},

    {"SyncEntity", "{'type':'object','required':['entity','status','phase','window','started_at',"
     "'ended_at','error','counts'],'properties':{'entity':" TEXT_OR_NULL ",'status':" SYNC_STATUS
     ",'phase':{'type':'string','enum':['read','delete']},'window':{'type':['object','null'],"
     "'properties':{'from':" TIME_OR_NULL ",'to':" TIME_OR_NULL "}},'started_at':" TIME_OR_NULL
     ",'ended_at':" TIME_OR_NULL ",'error':" ERROR_OR_NULL ",'counts':" COUNTS "}}"},
    {"Sync", "{'type':'object','required':['id','connection_id','status','mode','trigger',"
     "'cancel_requested','requested_at','started_at','ended_at','resumes_at','error','request_id',"
     "'counts','progress','entities'],'properties':{'id':" ID ",'connection_id':" ID ",'status':"
     SYNC_STATUS ",'mode':{'type':'string','enum':['incremental','full']},'trigger':{'type':"
     "'string','enum':['scheduled','manual','initial']},'cancel_requested':" FLAG
     ",'requested_at':" TIME ",'started_at':" TIME_OR_NULL ",'ended_at':" TIME_OR_NULL
     ",'resumes_at':" TIME_OR_NULL ",'error':" ERROR_OR_NULL ",'request_id':" TEXT_OR_NULL
     ",'counts':" COUNTS ",'progress':{'type':["
     "'object','null'],'properties':{'entity':" TEXT_OR_NULL ",'entity_number':" COUNT
     ",'entity_count':" COUNT ",'records':" COUNT ",'rows':" COUNT ",'deleting':" COUNT
     ",'elapsed_ms':" COUNT ",'rows_per_second':" COUNT ",'records_per_second':" COUNT "}},"
     "'entities':{'type':'array','items':" REF("SyncEntity") "}}}"},
    {"SyncPage", PAGE("Sync")},
    {"NewSync", "{'type':'object','additionalProperties':false,'properties':{'mode':{'type':"
     "'string','enum':['incremental','full'],'default':'incremental'},'entities':" NAMES "}}"},
    {"SyncStatus", "{'type':'object','required':['connection_id','status','syncing','entities'],"
     "'properties':{'connection_id':" ID ",'status':" STATUS ",'status_since':" TIME
     ",'status_reason':" TEXT_OR_NULL ",'outage':" OUTAGE ",'syncing':" FLAG ",'resumes_at':{'type':"
     "['string','null'],'format':'date-time','description':'A sync waits until then, since the "
     "system is busy (429).'},'initial_sync_done':" FLAG ",'schedule':" OBJECT ",'next_run_at':" TIME_OR_NULL ",'last_seq':" COUNT ",'entities':{"
     "'type':'array','items':{'type':'object','required':['entity','status','last_success_at',"
     "'last_attempt_at','next_run_at','error','records','progress'],'properties':{'entity':" TEXT
     ",'status':{'type':'string','enum':['never','queued','running','completed','failed']},"
     "'last_success_at':" TIME_OR_NULL ",'last_attempt_at':" TIME_OR_NULL ",'last_full_at':"
     TIME_OR_NULL ",'synced_to':" TIME_OR_NULL ",'next_run_at':" TIME_OR_NULL ",'error':"
     ERROR_OR_NULL ",'records':" COUNT ",'rejected':" COUNT ",'sync_id':" TEXT_OR_NULL
     ",'progress':{'type':['object','null']}}}}}}"},

    {"Webhook", "{'type':'object','required':[" WEBHOOK_MEMBERS "],'properties':{'id':" ID
     ",'organization_id':" ID ",'connection_id':{'type':['string','null'],'description':'null: of "
     "the whole organization'}," HOOK_SETTINGS ",'additionalProperties':{'const':'***'}}"
     ",'signing':" SIGNING ",'public_keys':{'type':'array','items':{'type':'string'},"
     "'description':'whpk_..., of ed25519'},'status':{'type':'string','enum':['active','failing',"
     "'paused','disabled','off'],'description':'failing: the last attempt failed; paused: so many "
     "did that only probes are sent; disabled: by Penstock; off: by you'},'disabled_reason':{"
     "'enum':['gone','failing',null]},'disabled_at':" TIME_OR_NULL ",'failing_since':" TIME_OR_NULL
     ",'failures':{'type':'integer','minimum':0,'description':'In a row'},'next_attempt_at':"
     TIME_OR_NULL ",'last_success_at':" TIME_OR_NULL ",'last_failure_at':" TIME_OR_NULL
     ",'last_error':" TEXT_OR_NULL ",'events_chosen':{'type':'boolean','description':'Of a "
     "connection: its events were chosen for it'},'waiting':" COUNT ",'waiting_is_capped':" FLAG
     ",'created_at':" TIME ",'updated_at':" TIME "}}"},
    {"WebhookPage", PAGE("Webhook")},
    {"WebhookWithSecret", "{'allOf':[" REF("Webhook") ",{'type':'object','required':['secret'],"
     "'properties':{'secret':{'type':'string','description':'whsec_... or whsk_..., shown "
     "once.'}}}]}"},
    {"NewWebhook", "{'type':'object','additionalProperties':false,'required':['url'],'properties':{"
     HOOK_SETTINGS ",'additionalProperties':{'type':['string','null'],'maxLength':1000}}"
     ",'signing':" SIGNING ",'secret':{'type':'string','writeOnly':true,'description':'One of your "
     "own: whsec_ and base64 of 24 to 64 bytes, or whsk_...'}}}"},
    {"WebhookPatch", "{'type':'object','additionalProperties':false,'properties':{" HOOK_SETTINGS
     ",'additionalProperties':{'type':['string','null'],'maxLength':1000}}}}"},
    {"NewSecret", "{'type':'object','additionalProperties':false,'properties':{'overlap':"
     DURATION("0s to 7d; 24h when it is left out") ",'secret':{'type':'string','writeOnly':true}}}"},
    {"NewTest", "{'type':'object','additionalProperties':false,'properties':{'type':{'type':"
     "'string','default':'sync.completed'}}}"},
    {"Range", "{'type':'object','additionalProperties':false,'required':['since'],'properties':{"
     "'since':" TIME ",'until':" TIME ",'status':{'type':'string','enum':['failed','all'],"
     "'default':'failed'}}}"},
    {"Queued", "{'type':'object','required':['queued'],'properties':{'queued':" COUNT "}}"},
    {"Delivery", "{'type':'object','required':[" DELIVERY_MEMBERS "],'properties':{'id':" ID
     ",'webhook_id':" ID ",'event_id':" ID ",'type':" TEXT ",'connection_id':" TEXT_OR_NULL
     ",'sequence':{'type':'integer','minimum':0,'description':'Per webhook and connection, in "
     "the order of queueing (a restore leaps ahead); 0 of a sample'},'sample':" FLAG ",'status':{'type':'string','enum':['waiting','held','delivered',"
     "'failed'],'description':'held: the webhook is off or disabled'},'attempts_made':" COUNT
     ",'next_attempt_at':" TIME_OR_NULL ",'last_status':{'type':['integer','null']},'last_error':"
     TEXT_OR_NULL ",'created_at':" TIME ",'ended_at':" TIME_OR_NULL "}}"},
    {"DeliveryPage", PAGE("Delivery")},
    {"Attempt", "{'type':'object','required':['number','at','duration_ms','status','error',"
     "'response'],'properties':{'number':{'type':'integer','minimum':1},'at':" TIME
     ",'duration_ms':{'type':'number'},'status':{'type':['integer','null']},'error':" TEXT_OR_NULL
     ",'response':{'type':'string','description':'The first 4 KiB of the answer'}}}"},
    {"DeliveryWithAttempts", "{'allOf':[" REF("Delivery") ",{'type':'object','required':["
     "'attempts','event'],'properties':{'attempts':{'type':'array','items':" REF("Attempt")
     "},'event':" REF("Event") "}}]}"},
    {"Event", "{'type':'object','required':['id','type','timestamp','organization_id',"
     "'connection_id','data'],'properties':{'id':" ID ",'type':" TEXT ",'timestamp':" TIME
     ",'organization_id':" ID ",'connection_id':" TEXT_OR_NULL ",'data':" OBJECT "}}"},
    {"EventPage", "{'type':'object','required':['data'],'properties':{'data':{'type':'array',"
     "'items':" REF("Event") "}," CURSOR ",'next_after':{'type':['string','null'],'description':"
     "'With after: where the next call goes on.'}}}"},
    {"EventType", "{'type':'object','required':['type','version','description','schema','sample'],"
     "'properties':{'type':" TEXT ",'version':{'type':'integer','minimum':1},'description':" TEXT
     ",'schema':" OBJECT ",'sample':" REF("Event") "}}"},
    {"EventTypePage", PAGE("EventType")},

    {"Key", "{'type':'object','required':['id','name','role','hint','created_at','last_used_at',"
     "'revoked_at'],'properties':{'id':" ID ",'name':" TEXT ",'role':{'type':'string','enum':["
     "'viewer','developer','admin']},'hint':" TEXT ",'created_at':" TIME ",'last_used_at':"
     TIME_OR_NULL ",'revoked_at':" TIME_OR_NULL "}}"},
    {"KeyPage", PAGE("Key")},
    {"NewKey", "{'type':'object','additionalProperties':false,'properties':{'name':{'type':"
     "'string','maxLength':200},'role':{'type':'string','enum':['viewer','developer','admin'],"
     "'default':'viewer'}}}"},
    {"CreatedKey", "{'allOf':[" REF("Key") ",{'type':'object','required':['key'],'properties':{"
     "'key':{'type':'string','description':'Shown once.'}}}]}"},
    {"Token", "{'type':'object','required':['id','name','connection_id','hint','created_at',"
     "'last_used_at','revoked_at'],'properties':{'id':" ID ",'name':" TEXT ",'connection_id':" ID
     ",'hint':" TEXT ",'created_at':" TIME ",'last_used_at':" TIME_OR_NULL ",'revoked_at':"
     TIME_OR_NULL "}}"},
    {"TokenPage", PAGE("Token")},
    {"NewToken", "{'type':'object','additionalProperties':false,'properties':{'name':{'type':"
     "'string','maxLength':200}}}"},
    {"CreatedToken", "{'allOf':[" REF("Token") ",{'type':'object','required':['token'],"
     "'properties':{'token':{'type':'string','description':'Shown once.'}}}]}"},
    {"AuditEntry", "{'type':'object','required':['at','actor','action','object','request_id',"
     "'detail'],'properties':{'at':" TIME ",'actor':" TEXT ",'action':" TEXT ",'object':" TEXT
     ",'request_id':" TEXT ",'detail':" OBJECT "}}"},
    {"AuditPage", PAGE("AuditEntry")},
    {"Organization", "{'type':'object','required':['id','name','credits','overage','credits_used',"
     "'created_at'],'properties':{'id':" ID ",'name':" TEXT "," POOL ",'credits_used':" COUNT
     ",'created_at':" TIME "}}"},
    {"OrganizationPatch", "{'type':'object','additionalProperties':false,'properties':{" POOL "}}"},
    {"CreditEntry", "{'type':'object','required':['at','connection_id','amount','overage','used',"
     "'reason','request_id'],'properties':{'at':" TIME ",'connection_id':" ID ",'amount':{'type':"
     "'integer','description':'Taken; negative: given back.'},'overage':{'type':'integer','minimum'"
     ":0,'description':'Of the amount, what was beyond the pool then.'},'used':{'type':'integer',"
     "'minimum':0,'description':'By all connections, after it.'},'reason':" TEXT ",'request_id':"
     TEXT_OR_NULL "}}"},
    {"CreditEntryPage", PAGE("CreditEntry")},
    {"CreditHolder", "{'type':'object','required':['connection_id','name','connector','status',"
     "'credits'],'properties':{'connection_id':" ID ",'name':" TEXT ",'connector':" TEXT
     ",'status':" STATUS ",'credits':" COUNT "}}"},
    {"Credits", "{'type':'object','required':['pool','used','free','overage','overage_allowed',"
     "'data','next_cursor','ledger'],'properties':{'pool':{'type':['integer','null'],'minimum':0,"
     "'description':'null: without end.'},'used':" COUNT ",'free':{'type':['integer','null'],"
     "'minimum':0},'overage':{'type':'integer','minimum':0,'description':'What is used beyond the "
     "pool.'},'overage_allowed':" FLAG ",'data':{'type':'array','items':" REF("CreditHolder")
     "}," CURSOR ",'ledger':{'type':'array','items':" REF("CreditEntry") ",'description':'The "
     "newest 20.'}}}"},
    {"OrganizationPage", PAGE("Organization")},
    {"NewOrganization", "{'type':'object','additionalProperties':false,'required':['name'],"
     "'properties':{'name':{'type':'string','minLength':1,'maxLength':200}," POOL "}}"},
    {"Server", "{'type':'object','required':['version','dev','store','sandbox'],'properties':{'version':" TEXT
     ",'dev':{'type':'boolean'},'store':{'type':'object','required':['writable','trouble'],"
     "'properties':{'writable':{'type':'boolean'},'trouble':" TEXT "}},'sandbox':{'type':'object','required':['mode','no_new_privileges',"
     "'system_calls','landlock','missing'],'properties':{'mode':{'enum':['auto','off','require']},"
     "'no_new_privileges':{'type':'boolean'},'system_calls':{'type':'boolean'},'landlock':"
     "{'type':'integer','description':'Version in force; 0: none.'},'missing':{'type':'string',"
     "'description':'What is not in force and why; empty when all is.'}}}}}"},
    {"NewBackup", "{'type':'object','additionalProperties':false,'required':['path'],"
     "'properties':{'path':{'type':'string','minLength':2,'description':'From the root; must not "
     "exist.'}}}"},
    {"Backup", "{'type':'object','required':['path','bytes'],'properties':{'path':" TEXT
     ",'bytes':{'type':'integer'},'schema':{'type':'integer'},'organizations':{'type':'integer'},"
     "'connections':{'type':'integer'},'records':{'type':'integer'},'newest_change':" TIME_OR_NULL "}}"},

    /* ---- requests, diagnosis, incidents ---- */
    {"Request", REQUEST_OBJECT("")},
    {"RequestPage", PAGE("Request")},
    {"RequestDetail", REQUEST_OBJECT(",'calls':{'type':'array','items':" REF("Call")
     "},'diagnosis':" REF("Diagnosis"))},
    {"Call", "{'description':'One call of the connected system.','type':'object','required':"
     "['number','at','origin','method','path','status','bytes','fault','code','error','times_us'],"
     "'properties':{'number':{'type':'integer','description':'Within its request or sync.'},'at':"
     TIME ",'origin':" TEXT ",'method':" TEXT ",'path':{'type':'string','description':'Without the "
     "query.'},'status':{'type':['integer','null'],'description':'null: there was no answer'},"
     "'bytes':" COUNT ",'fault':{'type':['string','null'],'description':'The step that failed: "
     "dns, connect, tls, timeout, reset, ...'},'code':" TEXT_OR_NULL ",'error':" TEXT_OR_NULL
     ",'times_us':{'type':'object','description':'Microseconds spent in each step.','properties':{"
     "'waiting':" COUNT ",'dns':" COUNT ",'connect':" COUNT ",'tls':" COUNT ",'first_byte':" COUNT
     ",'total':" COUNT "}}}}"},
    {"Peers", "{'type':'object','required':['connections','failing'],'properties':{'connections':"
     COUNT ",'failing':" COUNT "}}"},
    {"Diagnosis", DIAGNOSIS_OBJECT("", "")},
    {"SyncDiagnosis", DIAGNOSIS_OBJECT(",'calls'", ",'calls':{'type':'array','description':'Of the "
     "run, in order: the last 200.','items':" REF("Call") "}")},
    {"IncidentUpdate", "{'type':'object','required':['at','state','text','actor'],'properties':{"
     "'at':" TIME ",'state':" INCIDENT_STATE ",'text':" TEXT ",'actor':" TEXT "}}"},
    {"Incident", "{'type':'object','required':['id','kind','title','impact','state','components',"
     "'subject','affected','opened_at','updated_at','closed_at','updates'],'properties':{'id':" ID
     ",'kind':{'enum':['manual','host','connector','penstock']},'title':" TEXT ",'impact':" IMPACT
     ",'state':" INCIDENT_STATE ",'components':" NAMES ",'subject':{'type':['string','null'],"
     "'description':'Host or connector that the detector found.'},'affected':{'type':'integer',"
     "'description':'Connections, when it began.'},'opened_at':" TIME ",'updated_at':" TIME
     ",'closed_at':" TIME_OR_NULL ",'updates':{'type':'array','items':" REF("IncidentUpdate") "}}}"},
    {"IncidentPage", PAGE("Incident")},
    {"NewIncident", "{'type':'object','additionalProperties':false,'required':['title'],"
     "'properties':{'title':{'type':'string','minLength':1,'maxLength':200},'text':{'type':'string',"
     "'maxLength':4000},'impact':" IMPACT ",'state':" INCIDENT_STATE ",'components':" NAMES "}}"},
    {"IncidentPatch", "{'type':'object','additionalProperties':false,'properties':{'title':{'type':"
     "'string','minLength':1,'maxLength':200},'impact':" IMPACT ",'components':" NAMES "}}"},
    {"NewIncidentUpdate", "{'type':'object','additionalProperties':false,'required':['state','text'],"
     "'properties':{'state':" INCIDENT_STATE ",'text':{'type':'string','minLength':1,'maxLength':"
     "4000}}}"},
    {NULL, NULL},
};
/* clang-format on */
