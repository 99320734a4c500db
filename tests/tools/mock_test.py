#!/usr/bin/env -S python3 -B
"""The mock as a process, spoken to by curl: tests/tools/mock_test.py BUILD_DIR [NAME...]."""

import json
import os
import sys

from support import Mock, case, check, main, path, run, write

HOST = "https://site-0001.atlassian.net"
INFO = HOST + "/_edge/tenant_info"


def curl(mock, *args):
    """What curl says, and behind it the version of HTTP, the status and the number of connections that it made."""
    r = run(["curl", "-sS", "--cacert", path(mock.name + ".pem"), "--connect-to", f"::127.0.0.1:{mock.port}",
             "-w", "\n%{http_version} %{response_code} %{num_connects}\n", *args])
    body, _, last = r.stdout.rstrip("\n").rpartition("\n")
    return r, body, last.split()


def stats(mock):
    return json.loads(mock.admin("GET", "/stats"))


@case("mock: curl speaks HTTP/2 and HTTP/1.1 with it, as both choose, and gets the same answer")
def versions():
    with Mock("--sites", "2") as mock:
        _, two, how = curl(mock, "--http2", INFO)
        check(how == ["2", "200", "1"], how)
        _, one, how = curl(mock, "--http1.1", INFO)
        check(how == ["1.1", "200", "1"], how)
        check(one == two and "cloudId" in one, one, two)
        seen = stats(mock)
        check(seen["connections"]["http2"] == 1 and seen["connections"]["http1"] == 1, seen)
        check(seen["http2"]["streams"] == 1 and seen["requests"]["bad"] == 0, seen)
    with Mock("--http", "1.1") as mock:
        check(curl(mock, "--http2", INFO)[2] == ["1.1", "200", "1"])
    with Mock("--http", "2") as mock:
        check(curl(mock, "--http2", INFO)[2] == ["2", "200", "1"])
        r, _, how = curl(mock, "--http1.1", INFO)
        check(r.returncode == 35 and how[1] == "000", r)


@case("mock: curl's streams share a connection, and its bodies go both ways")
def streams():
    with Mock("--latency-ms", "100", "--max-body", "100000000") as mock:
        r, _, _ = curl(mock, "-Z", "--parallel-max", "20", "--http2", *[INFO] * 100)
        check(r.returncode == 0 and r.stdout.count("\n2 200 ") == 100, r)
        seen = stats(mock)
        check(seen["http2"]["streams"] == 100 and seen["connections"]["http2"] == 1, seen)
        check(seen["http2"]["streams_max_open"] > 1, seen)
        large = write("large", "x" * 50_000_000)
        _, _, how = curl(mock, "--http2", "--data-binary", "@" + large, HOST + "/rest/api/3/issue")
        check(how[:2] == ["2", "401"], how)
        check(stats(mock)["requests"]["by_status"]["401"] == 1)
        _, body, how = curl(mock, "--http2", "-I", INFO)
        check(how[:2] == ["2", "200"] and "content-length: 50" in body, body)


@case("mock: its admin port plays faults of HTTP/2, which curl gets over or names")
def faults():
    with Mock() as mock:
        mock.admin("POST", "/http2_fault?name=goaway&times=1")
        r, _, how = curl(mock, "--http2", INFO)
        check(r.returncode == 0 and how[1] == "200", r)
        mock.admin("POST", "/http2_fault?name=reset&code=2&times=1")
        r, _, _ = curl(mock, "--http2", INFO)
        check(r.returncode == 92 and "INTERNAL_ERROR" in r.stderr, r)
        mock.admin("POST", "/http2_fault?name=informational&count=5&times=1")
        r, _, how = curl(mock, "--http2", INFO)
        check(r.returncode == 0 and how[1] == "200", r)
        mock.admin("POST", "/http2_fault?name=wrong_hpack&times=1")
        r, _, _ = curl(mock, "--http2", INFO)
        check(r.returncode != 0, r)
        seen = stats(mock)["http2"]
        check(seen["faults"] == {"goaway": 1, "reset": 1, "informational": 1, "wrong_hpack": 1}, seen)
        check(seen["goaways"] == 2 and seen["resets_sent"] == 1, seen)
        mock.admin("POST", "/http2?max_concurrent_streams=1")
        r, _, _ = curl(mock, "-Z", "--http2", *[INFO] * 10)
        check(r.returncode == 0 and r.stdout.count("\n2 200 ") == 10, r)
        check(stats(mock)["http2"]["streams_max_open"] == 1, stats(mock)["http2"])


if __name__ == "__main__":
    sys.exit(main())
