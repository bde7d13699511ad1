-- A store of schema 1, as the llmtap of that time wrote it.
PRAGMA application_id = 1280068948;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE bodies (
    call_id INTEGER PRIMARY KEY REFERENCES calls (id),
    stored_at INTEGER NOT NULL, -- when it was written: microseconds since the Unix epoch
    bytes INTEGER NOT NULL, -- of the four texts together
    request_head TEXT NOT NULL, -- the first part
    request_tail TEXT NOT NULL, -- the last part, where something between is left out
    request_omitted INTEGER NOT NULL, -- bytes left out between the two
    response_head TEXT NOT NULL,
    response_tail TEXT NOT NULL,
    response_omitted INTEGER NOT NULL
) STRICT;
INSERT INTO "bodies" VALUES(1,1795631813335393,528,'{"model":"qwen3","stream":true,"messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"Name three rivers of Europe, and say how long each of them is."}]}','',0,'{"id":"chatcmpl-1","object":"chat.completion","created":1767225600,"model":"qwen3","choices":[{"index":0,"message":{"role":"assistant","content":"The Volga is about 3,530 km long, the Danube about 2,850 km, and the Rhine about 1,230 km."},"finish_reason":"stop"}],"usage":{"prompt_tokens":31,"completion_tokens":38,"total_tokens":69}}','',0);
INSERT INTO "bodies" VALUES(3,1795631813335393,528,'{"model":"qwen3","stream":true,"messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"Name three rivers of Europe, and say how long each of them is."}]}','',0,'{"id":"chatcmpl-1","object":"chat.completion","created":1767225600,"model":"qwen3","choices":[{"index":0,"message":{"role":"assistant","content":"The Volga is about 3,530 km long, the Danube about 2,850 km, and the Rhine about 1,230 km."},"finish_reason":"stop"}],"usage":{"prompt_tokens":31,"completion_tokens":38,"total_tokens":69}}','',0);
INSERT INTO "bodies" VALUES(4,1795631813335393,528,'{"model":"qwen3","stream":true,"messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"Name three rivers of Europe, and say how long each of them is."}]}','',0,'{"id":"chatcmpl-1","object":"chat.completion","created":1767225600,"model":"qwen3","choices":[{"index":0,"message":{"role":"assistant","content":"The Volga is about 3,530 km long, the Danube about 2,850 km, and the Rhine about 1,230 km."},"finish_reason":"stop"}],"usage":{"prompt_tokens":31,"completion_tokens":38,"total_tokens":69}}','',0);
INSERT INTO "bodies" VALUES(5,1795631813335393,528,'{"model":"qwen3","stream":true,"messages":[{"role":"system","content":"You are a helpful assistant."},{"role":"user","content":"Name three rivers of Europe, and say how long each of them is."}]}','',0,'{"id":"chatcmpl-1","object":"chat.completion","created":1767225600,"model":"qwen3","choices":[{"index":0,"message":{"role":"assistant","content":"The Volga is about 3,530 km long, the Danube about 2,850 km, and the Rhine about 1,230 km."},"finish_reason":"stop"}],"usage":{"prompt_tokens":31,"completion_tokens":38,"total_tokens":69}}','',0);
CREATE TABLE calls (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT, 
    "call_key" BLOB NOT NULL UNIQUE /* hash of the addresses, request_start and the exchange's number: unique */, 
    "source" TEXT /* where it was seen: ebpf, pcap, file, report, import */, 
    "dialect" TEXT /* the wire API, such as openai_chat */, 
    "operation" TEXT /* the OpenTelemetry operation: chat, text_completion, ... */, 
    "stream" INTEGER /* whether the answer was streamed */, 
    "method" TEXT /* the request's method */, 
    "path" TEXT /* the request's path, without its query string */, 
    "status" INTEGER /* the HTTP status code */, 
    "outcome" TEXT /* how it ended: ok, error_in_200, client_error, ... */, 
    "error_type" TEXT /* the type in the server's error object */, 
    "error_code" TEXT /* the code in the server's error object */, 
    "request_model" TEXT /* the model that was asked for */, 
    "response_model" TEXT /* the model that answered */, 
    "input_tokens" INTEGER /* all prompt tokens, cached ones included */, 
    "output_tokens" INTEGER /* all generated tokens, reasoning included */, 
    "total_tokens" INTEGER /* the sum of the two */, 
    "input_source" TEXT /* where input_tokens comes from: reported, counted, none */, 
    "output_source" TEXT /* where output_tokens comes from: reported, counted, none */, 
    "output_partial" INTEGER /* whether the call broke off before its end */, 
    "reported_input_tokens" INTEGER /* the server's figure, unchanged */, 
    "reported_output_tokens" INTEGER /* the server's figure, unchanged */, 
    "counted_input_tokens" INTEGER /* llmtap's count */, 
    "counted_output_tokens" INTEGER /* llmtap's count */, 
    "tokenizer" TEXT /* the tokenizer that counted */, 
    "cached_tokens" INTEGER /* prompt tokens that came from a cache */, 
    "cache_write_tokens" INTEGER /* prompt tokens written to a cache */, 
    "reasoning_tokens" INTEGER /* generated tokens that were reasoning */, 
    "audio_tokens" INTEGER /* audio tokens, input and output */, 
    "request_start" INTEGER /* the first byte of the request; microseconds since the Unix epoch */, 
    "request_end" INTEGER /* its last byte; microseconds since the Unix epoch */, 
    "response_head" INTEGER /* the last byte of the final response head; microseconds since the Unix epoch */, 
    "first_event" INTEGER /* the first event with a choice or content block (streams); microseconds since the Unix epoch */, 
    "first_token" INTEGER /* the first event with output in it (streams); microseconds since the Unix epoch */, 
    "last_token" INTEGER /* the last such event (streams); microseconds since the Unix epoch */, 
    "response_end" INTEGER /* the last byte of the response, if it came to an end; microseconds since the Unix epoch */, 
    "ended" INTEGER /* response_end, or what broke the exchange off; microseconds since the Unix epoch */, 
    "elapsed" INTEGER /* ended - request_start; microseconds */, 
    "upload" INTEGER /* request_end - request_start; microseconds */, 
    "ttft" INTEGER /* first_token - request_start; microseconds */, 
    "tpot" REAL /* (last_token - first_token) / (output_tokens - 1); microseconds */, 
    "tokens_per_second" REAL /* total_tokens / elapsed */, 
    "gap_p50" INTEGER /* median gap between content events on the wire; microseconds */, 
    "gap_p95" INTEGER /* 95th percentile of those gaps; microseconds */, 
    "gap_max" INTEGER /* the largest of those gaps; microseconds */, 
    "stalls" INTEGER /* how many of those gaps passed the stall threshold */, 
    "wasted" INTEGER /* the server's last payload after the client left, minus that leaving; 0 where a complete answer followed, and else; microseconds */, 
    "finish_reasons" TEXT /* finish reasons in the order of the choices; JSON array */, 
    "peer" TEXT /* the TCP client's address */, 
    "client" TEXT /* the client's address, by the headers of a trusted peer */, 
    "user" TEXT /* the user, by the body's field or a configured header */, 
    "key" TEXT /* keyed hash of the bearer token or api-key */, 
    "server" TEXT /* the TCP server's address and port */, 
    "missing_request_bytes" INTEGER /* request bytes that were not seen */, 
    "missing_response_bytes" INTEGER /* response bytes that were not seen */, 
    "truncated" INTEGER /* whether something was seen but not read */, 
    "confidence" TEXT /* complete or partial: whether the row rests on all bytes */, 
    "provider" TEXT /* the provider's name, by the dialect */, 
    "reported_timestamp" TEXT /* a report's own timestamp, unchanged */
) STRICT;
INSERT INTO "calls" VALUES(1,X'00000000000000000000000000000000','pcap','openai_chat','chat',1,'POST','/v1/chat/completions',200,'ok',NULL,NULL,'qwen3','qwen3',31,38,69,'reported','reported',0,31,38,30,38,'cl100k_base',NULL,NULL,NULL,NULL,1767225600000000,1767225600000100,1767225600001000,1767225600050000,1767225600052000,1767225601400000,1767225601500000,1767225601500000,1500000,100,52000,36432.4324,46.0,35000,60000,95000,0,0,'["stop"]','10.0.0.1','192.0.2.7',NULL,NULL,'10.0.0.2:8000',0,0,0,'complete','openai',NULL);
INSERT INTO "calls" VALUES(2,X'9E3779B97F4A7C15F39CC0605CEDC835','pcap','openai_chat','chat',1,'POST','/v1/chat/completions',200,'ok',NULL,NULL,'qwen3','qwen3',31,38,69,'reported','reported',0,31,38,30,38,'cl100k_base',NULL,NULL,NULL,NULL,1767225600001000,1767225600001100,1767225600002000,1767225600051000,1767225600053000,1767225601401000,1767225601501000,1767225601501000,1500000,100,52000,36432.4324,46.0,35000,60000,95000,0,0,'["stop"]','10.0.0.1','192.0.2.7',NULL,NULL,'10.0.0.2:8000',0,0,0,'complete','openai',NULL);
INSERT INTO "calls" VALUES(3,X'3C6EF372FE94F82BE73980C0B9DB906A','pcap','openai_chat','chat',1,'POST','/v1/chat/completions',200,'ok',NULL,NULL,'qwen3','qwen3',31,38,69,'reported','reported',0,31,38,30,38,'cl100k_base',NULL,NULL,NULL,NULL,1767225600002000,1767225600002100,1767225600003000,1767225600052000,1767225600054000,1767225601402000,1767225601502000,1767225601502000,1500000,100,52000,36432.4324,46.0,35000,60000,95000,0,0,'["stop"]','10.0.0.1','192.0.2.7',NULL,NULL,'10.0.0.2:8000',0,0,0,'complete','openai',NULL);
INSERT INTO "calls" VALUES(4,X'DAA66D2C7DDF7441DAD6412116C9589F','pcap','openai_chat','chat',1,'POST','/v1/chat/completions',200,'ok','it''s odd',NULL,'qwen3','qwen3',31,38,69,'reported','reported',0,31,38,30,38,'cl100k_base',NULL,NULL,NULL,NULL,1767225600003000,1767225600003100,1767225600004000,1767225600053000,1767225600055000,1767225601403000,1767225601503000,1767225601503000,1500000,100,52000,36432.4324,46.0,35000,60000,95000,0,0,'["stop"]','10.0.0.1','192.0.2.7',NULL,NULL,'10.0.0.2:8000',0,0,0,'complete','openai',NULL);
INSERT INTO "calls" VALUES(5,X'78DDE6E5FD29F057CE73018173B720D4','pcap','openai_chat','chat',1,'POST','/v1/chat/completions',200,'ok',NULL,NULL,'qwen3','qwen3',31,38,69,'reported','reported',0,31,38,30,38,'cl100k_base',NULL,NULL,NULL,NULL,1767225600004000,1767225600004100,1767225600005000,1767225600054000,1767225600056000,1767225601404000,1767225601504000,1767225601504000,1500000,100,52000,36432.4324,46.0,35000,60000,95000,0,0,'["stop"]','10.0.0.1','192.0.2.7',NULL,NULL,'10.0.0.2:8000',0,0,0,'complete','openai',NULL);
CREATE INDEX bodies_by_age ON bodies (stored_at, bytes);
CREATE VIEW token_stats AS SELECT
    c.id AS id,
    ifnull(c.input_tokens, 0) AS input_tokens,
    ifnull(c.output_tokens, 0) AS output_tokens,
    ifnull(c.total_tokens, 0) AS total_tokens,
    ifnull(c.elapsed / 1e6, 0.0) AS elapsed_time, -- seconds
    ifnull(c.tokens_per_second, 0.0) AS tokens_per_second,
    ifnull(c.reported_timestamp,
        strftime('%Y-%m-%dT%H:%M:%S', c.ended / 1000000, 'unixepoch')
            || printf('.%06dZ', c.ended % 1000000)) AS timestamp,
    c.path AS path,
    c.request_model AS model,
    ifnull(c.client, c.peer) AS ip_address,
    CASE WHEN b.request_omitted > 0
        THEN b.request_head || printf('[... %d bytes left out ...]', b.request_omitted) || b.request_tail
        ELSE b.request_head END AS request_body,
    CASE WHEN b.response_omitted > 0
        THEN b.response_head || printf('[... %d bytes left out ...]', b.response_omitted) || b.response_tail
        ELSE b.response_head END AS response_body
FROM calls AS c LEFT JOIN bodies AS b ON b.call_id = c.id;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('calls',5);
COMMIT;
