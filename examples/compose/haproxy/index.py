"""Says which machine answers."""
import http.server
import socket


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = f"I am {socket.gethostname()}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


http.server.ThreadingHTTPServer(("", 8000), Page).serve_forever()
