// Every bound of the filter, each with its unit, why it has this value, and what happens at it. Bounds that an operator
// may change have the suffix _DEFAULT and a range; the others are fixed.

// --- The request body (configuration member `limits`) ---

/** Bytes of one request body. Below Envoy's 1 MiB buffer, above which an HTTP/1.1 stream stalls. Over it: body_too_large. */
export const BODY_BYTES_DEFAULT: u32 = 1_000_000;
export const BODY_BYTES_MAX: u32 = 64 << 20;

/** `request_body: stream`: bytes of white space, all held, after the callback that had the root value's end. Over it: body_too_large. */
export const TAIL_BYTES_MAX: u32 = 65_536;

/** Containers open at once. One bit each in a 64-bit word; servers get superlinear far below 1,000. Over it: json_depth. */
export const DEPTH_DEFAULT: u32 = 64;
export const DEPTH_MAX: u32 = 64;

/** Members of one object. Real tool arguments stay below a thousand. Over it: json_members. */
export const MEMBERS_PER_OBJECT_DEFAULT: u32 = 1024;
export const MEMBERS_PER_OBJECT_MAX: u32 = 16384;

/** Members of all objects that are open at once; bounds the duplicate check's memory. Over it: json_open_members. */
export const OPEN_MEMBERS_DEFAULT: u32 = 4096;
export const OPEN_MEMBERS_MAX: u32 = 65536;

/** Bytes of one member name after unescaping. Over it: json_key_bytes. */
export const KEY_BYTES_DEFAULT: u32 = 256;
export const KEY_BYTES_MAX: u32 = 1024;

/** Milliseconds a held request may make no progress. Below the 15 s of the shortest usual client timeout. At it: stalled. */
export const STALL_MS_DEFAULT: u32 = 10_000;
export const STALL_MS_MIN: u32 = 100;
export const STALL_MS_MAX: u32 = 600_000;

/** Bytes that all undecided requests of a worker hold, in Envoy and in the module. Over it: overloaded. */
export const IN_FLIGHT_BYTES_DEFAULT: u32 = 64 << 20;
export const IN_FLIGHT_BYTES_MIN: u32 = 64 << 10;
export const IN_FLIGHT_BYTES_MAX: u32 = 256 << 20;

// --- What a server sends (configuration member `limits`) ---

/** Bytes of a message that are held until decided: a call, an element, a list of tools (some 100 KB). Over it: response_too_large. */
export const LIST_BYTES_DEFAULT: u32 = 1 << 20;
export const LIST_BYTES_MIN: u32 = 64 << 10;
export const LIST_BYTES_MAX: u32 = 16 << 20;

/** Bytes of data in one event; results with images have some megabytes, and flow. Over it: the stream is cut. */
export const EVENT_BYTES_DEFAULT: u32 = 16 << 20;
export const EVENT_BYTES_MIN: u32 = 4 << 10;
export const EVENT_BYTES_MAX: u32 = 64 << 20;

// --- What is captured of a message ---

/** Bytes of `method`. The longest method of any revision has 36. Over it: method_invalid. */
export const METHOD_BYTES_MAX: u32 = 128;

/** Bytes of `params.name`. MCP recommends at most 128; a longer one can be listed verbatim. Over it: not listed. */
export const NAME_BYTES_MAX: u32 = 256;

/** Bytes of a protocol version; the real ones have 10. Over it: not supported. */
export const VERSION_BYTES_MAX: u32 = 16;

/** Bytes of `traceparent`; that of the first version has 55. A longer one is left out of the record. */
export const TRACE_BYTES_MAX: u32 = 64;

/** Bytes of one URI, URI template, or checked path. Real ones stay below 2,000. Over it: uri_malformed. */
export const URI_BYTES_MAX: u32 = 4096;

/** Bytes of a string `id` as written between its quotes. Over it: id_invalid. */
export const ID_BYTES_MAX: u32 = 256;

/** Bytes of `x-request-id` that a refusal repeats; Envoy's own are 36 long. A longer one is left out. */
export const REQUEST_ID_BYTES_MAX: u32 = 64;

/** Bytes of `ref.type`; the two legal values have 10 and 12. A longer one is an unknown type. */
export const REF_TYPE_BYTES_MAX: u32 = 16;

/** Bytes of the `id`, the `event` and the `retry` of an event. Real ones stay far below. Over it: the field is left out. */
export const SSE_ID_BYTES_MAX: u32 = 1024;
export const SSE_NAME_BYTES_MAX: u32 = 64;
export const SSE_RETRY_BYTES_MAX: u32 = 10;

// --- Who asks (configuration member `identity`) ---

/** Bytes of a principal and of an actor. An OpenID subject has at most 255. A longer one is none. */
export const PRINCIPAL_BYTES_MAX: u32 = 256;

/** Actors of a delegation chain that are recorded, the nearest first. Real chains have one or two. Others are left out. */
export const ACTORS_MAX: u32 = 4;

/** Bytes of a peer's SPIFFE id. Istio's stay below 200; the specification allows 2,048. A longer one is none. */
export const SPIFFE_ID_BYTES_MAX: u32 = 512;

/** Bytes of the name of a provider, an issuer, and the name of a claim. Over it: refused. */
export const PROVIDER_BYTES_MAX: u32 = 128;
export const ISSUER_BYTES_MAX: u32 = 256;
export const CLAIM_BYTES_MAX: u32 = 128;

/** Bytes of `identity.header.name`. Over it: refused. */
export const HEADER_NAME_BYTES_MAX: u32 = 64;

/** Entries of `identity.jwt`: each costs two questions to the proxy per request. Over it: refused. */
export const TOKEN_SOURCES_MAX: u32 = 16;

/** Entries of `identity.header.trusted_gateways`. Over it: refused. */
export const GATEWAYS_MAX: u32 = 256;

// --- Rate limits (configuration member `rate_limit`) ---

/** `requests` and `burst`, and `seconds`; with these a bucket's numbers stay below 2^62. Over it: refused. */
export const RATE_REQUESTS_MAX: u32 = 1_000_000;
export const RATE_SECONDS_MAX: u32 = 3_600;

/** Principals of a guard and worker whose bucket is not full, a power of two: 328 KB. Over it: a bucket gives way (rate/principals.ts). */
export const RATE_PRINCIPALS_MAX: u32 = 4_096;

// --- What identities may (configuration member `rules`) ---

/** Entries of `rules`: each is a bit of what an exchange keeps. Over it: refused. */
export const RULES_MAX: u32 = 1024;

/** Entries of one list of principals, groups or workloads. Over it: refused. */
export const SELECTOR_ENTRIES_MAX: u32 = 1024;

/** Bytes of an issuer and of a value in a selector: as many as a SPIFFE id, which is both for a gateway and its peers. Over it: refused. */
export const SELECTOR_TEXT_MAX: u32 = 512;

/** Different claims, with their issuers, that the groups of all rules name: each costs two questions to the proxy per token. Over it: refused. */
export const ASKED_CLAIMS_MAX: u32 = 16;

/** Segments of a workload behind its trust domain; Istio's have four. Over it: refused. Further ones of a peer's id are not looked at. */
export const WORKLOAD_SEGMENTS_MAX: u32 = 16;

/** Elements of a claim that is a list. Directories name some hundreds of groups at most. A longer one matches no rule. */
export const CLAIM_ELEMENTS_MAX: u32 = 1024;

/** Rules that a record names, the first ones of an exchange. Others are left out, and the record is marked as cut. */
export const RECORDED_RULES_MAX: u32 = 64;

// --- The audit record ---

/** Bytes of one record (configuration member `audit.record_bytes`). Log agents of containers split a line at 16 KiB. */
export const RECORD_BYTES_DEFAULT: u32 = 16 << 10;
export const RECORD_BYTES_MAX: u32 = 64 << 10;

/** Characters of one text in a record, and of a URI: enough to tell it, too few to flood a log. A longer one is cut. */
export const RECORD_TEXT_MAX: u32 = 512;
export const RECORD_URI_MAX: u32 = 1024;

/** Characters of a record that arguments and an answer leave for all else, and those of it that are written behind them and in front of the facts. */
export const RECORD_FACTS: u32 = 8 << 10;
export const RECORD_REST: u32 = 3 << 10;

/** Streams beyond EXCHANGES_MAX that still get a record of their refusal. Beyond these the access log has none. */
export const SURPLUS_EXCHANGES_MAX: u32 = 4096;

// --- The collector (configuration member `audit.otlp`) ---

/** Bytes of the name of a cluster; Istio's have some hundred. Over it: refused. */
export const CLUSTER_BYTES_MAX: u32 = 512;

/** Bytes of `authority` and of `path`. Over it: refused. */
export const COLLECTOR_TEXT_BYTES_MAX: u32 = 256;

/** Milliseconds that a collector has to answer. At it: the batch is sent again later, and calls that wait for it are refused. */
export const COLLECTOR_TIMEOUT_MS_DEFAULT: u32 = 5_000;
export const COLLECTOR_TIMEOUT_MS_MIN: u32 = 100;
export const COLLECTOR_TIMEOUT_MS_MAX: u32 = 60_000;

/** Milliseconds that a record waits for others, unless a call waits for it. */
export const FLUSH_MS_DEFAULT: u32 = 1_000;
export const FLUSH_MS_MIN: u32 = 100;
export const FLUSH_MS_MAX: u32 = 10_000;

/** Bytes of records that wait for the collector, for each guard and worker: some 700 exchanges. Over it: they are dropped and counted. */
export const QUEUE_BYTES_DEFAULT: u32 = 1 << 20;
export const QUEUE_BYTES_MIN: u32 = 64 << 10;
export const QUEUE_BYTES_MAX: u32 = 64 << 20;

/** Records of the largest size that must find room in it: each takes up to twice its bytes there. */
export const RECORDS_IN_QUEUE_MIN: u32 = 4;

/** Bytes of records in one batch. Collectors take some megabytes; a batch that is lost is sent as a whole again. */
export const BATCH_BYTES: u32 = 256 << 10;

/** Milliseconds until a batch that failed is sent again, doubled with each failure up to so many times. */
export const RETRY_MS: u32 = 1_000;
export const RETRY_DOUBLINGS: u32 = 6;

/** Bytes of a collector's answer that are looked at. */
export const ANSWER_BYTES_MAX: u32 = 4096;

// --- A human's approval (configuration member `approval`) ---

/** Bytes of `approval.server`, of the `kid` of a key, and of the name of a variable of the environment. Over it: refused. */
export const APPROVAL_SERVER_BYTES_MAX: u32 = 128;
export const RECEIPT_KID_BYTES_MAX: u32 = 64;
export const VARIABLE_NAME_BYTES_MAX: u32 = 128;

/** Bytes of `approval.page`; with an id it is a link of a length that every client shows. Over it: refused. */
export const APPROVAL_PAGE_BYTES_MAX: u32 = 512;

/** Bytes of `authority` and of `path` of the service. Over it: refused. */
export const APPROVAL_TEXT_BYTES_MAX: u32 = 256;

/** Entries of `approval.keys`: the key in use, and the one before or after it. Over it: refused. */
export const RECEIPT_KEYS_MAX: u32 = 2;

/** Milliseconds that the service has to answer. At it: approval_unavailable, after some attempts. */
export const APPROVAL_TIMEOUT_MS_DEFAULT: u32 = 5_000;
export const APPROVAL_TIMEOUT_MS_MIN: u32 = 100;
export const APPROVAL_TIMEOUT_MS_MAX: u32 = 60_000;

/** Milliseconds between two questions about all calls that wait: how long a person's click takes at most to be seen. */
export const APPROVAL_POLL_MS_DEFAULT: u32 = 1_000;
export const APPROVAL_POLL_MS_MIN: u32 = 250;
export const APPROVAL_POLL_MS_MAX: u32 = 10_000;

/** Seconds that a call waits before its client gets the link. Below the 60 s of the usual client timeout. */
export const HOLD_SECONDS_DEFAULT: u32 = 45;
export const HOLD_SECONDS_MAX: u32 = 300;

/** Bytes of what a human has to read of one call; nobody reviews more. Over it: arguments_too_large. */
export const APPROVAL_ARGUMENTS_BYTES_DEFAULT: u32 = 64 << 10;
export const APPROVAL_ARGUMENTS_BYTES_MIN: u32 = 1 << 10;
export const APPROVAL_ARGUMENTS_BYTES_MAX: u32 = 64 << 10;

/** Calls that wait, of each guard and worker. One poll has the ids of a thousand. Over it: approval_limit. */
export const WAITING_DEFAULT: u32 = 1_000;
export const WAITING_MAX: u32 = 10_000;

/** Of these, those of one principal. Over it: approval_limit. */
export const WAITING_PER_PRINCIPAL_DEFAULT: u32 = 10;
export const WAITING_PER_PRINCIPAL_MAX: u32 = 1_000;

/** Bytes of a call beside what is reviewed of it: names, `_meta`, white space. Over it: arguments_too_large. */
export const APPROVAL_REST_BYTES: u32 = 64 << 10;

/** Ids of one poll; the service takes no more. The others are in the next one. */
export const POLLED_IDS_MAX: u32 = 1_000;

/** Bytes of an answer of the service: a thousand ids with their states. A larger one is none. */
export const APPROVAL_ANSWER_BYTES_MAX: u32 = 64 << 10;

/** Times that opening an approval, or claiming it, is tried. Then: approval_unavailable. */
export const APPROVAL_TRIES: u32 = 3;

/** How often the time between polls doubles while the service does not answer. */
export const APPROVAL_BACKOFF_DOUBLINGS: u32 = 4;

/** Bytes of the secret for the service. A longer one is as good as none: the configuration is refused. */
export const APPROVAL_SECRET_BYTES_MAX: u32 = 512;

/** Bytes of all variables together; a proxy's whole environment has some thousand. Over it: none is there. */
export const ENVIRONMENT_BYTES_MAX: u32 = 64 << 10;

/** Bytes of one receipt; with every text at its longest it has some 3,000. Over it: approval_signature. */
export const RECEIPT_BYTES_MAX: u32 = 4096;

/** Bytes of the approver's text: an issuer, a separator and a subject of 255 bytes. Over it: approval_mismatch. */
export const APPROVER_BYTES_MAX: u32 = 512;

/** Seconds by which the clocks of the service and the proxy may differ. Over it: approval_mismatch. */
export const CLOCK_SKEW_SECONDS: u64 = 30;

/** Seconds that a receipt may be good for; the service gives 60. Over it: approval_mismatch. */
export const RECEIPT_SECONDS_MAX: u64 = 300;

// --- Tokens (configuration member `token_exchange`) ---

/** Bytes of one token, the caller's or one that was given for it; proxies take headers of some 60 KB in all. Over it: token_invalid, token_exchange_unavailable. */
export const TOKEN_BYTES_MAX: u32 = 8192;

/** Bytes of each text of the member: hosts, paths, the client's id, audiences, the resource, scopes. Over it: refused. */
export const TOKEN_TEXT_BYTES_MAX: u32 = 512;
export const CLIENT_KID_BYTES_MAX: u32 = 128;

/** Bytes of the client's secret; and of its private key, as text: RSA with 4,096 bits has 3,300. A longer one is as good as none. */
export const CLIENT_SECRET_BYTES_MAX: u32 = 512;
export const CLIENT_KEY_BYTES_MAX: u32 = 8192;

/** Milliseconds that the token endpoint has to answer. At it: token_exchange_unavailable. */
export const TOKEN_TIMEOUT_MS_DEFAULT: u32 = 2_000;
export const TOKEN_TIMEOUT_MS_MIN: u32 = 100;
export const TOKEN_TIMEOUT_MS_MAX: u32 = 30_000;

/** Tokens that are kept, of each guard and worker: of some kilobytes each, so these are some megabytes. The least recently used one makes room. */
export const CACHE_ENTRIES_DEFAULT: u32 = 1024;
export const CACHE_ENTRIES_MIN: u32 = 16;
export const CACHE_ENTRIES_MAX: u32 = 16384;

/** Seconds that a token is kept at most: so long one still works that the issuer has revoked. */
export const CACHE_SECONDS_DEFAULT: u32 = 60;
export const CACHE_SECONDS_MAX: u32 = 3600;

/** Seconds before its end at which a token is not used any more: the request takes time, and clocks differ. */
export const TOKEN_MARGIN_SECONDS: u64 = 10;

/** Seconds that a token which the issuer refuses is not sent again. */
export const REFUSED_SECONDS: u64 = 5;

/** Questions to the token endpoint under way at once, of each guard and worker; Envoy's clusters take 1,024. Over it: token_exchange_unavailable. */
export const FLIGHTS_MAX: u32 = 256;

/** Bytes of an answer of the token endpoint: two tokens of the largest size, and what stands around them. A larger one is none. */
export const TOKEN_ANSWER_BYTES_MAX: u32 = 32 << 10;

/** Digits of `expires_in`: three hundred years. More are none. */
export const EXPIRES_DIGITS_MAX: u32 = 10;

/** Seconds that the filter's own assertion is good for (RFC 7523 section 3): it is used at once. */
export const ASSERTION_SECONDS: u64 = 60;

// --- Metrics (configuration member `metrics`) ---

/** Listed tools that have counters of their own; the most also of a VM, whatever policies come. Each takes a kilobyte of the proxy for ever. */
export const METRIC_TOOLS_DEFAULT: u32 = 100;
export const METRIC_TOOLS_MAX: u32 = 1024;

/** Bytes of a metric's name: a prefix, a tool's name, and a hash. */
export const METRIC_NAME_BYTES_MAX: u32 = 512;

// --- Memory ---

/** Bytes of one JSON text of a server: its offsets are 32 bits wide. Over it: the stream is cut. */
export const JSON_TEXT_BYTES_MAX: u32 = 0xf0000000;

/** Bytes of a server's message that are held so that a fault in it can still become an error. Over it: the message flows. */
export const STAGED_BYTES: u32 = 64 << 10;

/** Bytes where the host puts what it returns. One body piece plus the largest usual header map fit. */
export const LANDING_BYTES: u32 = 192 << 10;

/** Bytes of one piece in which a body chunk is read: as much as Envoy takes from a connection at once. */
export const PIECE_BYTES: u32 = 128 << 10;

/** Bytes of one host result that does not fit the landing area (a large configuration). Over it: the host call fails. */
export const HOST_RESULT_BYTES_MAX: u32 = 16 << 20;

/** Slots of a fresh duplicate table; real messages have fewer than 32 members open at once. */
export const MEMBER_SLOTS_MIN: u32 = 64;

/** Streams of one VM. A record has some 800 bytes with its facts, so this is 52 MB. Over it: overloaded. */
export const EXCHANGES_MAX: u32 = 65536;

/** Streams that end in one callback of a root context. Envoy's V8 has room for some 300 callbacks one inside the other. The others: one HURRY_MS later. */
export const ENDINGS_MAX: u32 = 32;

/** Milliseconds to a tick for what a callback has left. */
export const HURRY_MS: u32 = 1;

/** Plugin configurations of one VM; each takes a few kilobytes. Over it the configuration is refused. */
export const GUARDS_MAX: u32 = 4096;

// --- The configuration (cold path) ---

/** Bytes of one plugin configuration. Over it: refused. */
export const CONFIG_BYTES_MAX: u32 = 4 << 20;

/** Entries of one list of names. Over it: refused. */
export const LIST_ENTRIES_MAX: u32 = 16384;

/** Entries of `argument_rules`: one bit of a 64-bit word each. Over it: refused. */
export const ARGUMENT_RULES_MAX: u32 = 64;

/** Entries of `audit.redact` and of `audit.redact_response`, to which one of our own comes. Over it: refused. */
export const REDACTED_POINTERS_MAX: u32 = 63;

/** Bytes of a root. Over it: refused. */
export const ROOT_BYTES_MAX: u32 = 1024;

/** Entries of `resource_roots`, and of the roots of one argument rule: each is compared with each URI. Over it: refused. */
export const ROOTS_MAX: u32 = 256;

/** Entries of `response_uris.schemes`: there are few that a client would open. Over it: refused. */
export const RESPONSE_SCHEMES_MAX: u32 = 64;

/** Bytes of one scheme in `response_uris.schemes`. The longest that clients open have some ten. Over it: refused. */
export const SCHEME_BYTES_MAX: u32 = 32;

/** Bytes of a host in `allowed_hosts` or `response_uris.hosts`. A name has at most 253 (RFC 1035). Over it: refused. */
export const HOST_BYTES_MAX: u32 = 256;

/** Entries of `unguarded`: a short list of named exceptions, walked once per request. Over it: refused. */
export const UNGUARDED_ENTRIES_MAX: u32 = 64;

/** Bytes of `unguarded[].path` and `unguarded[].reason`. Over it: refused. */
export const UNGUARDED_TEXT_BYTES_MAX: u32 = 1024;

/** Bytes of a log line, a reply body, or a configuration error. What does not fit is cut. */
export const TEXT_BYTES_MAX: u32 = 4096;
