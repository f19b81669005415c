"""Reads the text in a scan: POST an image, get its text. Python's standard library and Debian's tesseract."""

import http.server
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
from urllib.parse import parse_qs, urlsplit

MAX_BYTES = 20 * 2**20
TIMEOUT_S = 50
CHUNK = 64 * 1024
FORMATS = {"text": ("txt", "text/plain; charset=utf-8"), "tsv": ("tsv", "text/tab-separated-values; charset=utf-8")}


class Refusal(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self):
        if urlsplit(self.path).path == "/healthz":
            self.answer(200, "text/plain; charset=utf-8", b"ok\n")
        else:
            self.answer(405, "text/plain; charset=utf-8", b"send a scan as the body of a POST\n")

    def do_POST(self):
        try:
            options = read_options(self.path)
            with tempfile.NamedTemporaryFile(prefix="scan-") as scan:
                self.receive(scan)
                self.recognize(scan.name, options)
        except Refusal as refusal:
            # What is left of a refused body is not read, so the connection cannot be used again.
            self.close_connection = True
            self.answer(refusal.status, "text/plain; charset=utf-8", f"{refusal}\n".encode())
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def receive(self, scan):
        """Copies the body to a file, chunk by chunk, whether it has a length or is chunked."""
        total = 0
        for chunk in self.body():
            total += len(chunk)
            if total > MAX_BYTES:
                raise Refusal(413, f"the scan is larger than {MAX_BYTES // 2**20} MiB")
            scan.write(chunk)
        if total == 0:
            raise Refusal(400, "the body is empty; send a scan")
        scan.flush()

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while (size := self.chunk_size()) > 0:
                while size > 0:
                    data = self.rfile.read(min(size, CHUNK))
                    if not data:
                        raise Refusal(400, "the body ended early")
                    size -= len(data)
                    yield data
                self.rfile.readline(8)
            while self.rfile.readline(1024).strip():
                pass
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left > 0:
            data = self.rfile.read(min(left, CHUNK))
            if not data:
                raise Refusal(400, "the body ended early")
            left -= len(data)
            yield data

    def chunk_size(self):
        try:
            return int(self.rfile.readline(64).split(b";")[0], 16)
        except ValueError:
            raise Refusal(400, "the body is not well-formed") from None

    def recognize(self, path, options):
        """Runs tesseract and sends what it prints as it prints it."""
        suffix, content_type = FORMATS[options["format"]]
        command = ["tesseract", path, "-", "-l", options["lang"], "--psm", options["psm"], "--dpi", options["dpi"], suffix]
        environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=environment
            )
            watchdog = threading.Timer(TIMEOUT_S, process.kill)
            watchdog.start()
            try:
                first = process.stdout.read1(CHUNK)
                if not first and process.wait() != 0:
                    errors.seek(0)
                    reason = errors.read(400).decode(errors="replace").strip().split("\n")[-1]
                    raise Refusal(415, f"this is not a scan that can be read: {reason}")
                self.send_response(200)
                self.send_header("Content-Type", content_type)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                while first:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(first), first))
                    first = process.stdout.read1(CHUNK)
                if process.wait() != 0:
                    self.close_connection = True
                    return
                self.wfile.write(b"0\r\n\r\n")
            finally:
                watchdog.cancel()
                process.kill()
                process.wait()
                process.stdout.close()

    def answer(self, status, content_type, body):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format, *args):
        if "/healthz" not in self.path:
            super().log_message(format, *args)


def read_options(target):
    query = parse_qs(urlsplit(target).query, keep_blank_values=True)
    known = {"lang": "eng", "psm": "3", "dpi": "300", "format": "text"}
    for name, values in query.items():
        if name not in known:
            raise Refusal(400, f'"{name[:40]}" is no option; there are {", ".join(known)}')
        known[name] = values[-1]
    if not re.fullmatch(r"[a-z_]{3,20}(\+[a-z_]{3,20}){0,3}", known["lang"]):
        raise Refusal(400, 'lang must be languages of tesseract joined by "+", such as eng')
    if not re.fullmatch(r"[0-9]|1[0-3]", known["psm"]):
        raise Refusal(400, "psm must be a number from 0 to 13")
    if not re.fullmatch(r"[1-9][0-9]{1,3}", known["dpi"]):
        raise Refusal(400, "dpi must be a number from 10 to 9999")
    if known["format"] not in FORMATS:
        raise Refusal(400, f'format must be {" or ".join(FORMATS)}')
    return known


def main():
    if shutil.which("tesseract") is None:
        raise SystemExit("tesseract is not installed")
    server = http.server.ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Handler)
    server.daemon_threads = False
    # SIGTERM means drain: accept nothing more, finish what runs, end.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.05)
    server.server_close()


main()
