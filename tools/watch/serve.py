#!/usr/bin/env -S python3 -B
"""Serves one page that draws the Grafana dashboard's panels from a Prometheus server, without Grafana.

    tools/watch/serve.py PROMETHEUS_URL [--port N] [--ready-file FILE]

On 127.0.0.1 alone. The page needs nothing from elsewhere; what it asks of Prometheus goes through here, reading queries only.
"""

import argparse
import http.server
import os
import pathlib
import signal
import sys
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
FILES = {
    "/": (HERE / "page.html", "text/html; charset=utf-8"),
    "/dashboard.json": (HERE.parents[1] / "metrics/dashboards/jirapool.json", "application/json"),
}
ASKED = ("/api/v1/query", "/api/v1/query_range", "/api/v1/alerts")
# All that the page runs stands in itself, and it talks to nobody else.
POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'"


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30
    prometheus = ""
    hosts = ()

    def do_GET(self):
        path = self.path.split("?")[0]
        if self.headers.get("Host") not in self.hosts:
            # A name that somebody else lets point here: their page must not read this one.
            self.answer(421, "text/plain", b"ask for this address by its number\n")
        elif path in FILES:
            file, kind = FILES[path]
            self.answer(200, kind, file.read_bytes())
        elif path in ASKED:
            self.answer(*self.ask(self.path))
        else:
            self.answer(404, "text/plain", b"nothing here\n")

    def ask(self, target):
        try:
            with urllib.request.urlopen(self.prometheus + target, timeout=20) as answer:
                return answer.status, "application/json", answer.read()
        except urllib.error.HTTPError as e:
            return e.code, e.headers.get("Content-Type", "text/plain"), e.read()
        except OSError:
            return 502, "text/plain", b"Prometheus does not answer\n"

    def answer(self, status, kind, body):
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store"),
                            ("Content-Security-Policy", POLICY), ("X-Content-Type-Options", "nosniff")):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        # A browser that goes away in the middle is nothing to tell.
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    arguments.add_argument("prometheus", help="e.g. http://127.0.0.1:9090")
    arguments.add_argument("--port", type=int, default=0, help="0: any free one")
    arguments.add_argument("--ready-file", help="where the page's address is written when it is there")
    options = arguments.parse_args()
    Page.prometheus = options.prometheus.rstrip("/")
    try:
        server = Server(("127.0.0.1", options.port), Page)
    except OSError as e:
        print(f"watch: port {options.port}: {e.strerror}", file=sys.stderr)
        return 2
    port = server.server_address[1]
    Page.hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
    address = f"http://127.0.0.1:{port}/"
    if options.ready_file:
        pathlib.Path(options.ready_file + ".new").write_text(address)
        os.replace(options.ready_file + ".new", options.ready_file)
    else:
        print(address, flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
