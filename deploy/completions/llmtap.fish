# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_llmtap_global_optspecs
    string join \n config= log= h/help V/version
end

function __fish_llmtap_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_llmtap_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_llmtap_using_subcommand
    set -l cmd (__fish_llmtap_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c llmtap -n "__fish_llmtap_needs_command" -l config -d 'Read settings from this TOML file. Default: /etc/llmtap/llmtap.toml as root, else llmtap/llmtap.toml in the XDG configuration folder, where there is one' -r -F
complete -c llmtap -n "__fish_llmtap_needs_command" -l log -d 'What is logged: error, warn, info, debug or trace, for all or for parts of the program, such as warn,analyzer=debug' -r
complete -c llmtap -n "__fish_llmtap_needs_command" -s h -l help -d 'Print help'
complete -c llmtap -n "__fish_llmtap_needs_command" -s V -l version -d 'Print version'
complete -c llmtap -n "__fish_llmtap_needs_command" -f -a "run" -d 'Tap a model server\'s port, store its calls and serve them'
complete -c llmtap -n "__fish_llmtap_needs_command" -f -a "replay" -d 'Read capture files and print what they hold'
complete -c llmtap -n "__fish_llmtap_needs_command" -f -a "serve" -d 'Serve stored calls and take reports, without capturing'
complete -c llmtap -n "__fish_llmtap_needs_command" -f -a "top" -d 'Watch a running llmtap on a terminal: rates, calls under way, models, last calls, errors, losses'
complete -c llmtap -n "__fish_llmtap_needs_command" -f -a "check" -d 'Tell what this machine allows, which backend `run` would take, and what is missing'
complete -c llmtap -n "__fish_llmtap_needs_command" -f -a "config" -d 'Show, check and explain the settings'
complete -c llmtap -n "__fish_llmtap_needs_command" -f -a "completions" -d 'Print a script that completes commands and flags in a shell'
complete -c llmtap -n "__fish_llmtap_needs_command" -f -a "docs" -d 'Write what is generated from this definition: pages, an example file, scripts'
complete -c llmtap -n "__fish_llmtap_needs_command" -f -a "calls" -d 'Print stored calls, or all of one'
complete -c llmtap -n "__fish_llmtap_needs_command" -f -a "stats" -d 'Print counts, sums and percentiles of stored calls, by group and over time'
complete -c llmtap -n "__fish_llmtap_needs_command" -f -a "export" -d 'Write stored calls into a file or a pipe, of any number'
complete -c llmtap -n "__fish_llmtap_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -s i -l interface -d 'Tap this interface; repeatable, `any` for all, `veth*` for those of a pattern (eBPF; also those that appear later). Default: those that own the addresses listening on the tapped ports, and `lo`' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -s p -l port -d 'Tap this TCP port; repeatable. Default: the well-known model-server ports on which something listens' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l backend -d 'How packets are taken' -r -f -a "auto\t'The best that this machine allows'
ebpf\t'The kernel\'s TC hook'
pcap\t'libpcap'"
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l netns -d 'Tap the interfaces of another network namespace: its name, the PID of a process in it, or a file that stands for it (eBPF)' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l format -d 'What is printed for each call as it ends' -r -f -a "table\t'A line a call'
ndjson\t'A JSON object a line'
csv\t'Comma-separated values with a header line'
none\t'Nothing'"
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l listen -d 'Serve metrics and the API on this address; port 0 takes a free one' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l db -d 'Store calls in this SQLite file. Default: /var/lib/llmtap/llmtap.db as root, else llmtap/llmtap.db in the XDG state folder' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l bodies -d 'What of request and response bodies is stored' -r -f -a "full\t'All, but images and vectors; --keep-bodies and --max-bodies-size say how long'
text\t'The same without other base64 data, such as sounds and documents'
none\t'Nothing'"
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l api-token-file -d 'Answer all but / (the page), /live and /ready only to who sends a token of this file (one a line) as `Authorization: Bearer TOKEN`. Needed where --listen names another address than the loopback\'s. Without it, a token is asked for what was said alone: that of llmtap.token beside the store, made when missing' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l report-token-file -d 'Take reports (POST /api/report) only from who sends a token of this file, or of --api-token-file' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l allowed-host -d 'Answer requests for this host name as well; repeatable. Default: on the loopback, localhost and its addresses alone, so that no other name can be made to lead a browser here; elsewhere, any' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l tls-cert -d 'Serve by TLS, with the certificate chain of this PEM file; SIGHUP reads it and its key again' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l tls-key -d 'The private key of --tls-cert, in PEM' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l cors-origin -d 'Let pages of this origin read answers, such as https://board.example.org; repeatable. Default: none' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l metric-label -d 'Tell the counters of calls apart by this as well: user, key (its hash), client, path (known endpoints, else `other`), or label:NAME, the header kept by --label NAME=HEADER; repeatable. Each multiplies the series; past 2000 label sets a family, further values show as ~other' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l otlp-endpoint -d 'Send calls as spans, and the metrics, to this OTLP receiver, such as http://collector:4318 (gRPC: 4317). Default: OTEL_EXPORTER_OTLP_ENDPOINT; without either nothing is sent' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l otlp-protocol -d 'How it is spoken to: http/protobuf or grpc. Default: OTEL_EXPORTER_OTLP_PROTOCOL, or http/protobuf' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l otlp-signals -d 'What is sent; both unless one is named' -r -f -a "traces\t'Calls, as spans'
metrics\t'The metrics'"
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l otlp-header -d 'Send this header along, such as authorization=Bearer…; repeatable (in the environment: one a line)' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l otlp-header-file -d 'Read more of them from this file, one a line: a command line is seen by all users of the machine' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l otlp-ca -d 'Trust the authorities in this file of PEM certificates in place of the system\'s. Default: OTEL_EXPORTER_OTLP_CERTIFICATE' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l otlp-compression -d 'How messages are compressed: gzip or none. Default: OTEL_EXPORTER_OTLP_COMPRESSION, or gzip' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l otlp-timeout -d 'How long a request may take. Default: OTEL_EXPORTER_OTLP_TIMEOUT, or 10s' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l otlp-interval -d 'How often metrics are sent. Default: OTEL_METRIC_EXPORT_INTERVAL, or 60s' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l tokenizer -d 'Count tokens with this tokenizer; repeatable (in the environment: one a line). NAME is one that is built in (cl100k_base, o200k_base, qwen2, ...) and counts for every model; cl100k_base counts by the old tracker\'s rule. PATTERN=PATH counts for the models whose name fits, such as \'llama-3*=/models/Llama-3.1-8B\'; PATH is a tokenizer.json, a tekken.json, a tiktoken file, or a folder with one of them. Default: by the model\'s name, cl100k_base where that is unknown' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l key-file -d 'The secret with which API keys are hashed. Default: llmtap.key beside the store, made when missing; without a store, keys are left out' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l prices -d 'Give each call its cost by this price table (TOML; see deploy/prices.toml): prices by model and kind of token. It is read at the start and on SIGHUP; a row keeps the price that held when its call began' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l count -d 'Which tokens are counted' -r -f -a "auto\t'What the server did not report, and a sample of what it did (--audit-rate)'
always\t'All, beside what the server reported'
never\t'Nothing: what was not reported stays unknown'"
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l audit-rate -d 'The part of the calls with reported tokens that is counted too, so that the two can be compared: from 0 (none) to 1 (all); chosen by the call\'s key, so that the same calls are chosen each time' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l count-cache -d 'Texts whose count is remembered, as hashes: a chat sends its earlier messages again each turn. About 100 bytes each; 0: none' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l trusted-proxy -d 'Believe the X-Forwarded-For, X-Real-Ip and Forwarded of peers in this network, such as 10.0.0.0/8; repeatable; or `none`, or `any`. Default: private and loopback addresses' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l user-header -d 'The header that names the user where the body does not, such as X-Forwarded-User' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l model-header -d 'The header that names the model where neither body nor path does' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l label -d 'Keep this header\'s value in the column `labels` under a name, such as team=x-team; repeatable' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l redact -d 'Take what matches this regular expression out of all that is stored and shown, as well as the secrets that are known by their shape; repeatable (in the environment: one a line)' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l redact-json -d 'Take what stands at this JSON path out of stored bodies, such as $.metadata.notes; repeatable (in the environment: one a line)' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l redact-file -d 'Read more of both from this file, one a line: lines that begin with $ are JSON paths, those that begin with # are comments, all others are regular expressions' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l max-text -d 'Bytes of text that the calls in flight may hold. Past it, those at hand keep no more' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l body-head -d 'Bytes of a body\'s beginning that are stored' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l body-tail -d 'Bytes of a longer body\'s end that are stored' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l max-connections -d 'Connections followed at once. Past it, those that carried nothing go first, then the idlest' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l idle-timeout -d 'Silence after which a connection is given up' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l answer-timeout -d 'The same while an answer is awaited, where that is longer: a queued call is silent' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l half-open-timeout -d 'The same where one end alone was seen, and nothing was carried, where that is shorter' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l max-connection-buffer -d 'Bytes of one connection that wait for what is missing before them. Past it, its holes are given up' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l max-buffered -d 'The same of all connections, heads that are not whole yet included. Past it, what the heaviest waits for is given up' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l max-head-bytes -d 'Bytes of one message\'s head. A longer one is not read' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l max-head-fields -d 'Header fields of one message. Later ones are left out' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l max-open-exchanges -d 'Exchanges of one connection open at once (pipelining). Past it, the connection is given up' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l max-body-read -d 'Bytes of one body that are read, content coding taken off. The rest is counted only' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l max-decoder-memory -d 'Bytes that compressed bodies in flight may take for their windows: 32 KiB each for gzip, as a rule 2 to 4 MiB for zstd and br. Further ones are not read' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l keep-rows -d 'Remove rows, with their bodies, that were stored longer ago; `none` keeps them' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l keep-bodies -d 'Remove request and response bodies that were stored longer ago; `none` keeps them as long as their rows' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l max-rows-size -d 'Remove the oldest rows where all of them, with their indexes, take more of the disk; `none` sets no bound' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l max-bodies-size -d 'Remove the oldest bodies where all of them take more of the disk; `none` sets no bound' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l max-log-size -d 'Write no bodies from half of this on, and nothing at it, where another program reads the store for so long that its log cannot be emptied; `none` sets no bound' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l max-queue-rows -d 'Rows that may wait in memory to be written, as where the disk is slow or full. Further ones are shed' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l max-queue-size -d 'The same in bytes. Past it, bodies are shed, then rows' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l config -d 'Read settings from this TOML file. Default: /etc/llmtap/llmtap.toml as root, else llmtap/llmtap.toml in the XDG configuration folder, where there is one' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l log -d 'What is logged: error, warn, info, debug or trace, for all or for parts of the program, such as warn,analyzer=debug' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l metrics-public -d 'Answer /metrics without a token, wherever it is asked from'
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -l otlp-content -d 'Send request and response texts along with the calls, as they are stored: known secrets taken out'
complete -c llmtap -n "__fish_llmtap_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -s p -l port -d 'Read this TCP port alone; repeatable. Default: HTTP on any port, recognised by content' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l format -d 'How rows are printed' -r -f -a "table\t'A line a row, and a summary'
json\t'One JSON array'
ndjson\t'A JSON object a line'
csv\t'Comma-separated values with a header line'"
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l rows -d 'Which rows are printed' -r -f -a "calls\t'A row an LLM call'
exchanges\t'A row an HTTP exchange, LLM or not'"
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l speed -d 'Play it so many times as fast (with --realtime)' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l db -d 'Store the calls in this SQLite file as well. Without it nothing is stored' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l bodies -d 'What of request and response bodies is stored (with --db)' -r -f -a "full\t'All, but images and vectors; --keep-bodies and --max-bodies-size say how long'
text\t'The same without other base64 data, such as sounds and documents'
none\t'Nothing'"
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l listen -d 'Where (with --serve); port 0 takes a free one' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l tokenizer -d 'Count tokens with this tokenizer; repeatable (in the environment: one a line). NAME is one that is built in (cl100k_base, o200k_base, qwen2, ...) and counts for every model; cl100k_base counts by the old tracker\'s rule. PATTERN=PATH counts for the models whose name fits, such as \'llama-3*=/models/Llama-3.1-8B\'; PATH is a tokenizer.json, a tekken.json, a tiktoken file, or a folder with one of them. Default: by the model\'s name, cl100k_base where that is unknown' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l key-file -d 'The secret with which API keys are hashed. Default: llmtap.key beside the store, made when missing; without a store, keys are left out' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l prices -d 'Give each call its cost by this price table (TOML; see deploy/prices.toml): prices by model and kind of token. It is read at the start and on SIGHUP; a row keeps the price that held when its call began' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l count -d 'Which tokens are counted' -r -f -a "auto\t'What the server did not report, and a sample of what it did (--audit-rate)'
always\t'All, beside what the server reported'
never\t'Nothing: what was not reported stays unknown'"
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l audit-rate -d 'The part of the calls with reported tokens that is counted too, so that the two can be compared: from 0 (none) to 1 (all); chosen by the call\'s key, so that the same calls are chosen each time' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l count-cache -d 'Texts whose count is remembered, as hashes: a chat sends its earlier messages again each turn. About 100 bytes each; 0: none' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l trusted-proxy -d 'Believe the X-Forwarded-For, X-Real-Ip and Forwarded of peers in this network, such as 10.0.0.0/8; repeatable; or `none`, or `any`. Default: private and loopback addresses' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l user-header -d 'The header that names the user where the body does not, such as X-Forwarded-User' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l model-header -d 'The header that names the model where neither body nor path does' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l label -d 'Keep this header\'s value in the column `labels` under a name, such as team=x-team; repeatable' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l redact -d 'Take what matches this regular expression out of all that is stored and shown, as well as the secrets that are known by their shape; repeatable (in the environment: one a line)' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l redact-json -d 'Take what stands at this JSON path out of stored bodies, such as $.metadata.notes; repeatable (in the environment: one a line)' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l redact-file -d 'Read more of both from this file, one a line: lines that begin with $ are JSON paths, those that begin with # are comments, all others are regular expressions' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l max-text -d 'Bytes of text that the calls in flight may hold. Past it, those at hand keep no more' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l body-head -d 'Bytes of a body\'s beginning that are stored' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l body-tail -d 'Bytes of a longer body\'s end that are stored' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l max-connections -d 'Connections followed at once. Past it, those that carried nothing go first, then the idlest' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l idle-timeout -d 'Silence after which a connection is given up' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l answer-timeout -d 'The same while an answer is awaited, where that is longer: a queued call is silent' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l half-open-timeout -d 'The same where one end alone was seen, and nothing was carried, where that is shorter' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l max-connection-buffer -d 'Bytes of one connection that wait for what is missing before them. Past it, its holes are given up' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l max-buffered -d 'The same of all connections, heads that are not whole yet included. Past it, what the heaviest waits for is given up' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l max-head-bytes -d 'Bytes of one message\'s head. A longer one is not read' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l max-head-fields -d 'Header fields of one message. Later ones are left out' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l max-open-exchanges -d 'Exchanges of one connection open at once (pipelining). Past it, the connection is given up' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l max-body-read -d 'Bytes of one body that are read, content coding taken off. The rest is counted only' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l max-decoder-memory -d 'Bytes that compressed bodies in flight may take for their windows: 32 KiB each for gzip, as a rule 2 to 4 MiB for zstd and br. Further ones are not read' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l config -d 'Read settings from this TOML file. Default: /etc/llmtap/llmtap.toml as root, else llmtap/llmtap.toml in the XDG configuration folder, where there is one' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l log -d 'What is logged: error, warn, info, debug or trace, for all or for parts of the program, such as warn,analyzer=debug' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l realtime -d 'Play the capture at its own pace. On a terminal, it is watched as by `llmtap top`, and the report comes after; else rows are printed as their calls end'
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -l serve -d 'Serve the dashboard and the API on what was read, until Ctrl-C. Nothing is stored: the rows and texts are kept in a private folder in memory (/dev/shm, else the folder of temporary files) and removed at the end'
complete -c llmtap -n "__fish_llmtap_using_subcommand replay" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l listen -d 'Serve metrics and the API on this address; port 0 takes a free one' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l db -d 'Store calls in this SQLite file. Default: /var/lib/llmtap/llmtap.db as root, else llmtap/llmtap.db in the XDG state folder' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l bodies -d 'What of request and response bodies is stored' -r -f -a "full\t'All, but images and vectors; --keep-bodies and --max-bodies-size say how long'
text\t'The same without other base64 data, such as sounds and documents'
none\t'Nothing'"
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l api-token-file -d 'Answer all but / (the page), /live and /ready only to who sends a token of this file (one a line) as `Authorization: Bearer TOKEN`. Needed where --listen names another address than the loopback\'s. Without it, a token is asked for what was said alone: that of llmtap.token beside the store, made when missing' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l report-token-file -d 'Take reports (POST /api/report) only from who sends a token of this file, or of --api-token-file' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l allowed-host -d 'Answer requests for this host name as well; repeatable. Default: on the loopback, localhost and its addresses alone, so that no other name can be made to lead a browser here; elsewhere, any' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l tls-cert -d 'Serve by TLS, with the certificate chain of this PEM file; SIGHUP reads it and its key again' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l tls-key -d 'The private key of --tls-cert, in PEM' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l cors-origin -d 'Let pages of this origin read answers, such as https://board.example.org; repeatable. Default: none' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l metric-label -d 'Tell the counters of calls apart by this as well: user, key (its hash), client, path (known endpoints, else `other`), or label:NAME, the header kept by --label NAME=HEADER; repeatable. Each multiplies the series; past 2000 label sets a family, further values show as ~other' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l otlp-endpoint -d 'Send calls as spans, and the metrics, to this OTLP receiver, such as http://collector:4318 (gRPC: 4317). Default: OTEL_EXPORTER_OTLP_ENDPOINT; without either nothing is sent' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l otlp-protocol -d 'How it is spoken to: http/protobuf or grpc. Default: OTEL_EXPORTER_OTLP_PROTOCOL, or http/protobuf' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l otlp-signals -d 'What is sent; both unless one is named' -r -f -a "traces\t'Calls, as spans'
metrics\t'The metrics'"
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l otlp-header -d 'Send this header along, such as authorization=Bearer…; repeatable (in the environment: one a line)' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l otlp-header-file -d 'Read more of them from this file, one a line: a command line is seen by all users of the machine' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l otlp-ca -d 'Trust the authorities in this file of PEM certificates in place of the system\'s. Default: OTEL_EXPORTER_OTLP_CERTIFICATE' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l otlp-compression -d 'How messages are compressed: gzip or none. Default: OTEL_EXPORTER_OTLP_COMPRESSION, or gzip' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l otlp-timeout -d 'How long a request may take. Default: OTEL_EXPORTER_OTLP_TIMEOUT, or 10s' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l otlp-interval -d 'How often metrics are sent. Default: OTEL_METRIC_EXPORT_INTERVAL, or 60s' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l tokenizer -d 'Count tokens with this tokenizer; repeatable (in the environment: one a line). NAME is one that is built in (cl100k_base, o200k_base, qwen2, ...) and counts for every model; cl100k_base counts by the old tracker\'s rule. PATTERN=PATH counts for the models whose name fits, such as \'llama-3*=/models/Llama-3.1-8B\'; PATH is a tokenizer.json, a tekken.json, a tiktoken file, or a folder with one of them. Default: by the model\'s name, cl100k_base where that is unknown' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l key-file -d 'The secret with which API keys are hashed. Default: llmtap.key beside the store, made when missing; without a store, keys are left out' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l prices -d 'Give each call its cost by this price table (TOML; see deploy/prices.toml): prices by model and kind of token. It is read at the start and on SIGHUP; a row keeps the price that held when its call began' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l count -d 'Which tokens are counted' -r -f -a "auto\t'What the server did not report, and a sample of what it did (--audit-rate)'
always\t'All, beside what the server reported'
never\t'Nothing: what was not reported stays unknown'"
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l audit-rate -d 'The part of the calls with reported tokens that is counted too, so that the two can be compared: from 0 (none) to 1 (all); chosen by the call\'s key, so that the same calls are chosen each time' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l count-cache -d 'Texts whose count is remembered, as hashes: a chat sends its earlier messages again each turn. About 100 bytes each; 0: none' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l trusted-proxy -d 'Believe the X-Forwarded-For, X-Real-Ip and Forwarded of peers in this network, such as 10.0.0.0/8; repeatable; or `none`, or `any`. Default: private and loopback addresses' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l user-header -d 'The header that names the user where the body does not, such as X-Forwarded-User' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l model-header -d 'The header that names the model where neither body nor path does' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l label -d 'Keep this header\'s value in the column `labels` under a name, such as team=x-team; repeatable' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l redact -d 'Take what matches this regular expression out of all that is stored and shown, as well as the secrets that are known by their shape; repeatable (in the environment: one a line)' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l redact-json -d 'Take what stands at this JSON path out of stored bodies, such as $.metadata.notes; repeatable (in the environment: one a line)' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l redact-file -d 'Read more of both from this file, one a line: lines that begin with $ are JSON paths, those that begin with # are comments, all others are regular expressions' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l max-text -d 'Bytes of text that the calls in flight may hold. Past it, those at hand keep no more' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l body-head -d 'Bytes of a body\'s beginning that are stored' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l body-tail -d 'Bytes of a longer body\'s end that are stored' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l keep-rows -d 'Remove rows, with their bodies, that were stored longer ago; `none` keeps them' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l keep-bodies -d 'Remove request and response bodies that were stored longer ago; `none` keeps them as long as their rows' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l max-rows-size -d 'Remove the oldest rows where all of them, with their indexes, take more of the disk; `none` sets no bound' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l max-bodies-size -d 'Remove the oldest bodies where all of them take more of the disk; `none` sets no bound' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l max-log-size -d 'Write no bodies from half of this on, and nothing at it, where another program reads the store for so long that its log cannot be emptied; `none` sets no bound' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l max-queue-rows -d 'Rows that may wait in memory to be written, as where the disk is slow or full. Further ones are shed' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l max-queue-size -d 'The same in bytes. Past it, bodies are shed, then rows' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l config -d 'Read settings from this TOML file. Default: /etc/llmtap/llmtap.toml as root, else llmtap/llmtap.toml in the XDG configuration folder, where there is one' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l log -d 'What is logged: error, warn, info, debug or trace, for all or for parts of the program, such as warn,analyzer=debug' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l metrics-public -d 'Answer /metrics without a token, wherever it is asked from'
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -l otlp-content -d 'Send request and response texts along with the calls, as they are stored: known secrets taken out'
complete -c llmtap -n "__fish_llmtap_using_subcommand serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmtap -n "__fish_llmtap_using_subcommand top" -l ca-cert -d 'Believe the authorities in this file of PEM certificates in place of the system\'s, where the daemon is named by https://; the daemon\'s own certificate (its --tls-cert) will do' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand top" -l api-token-file -d 'Send the first token of this file, if the daemon wants one. Default: llmtap.token beside the store' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand top" -l db -d 'The daemon\'s SQLite file, beside which its token lies. Default: /var/lib/llmtap/llmtap.db as root, else llmtap/llmtap.db in the XDG state folder' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand top" -l config -d 'Read settings from this TOML file. Default: /etc/llmtap/llmtap.toml as root, else llmtap/llmtap.toml in the XDG configuration folder, where there is one' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand top" -l log -d 'What is logged: error, warn, info, debug or trace, for all or for parts of the program, such as warn,analyzer=debug' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand top" -s h -l help -d 'Print help'
complete -c llmtap -n "__fish_llmtap_using_subcommand check" -s p -l port -d 'Look for a model server on this port; repeatable. Default: the well-known ones' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand check" -l format -d 'How it is printed' -r -f -a "text\t'For people'
json\t'One JSON object'"
complete -c llmtap -n "__fish_llmtap_using_subcommand check" -l config -d 'Read settings from this TOML file. Default: /etc/llmtap/llmtap.toml as root, else llmtap/llmtap.toml in the XDG configuration folder, where there is one' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand check" -l log -d 'What is logged: error, warn, info, debug or trace, for all or for parts of the program, such as warn,analyzer=debug' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmtap -n "__fish_llmtap_using_subcommand config; and not __fish_seen_subcommand_from show check example help" -l config -d 'Read settings from this TOML file. Default: /etc/llmtap/llmtap.toml as root, else llmtap/llmtap.toml in the XDG configuration folder, where there is one' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand config; and not __fish_seen_subcommand_from show check example help" -l log -d 'What is logged: error, warn, info, debug or trace, for all or for parts of the program, such as warn,analyzer=debug' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand config; and not __fish_seen_subcommand_from show check example help" -s h -l help -d 'Print help'
complete -c llmtap -n "__fish_llmtap_using_subcommand config; and not __fish_seen_subcommand_from show check example help" -f -a "show" -d 'Print what a command would go by: each setting with its value'
complete -c llmtap -n "__fish_llmtap_using_subcommand config; and not __fish_seen_subcommand_from show check example help" -f -a "check" -d 'Look for faults in the settings of file and environment'
complete -c llmtap -n "__fish_llmtap_using_subcommand config; and not __fish_seen_subcommand_from show check example help" -f -a "example" -d 'Print a settings file with every setting, explained'
complete -c llmtap -n "__fish_llmtap_using_subcommand config; and not __fish_seen_subcommand_from show check example help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmtap -n "__fish_llmtap_using_subcommand config; and __fish_seen_subcommand_from show" -l format -d 'How it is printed' -r -f -a "text\t'A line a setting'
json\t'One JSON object'
toml\t'As a settings file'"
complete -c llmtap -n "__fish_llmtap_using_subcommand config; and __fish_seen_subcommand_from show" -l config -d 'Read settings from this TOML file. Default: /etc/llmtap/llmtap.toml as root, else llmtap/llmtap.toml in the XDG configuration folder, where there is one' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand config; and __fish_seen_subcommand_from show" -l log -d 'What is logged: error, warn, info, debug or trace, for all or for parts of the program, such as warn,analyzer=debug' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand config; and __fish_seen_subcommand_from show" -l origin -d 'Tell where each value comes from: a flag, a variable, a line of the file, or the default'
complete -c llmtap -n "__fish_llmtap_using_subcommand config; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmtap -n "__fish_llmtap_using_subcommand config; and __fish_seen_subcommand_from check" -l config -d 'Read settings from this TOML file. Default: /etc/llmtap/llmtap.toml as root, else llmtap/llmtap.toml in the XDG configuration folder, where there is one' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand config; and __fish_seen_subcommand_from check" -l log -d 'What is logged: error, warn, info, debug or trace, for all or for parts of the program, such as warn,analyzer=debug' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand config; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c llmtap -n "__fish_llmtap_using_subcommand config; and __fish_seen_subcommand_from example" -l config -d 'Read settings from this TOML file. Default: /etc/llmtap/llmtap.toml as root, else llmtap/llmtap.toml in the XDG configuration folder, where there is one' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand config; and __fish_seen_subcommand_from example" -l log -d 'What is logged: error, warn, info, debug or trace, for all or for parts of the program, such as warn,analyzer=debug' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand config; and __fish_seen_subcommand_from example" -s h -l help -d 'Print help'
complete -c llmtap -n "__fish_llmtap_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "show" -d 'Print what a command would go by: each setting with its value'
complete -c llmtap -n "__fish_llmtap_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "check" -d 'Look for faults in the settings of file and environment'
complete -c llmtap -n "__fish_llmtap_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "example" -d 'Print a settings file with every setting, explained'
complete -c llmtap -n "__fish_llmtap_using_subcommand config; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmtap -n "__fish_llmtap_using_subcommand completions" -l config -d 'Read settings from this TOML file. Default: /etc/llmtap/llmtap.toml as root, else llmtap/llmtap.toml in the XDG configuration folder, where there is one' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand completions" -l log -d 'What is logged: error, warn, info, debug or trace, for all or for parts of the program, such as warn,analyzer=debug' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand completions" -s h -l help -d 'Print help'
complete -c llmtap -n "__fish_llmtap_using_subcommand docs" -l config -d 'Read settings from this TOML file. Default: /etc/llmtap/llmtap.toml as root, else llmtap/llmtap.toml in the XDG configuration folder, where there is one' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand docs" -l log -d 'What is logged: error, warn, info, debug or trace, for all or for parts of the program, such as warn,analyzer=debug' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand docs" -s h -l help -d 'Print help'
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -l format -d 'How calls are printed' -r -f -a "table\t'For people, as wide as the terminal'
json\t'One JSON document, as the API gives it'
ndjson\t'A JSON object a line'
csv\t'Comma-separated values with a header line'"
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -l db -d 'Read this SQLite file. Default: /var/lib/llmtap/llmtap.db as root, else llmtap/llmtap.db in the XDG state folder' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -l from -d 'Calls that began at this time or later: RFC 3339, a date, seconds since the Unix epoch, or a span before now such as -1h or -7d' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -l to -d 'Calls that began before this time, in the same forms; `now` too' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -l model -d 'The model that was asked for, else the one that answered. As in all filters of texts: `*` stands for anything, `!` before it for all but this, `~none` for no value; given more than once, any of them will do' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -l operation -d 'The operation, such as chat or embeddings' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -l dialect -d 'The wire API, such as openai_chat' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -l outcome -d 'How the call ended, such as ok, client_abort or server_error' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -l status -d 'The HTTP status: a code such as 429, or a class such as 4xx' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -l client -d 'The client\'s address, else the TCP client\'s' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -l user -d 'The user' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -l key -d 'The keyed hash of the API key' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -l stream -d 'Whether the answer was streamed' -r -f -a "true\t''
false\t''"
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -l server -d 'The model server' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -l source -d 'Where the call was seen: ebpf, pcap, file, report or import' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -l min-elapsed -d 'Calls that took at least so long: seconds, or 250ms, 1m30s' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -l min-ttft -d 'Calls whose first token took at least so long' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -l label -d 'The label of this name (as --label gave it)' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -l q -d 'This text in the stored part of the request or the answer, in capitals or not' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -l outer -d 'Whether rows that show a call a second time, from a relay\'s other side, are left out, taken in, or alone (default: no)' -r -f -a "no\t''
yes\t''
only\t''"
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -l sort -d 'What the calls are ordered by (default: time); those without a value come last' -r -f -a "time\t''
id\t''
elapsed\t''
ttft\t''
tpot\t''
input_tokens\t''
output_tokens\t''
total_tokens\t''
cost\t''"
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -l order -d 'Whether the least or the largest comes first (default: desc)' -r -f -a "desc\t''
asc\t''"
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -l limit -d 'Calls at most (default: 100)' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -l cursor -d 'The `next` of the page before: the page after it, in the same order and with the same filters' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -l config -d 'Read settings from this TOML file. Default: /etc/llmtap/llmtap.toml as root, else llmtap/llmtap.toml in the XDG configuration folder, where there is one' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -l log -d 'What is logged: error, warn, info, debug or trace, for all or for parts of the program, such as warn,analyzer=debug' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand calls" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -l format -d 'How figures are printed' -r -f -a "table\t'For people, as wide as the terminal'
json\t'One JSON document, as the API gives it'
ndjson\t'A JSON object a line'
csv\t'Comma-separated values with a header line'"
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -l db -d 'Read this SQLite file. Default: /var/lib/llmtap/llmtap.db as root, else llmtap/llmtap.db in the XDG state folder' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -l from -d 'Calls that began at this time or later: RFC 3339, a date, seconds since the Unix epoch, or a span before now such as -1h or -7d' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -l to -d 'Calls that began before this time, in the same forms; `now` too' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -l model -d 'The model that was asked for, else the one that answered. As in all filters of texts: `*` stands for anything, `!` before it for all but this, `~none` for no value; given more than once, any of them will do' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -l operation -d 'The operation, such as chat or embeddings' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -l dialect -d 'The wire API, such as openai_chat' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -l outcome -d 'How the call ended, such as ok, client_abort or server_error' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -l status -d 'The HTTP status: a code such as 429, or a class such as 4xx' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -l client -d 'The client\'s address, else the TCP client\'s' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -l user -d 'The user' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -l key -d 'The keyed hash of the API key' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -l stream -d 'Whether the answer was streamed' -r -f -a "true\t''
false\t''"
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -l server -d 'The model server' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -l source -d 'Where the call was seen: ebpf, pcap, file, report or import' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -l min-elapsed -d 'Calls that took at least so long: seconds, or 250ms, 1m30s' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -l min-ttft -d 'Calls whose first token took at least so long' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -l label -d 'The label of this name (as --label gave it)' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -l q -d 'This text in the stored part of the request or the answer, in capitals or not' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -l outer -d 'Whether rows that show a call a second time, from a relay\'s other side, are left out, taken in, or alone (default: no)' -r -f -a "no\t''
yes\t''
only\t''"
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -l group-by -d 'What the calls are grouped by, with commas between: model, operation, dialect, outcome, status, client, user, key, stream, server, source, currency, label.NAME; four at most' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -l limit -d 'Groups at most, those with the most calls first; all others are put together as ~other (default: 100)' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -l step -d 'The time from one point to the next: seconds, or 30s, 5m, 1h (default: one that gives about 60 points); at most 1,000 points' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -l config -d 'Read settings from this TOML file. Default: /etc/llmtap/llmtap.toml as root, else llmtap/llmtap.toml in the XDG configuration folder, where there is one' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -l log -d 'What is logged: error, warn, info, debug or trace, for all or for parts of the program, such as warn,analyzer=debug' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -l over-time -d 'Print the figures of each step in time, not of the whole; --step says how long a step is'
complete -c llmtap -n "__fish_llmtap_using_subcommand stats" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -s o -l output -d 'Write into this file, which must not be there yet. Default: standard output' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -l format -d 'How calls are written' -r -f -a "csv\t'Comma-separated values with a header line'
ndjson\t'A JSON object a line'"
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -l db -d 'Read this SQLite file. Default: /var/lib/llmtap/llmtap.db as root, else llmtap/llmtap.db in the XDG state folder' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -l from -d 'Calls that began at this time or later: RFC 3339, a date, seconds since the Unix epoch, or a span before now such as -1h or -7d' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -l to -d 'Calls that began before this time, in the same forms; `now` too' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -l model -d 'The model that was asked for, else the one that answered. As in all filters of texts: `*` stands for anything, `!` before it for all but this, `~none` for no value; given more than once, any of them will do' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -l operation -d 'The operation, such as chat or embeddings' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -l dialect -d 'The wire API, such as openai_chat' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -l outcome -d 'How the call ended, such as ok, client_abort or server_error' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -l status -d 'The HTTP status: a code such as 429, or a class such as 4xx' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -l client -d 'The client\'s address, else the TCP client\'s' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -l user -d 'The user' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -l key -d 'The keyed hash of the API key' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -l stream -d 'Whether the answer was streamed' -r -f -a "true\t''
false\t''"
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -l server -d 'The model server' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -l source -d 'Where the call was seen: ebpf, pcap, file, report or import' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -l min-elapsed -d 'Calls that took at least so long: seconds, or 250ms, 1m30s' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -l min-ttft -d 'Calls whose first token took at least so long' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -l label -d 'The label of this name (as --label gave it)' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -l q -d 'This text in the stored part of the request or the answer, in capitals or not' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -l outer -d 'Whether rows that show a call a second time, from a relay\'s other side, are left out, taken in, or alone (default: no)' -r -f -a "no\t''
yes\t''
only\t''"
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -l sort -d 'What the calls are ordered by (default: time); those without a value come last' -r -f -a "time\t''
id\t''
elapsed\t''
ttft\t''
tpot\t''
input_tokens\t''
output_tokens\t''
total_tokens\t''
cost\t''"
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -l order -d 'Whether the least or the largest comes first (default: desc)' -r -f -a "desc\t''
asc\t''"
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -l limit -d 'Calls at most (default: all)' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -l config -d 'Read settings from this TOML file. Default: /etc/llmtap/llmtap.toml as root, else llmtap/llmtap.toml in the XDG configuration folder, where there is one' -r -F
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -l log -d 'What is logged: error, warn, info, debug or trace, for all or for parts of the program, such as warn,analyzer=debug' -r
complete -c llmtap -n "__fish_llmtap_using_subcommand export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c llmtap -n "__fish_llmtap_using_subcommand help; and not __fish_seen_subcommand_from run replay serve top check config completions docs calls stats export help" -f -a "run" -d 'Tap a model server\'s port, store its calls and serve them'
complete -c llmtap -n "__fish_llmtap_using_subcommand help; and not __fish_seen_subcommand_from run replay serve top check config completions docs calls stats export help" -f -a "replay" -d 'Read capture files and print what they hold'
complete -c llmtap -n "__fish_llmtap_using_subcommand help; and not __fish_seen_subcommand_from run replay serve top check config completions docs calls stats export help" -f -a "serve" -d 'Serve stored calls and take reports, without capturing'
complete -c llmtap -n "__fish_llmtap_using_subcommand help; and not __fish_seen_subcommand_from run replay serve top check config completions docs calls stats export help" -f -a "top" -d 'Watch a running llmtap on a terminal: rates, calls under way, models, last calls, errors, losses'
complete -c llmtap -n "__fish_llmtap_using_subcommand help; and not __fish_seen_subcommand_from run replay serve top check config completions docs calls stats export help" -f -a "check" -d 'Tell what this machine allows, which backend `run` would take, and what is missing'
complete -c llmtap -n "__fish_llmtap_using_subcommand help; and not __fish_seen_subcommand_from run replay serve top check config completions docs calls stats export help" -f -a "config" -d 'Show, check and explain the settings'
complete -c llmtap -n "__fish_llmtap_using_subcommand help; and not __fish_seen_subcommand_from run replay serve top check config completions docs calls stats export help" -f -a "completions" -d 'Print a script that completes commands and flags in a shell'
complete -c llmtap -n "__fish_llmtap_using_subcommand help; and not __fish_seen_subcommand_from run replay serve top check config completions docs calls stats export help" -f -a "docs" -d 'Write what is generated from this definition: pages, an example file, scripts'
complete -c llmtap -n "__fish_llmtap_using_subcommand help; and not __fish_seen_subcommand_from run replay serve top check config completions docs calls stats export help" -f -a "calls" -d 'Print stored calls, or all of one'
complete -c llmtap -n "__fish_llmtap_using_subcommand help; and not __fish_seen_subcommand_from run replay serve top check config completions docs calls stats export help" -f -a "stats" -d 'Print counts, sums and percentiles of stored calls, by group and over time'
complete -c llmtap -n "__fish_llmtap_using_subcommand help; and not __fish_seen_subcommand_from run replay serve top check config completions docs calls stats export help" -f -a "export" -d 'Write stored calls into a file or a pipe, of any number'
complete -c llmtap -n "__fish_llmtap_using_subcommand help; and not __fish_seen_subcommand_from run replay serve top check config completions docs calls stats export help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c llmtap -n "__fish_llmtap_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "show" -d 'Print what a command would go by: each setting with its value'
complete -c llmtap -n "__fish_llmtap_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "check" -d 'Look for faults in the settings of file and environment'
complete -c llmtap -n "__fish_llmtap_using_subcommand help; and __fish_seen_subcommand_from config" -f -a "example" -d 'Print a settings file with every setting, explained'
