"""Counts its visitors in Redis."""
import http.server

import redis

store = redis.Redis(host="redis", port=6379)


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = f"Hello World! I have been seen {store.incr('hits')} times.\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


http.server.ThreadingHTTPServer(("", 5000), Page).serve_forever()
