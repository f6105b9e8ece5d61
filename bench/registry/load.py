#!/usr/bin/env python3
"""Reads a blob again and again and throws the bytes away inside the kernel, so that the server is measured, not the client.

usage: load.py HOST:PORT PATH STREAMS READS
Each of STREAMS processes reads READS times over one connection. Prints bytes per second of all together.
"""
import os
import socket
import sys
import time

PIECE = 1 << 20


def read_again(address, path, reads):
    host, port = address.rsplit(":", 1)
    tcp = socket.create_connection((host, int(port)))
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    untouched = bytearray(PIECE)
    for _ in range(reads):
        tcp.sendall(f"GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += tcp.recv(1)
        if b" 200 " not in head.split(b"\r\n")[0]:
            sys.exit(head.decode())
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
        left = int(fields[b"content-length"])
        while left:
            got = tcp.recv_into(untouched, min(left, PIECE), socket.MSG_TRUNC)
            if not got:
                sys.exit("the connection broke")
            left -= got
    return int(fields[b"content-length"]) * reads


def main():
    address, path, streams, reads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    began = time.monotonic()
    children = []
    for _ in range(streams):
        child = os.fork()
        if child == 0:
            read_again(address, path, reads)
            os._exit(0)
        children.append(child)
    for child in children:
        if os.waitpid(child, 0)[1]:
            sys.exit("a stream failed")
    took = time.monotonic() - began
    size = int(os.environ["BLOB_BYTES"])
    print(size * reads * streams / took)


main()
