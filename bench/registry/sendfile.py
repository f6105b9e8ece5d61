#!/usr/bin/env python3
"""The floor: a program that does nothing but `sendfile` one file to whoever asks, a thread for each connection, no HTTP beyond a head.

usage: sendfile.py PORT FILE
"""
import os
import socket
import sys
import threading


def serve(tcp, path):
    file = os.open(path, os.O_RDONLY)
    size = os.fstat(file).st_size
    while True:
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            got = tcp.recv(65536)
            if not got:
                return
            request += got
        tcp.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        sent = 0
        while sent < size:
            sent += os.sendfile(tcp.fileno(), file, sent, size - sent)


listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    client, _ = listener.accept()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=serve, args=(client, sys.argv[2]), daemon=True).start()
