"""An OTLP receiver that knows nothing of llmtap: OpenTelemetry's own messages, gRPC's own server.

It takes OTLP over HTTP (http.server) and over gRPC (grpcio), each on a free port of 127.0.0.1, and prints one JSON
object a line: first {"ready": {"http": PORT, "grpc": PORT}}, then each request with what was answered.

    receiver.py [--tls FOLDER] [--traces ANSWERS] [--metrics ANSWERS]

ANSWERS is a list such as `503:0,close,partial:2:too old,ok`: one for each request of that signal, `ok` when it is at its end.
Over HTTP: a status with its Retry-After in seconds, `close` (no answer), `hang` (none for a long time), `noise` (200 with
a body that is no message). Over gRPC: the name of a status, with the seconds of a RetryInfo behind a colon, or `hang`.
Over both: `partial:REJECTED:WORDS` and `ok`. With --tls it makes an authority and a certificate, and writes the authority's
to FOLDER/ca.pem.
"""
import argparse
import gzip
import http.server
import json
import ssl
import sys
import threading
from concurrent import futures

import grpc
import trustme
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

# How long `hang` keeps a request: longer than any test waits.
HANG = 600

REQUESTS = {"traces": trace_service_pb2.ExportTraceServiceRequest, "metrics": metrics_service_pb2.ExportMetricsServiceRequest}
RESPONSES = {"traces": trace_service_pb2.ExportTraceServiceResponse, "metrics": metrics_service_pb2.ExportMetricsServiceResponse}

printing = threading.Lock()
over = threading.Event()


def say(value):
    with printing:
        print(json.dumps(value), flush=True)


class Script:
    """The answers of one signal, one after the other."""

    def __init__(self, text):
        self.answers = [answer for answer in text.split(",") if answer]
        self.lock = threading.Lock()

    def next(self):
        with self.lock:
            return self.answers.pop(0) if self.answers else "ok"


# --- Messages as plain values ------------------------------------------------------------------------------------


def value(any_value):
    kind = any_value.WhichOneof("value")
    if kind == "array_value":
        return [value(item) for item in any_value.array_value.values]
    return None if kind is None else getattr(any_value, kind)


def attributes(pairs):
    found = {pair.key: value(pair.value) for pair in pairs}
    assert len(found) == len(pairs), "an attribute stands twice"
    return found


def span(it):
    return {
        "trace_id": it.trace_id.hex(),
        "span_id": it.span_id.hex(),
        "parent_span_id": it.parent_span_id.hex(),
        "name": it.name,
        "kind": it.kind,
        "start": it.start_time_unix_nano,
        "end": it.end_time_unix_nano,
        "attributes": attributes(it.attributes),
        "events": {event.name: event.time_unix_nano for event in it.events},
        "status": it.status.code,
        "status_message": it.status.message,
        "flags": it.flags,
    }


def exemplar(it):
    return {"value": it.as_double, "time": it.time_unix_nano, "trace_id": it.trace_id.hex(), "span_id": it.span_id.hex()}


def point(it):
    shown = {"attributes": attributes(it.attributes), "start": it.start_time_unix_nano, "time": it.time_unix_nano}
    if hasattr(it, "bucket_counts"):
        shown.update(count=it.count, sum=it.sum, buckets=list(it.bucket_counts), bounds=list(it.explicit_bounds))
        shown["exemplars"] = [exemplar(one) for one in it.exemplars]
    else:
        shown["value"] = getattr(it, it.WhichOneof("value"))
    return shown


def metric(it):
    kind = it.WhichOneof("data")
    data = getattr(it, kind)
    shown = {"name": it.name, "unit": it.unit, "description": it.description, "kind": kind}
    shown["points"] = [point(one) for one in data.data_points]
    if kind != "gauge":
        shown["temporality"] = data.aggregation_temporality
    if kind == "sum":
        shown["monotonic"] = data.is_monotonic
    return shown


def message(signal, raw):
    """The request as plain values; nothing may be left over that OpenTelemetry does not define."""
    request = REQUESTS[signal].FromString(raw)
    request.DiscardUnknownFields()
    assert request.ByteSize() == len(raw), "there are fields that OpenTelemetry does not define"
    if signal == "traces":
        groups = request.resource_spans
        items = [span(it) for group in groups for scope in group.scope_spans for it in scope.spans]
        scopes = [scope.scope.name for group in groups for scope in group.scope_spans]
    else:
        groups = request.resource_metrics
        items = [metric(it) for group in groups for scope in group.scope_metrics for it in scope.metrics]
        scopes = [scope.scope.name for group in groups for scope in group.scope_metrics]
    return {"resource": attributes(groups[0].resource.attributes), "scopes": scopes, "items": items}


def response(signal, answer):
    made = RESPONSES[signal]()
    if answer.startswith("partial:"):
        _, rejected, words = answer.split(":", 2)
        field = "rejected_spans" if signal == "traces" else "rejected_data_points"
        setattr(made.partial_success, field, int(rejected))
        made.partial_success.error_message = words
    return made


# --- HTTP --------------------------------------------------------------------------------------------------------


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    scripts = {}

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        signal = self.path.rsplit("/", 1)[-1]
        plain = gzip.decompress(raw) if self.headers["Content-Encoding"] == "gzip" else raw
        assert self.headers["Content-Type"] == "application/x-protobuf"
        answer = self.scripts[signal].next()
        headers = {name.lower(): text for name, text in self.headers.items()}
        say({"via": "http", "path": self.path, "signal": signal, "answer": answer, "headers": headers} | message(signal, plain))
        if answer == "hang":
            over.wait(HANG)
        if answer in ("hang", "close"):
            self.close_connection = True
        elif answer == "noise":
            self.answer(200, b"<html>hello</html>")
        elif answer[0].isdigit():
            status, _, after = answer.partition(":")
            said = status_pb2.Status(code=14, message="no room\nnow")
            self.answer(int(status), said.SerializeToString(), after)
        else:
            self.answer(200, response(signal, answer).SerializeToString())

    def answer(self, status, body, retry_after=""):
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve_http(certificate):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


# --- gRPC --------------------------------------------------------------------------------------------------------


class Details(grpc.Status):
    """A status with a RetryInfo among its details, as gRPC's own `rpc_status` makes it."""

    def __init__(self, code, seconds):
        info = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=int(float(seconds) * 1e9)))
        packed = any_pb2.Any()
        packed.Pack(info)
        status = status_pb2.Status(code=code.value[0], message="wait", details=[packed])
        self.code = code
        self.details = "wait"
        self.trailing_metadata = (("grpc-status-details-bin", status.SerializeToString()),)


class Service:
    def __init__(self, signal, script):
        self.signal = signal
        self.script = script

    def Export(self, request, context):
        answer = self.script.next()
        headers = dict(context.invocation_metadata())
        # Decoded by gRPC already; made anew to look for what is not defined.
        raw = request.SerializeToString()
        say({"via": "grpc", "signal": self.signal, "answer": answer, "headers": headers} | message(self.signal, raw))
        name, _, seconds = answer.partition(":")
        if answer == "hang":
            over.wait(HANG)
        elif name.isupper():
            code = grpc.StatusCode[name]
            if seconds:
                context.abort_with_status(Details(code, seconds))
            context.abort(code, "no room")
        return response(self.signal, answer)


def serve_grpc(scripts, certificate):
    server = grpc.server(futures.ThreadPoolExecutor(4))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Service("traces", scripts["traces"]), server)
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(Service("metrics", scripts["metrics"]), server)
    if certificate:
        chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
        credentials = grpc.ssl_server_credentials([(certificate.private_key_pem.bytes(), chain)])
        port = server.add_secure_port("127.0.0.1:0", credentials)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--tls")
    arguments.add_argument("--traces", default="")
    arguments.add_argument("--metrics", default="")
    arguments = arguments.parse_args()
    certificate = None
    if arguments.tls:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(f"{arguments.tls}/ca.pem")
        certificate = authority.issue_cert("127.0.0.1", "localhost")
    scripts = {"traces": Script(arguments.traces), "metrics": Script(arguments.metrics)}
    Handler.scripts = scripts
    http_port = serve_http(certificate)
    _server, grpc_port = serve_grpc(scripts, certificate)
    say({"ready": {"http": http_port, "grpc": grpc_port}})
    # Whoever started it is gone when its standard input is at its end.
    sys.stdin.read()
    over.set()


main()
