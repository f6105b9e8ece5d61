#!/usr/bin/env python3
"""Writes the inputs that fuzzing begins with: one folder for each target, small and well formed.

usage: fuzz/seeds.py FOLDER
"""
import glob
import hashlib
import io
import json
import os
import struct
import sys
import tarfile

here = os.path.dirname(os.path.abspath(__file__))
folder = sys.argv[1]
digest = "sha256:" + hashlib.sha256(b"{}").hexdigest()


def seed(target, name, data):
    os.makedirs(f"{folder}/{target}", exist_ok=True)
    with open(f"{folder}/{target}/{name}", "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())


def tar(kind, *members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
        for info in members:
            archive.addfile(info, io.BytesIO(b"x" * info.size))
    return out.getvalue()


def member(name, **fields):
    info = tarfile.TarInfo(name)
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def archives():
    members = [member("a/", type=tarfile.DIRTYPE, mode=0o755), member("a/file", size=700), member("a/.wh.gone"), member("a/.wh..wh..opq"),
               member("a/link", type=tarfile.SYMTYPE, linkname="../b"), member("a/hard", type=tarfile.LNKTYPE, linkname="a/file"),
               member("dev", type=tarfile.CHRTYPE, devmajor=1, devminor=3), member("n" * 150 + "/" + "m" * 90, size=3),
               member("x", size=1, pax_headers={"SCHILY.xattr.user.a": "b", "mtime": "1.5", "GNU.sparse.major": "1"})]
    for name, kind in {"pax": tarfile.PAX_FORMAT, "gnu": tarfile.GNU_FORMAT}.items():
        seed("archive", name, tar(kind, *members))
    seed("archive", "ustar", tar(tarfile.USTAR_FORMAT, *members[:6]))

    # Kinds of fuzz_targets/extract.rs: 0 file, 1 hard link, 2 symbolic link, 3 directory, 5 device, 6 pipe.
    seed("extract", "links", b"\x00" + b"\0".join([b"\x03a/b", b"\x02a/up\n../..", b"a/up/outside", b"\x01hard\na/up/outside", b"\x02abs\n/etc", b"\x03abs/x"]))
    seed("extract", "whiteouts", b"\x01" + b"\0".join([b"\x03a", b"\x08a/b", b"\x08a/.wh.b", b"\x08.wh..wh..opq", b"\x08.wh...", b"\x08a/.wh..wh.plnk"]))
    seed("extract", "kinds", b"\x03" + b"\0".join([b"\x05dev", b"\x06pipe", b"\x03pipe", b"\x08../x", b"\x08/y/../../z", b"\x0bdev/x"]))


def images():
    def members(*parts):
        return b"".join(bytes([which]) + struct.pack(">H", len(data)) + data for which, data in parts)

    layer = tar(tarfile.PAX_FORMAT, member("a", size=2))
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["a"]}, "rootfs": {
        "type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}}).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": ["a:b"], "Layers": ["layer.tar"]}]).encode()
    seed("image_archive", "docker", members((4, config), (5, layer), (0, manifest)))
    old = json.dumps({"id": "a", "os": "linux", "architecture": "amd64"}).encode()
    seed("image_archive", "first", members((6, b"1.0"), (7, old), (8, layer), (3, b'{"a":{"b":"a"}}')))

    def described(data, kind):
        return {"mediaType": kind, "digest": "sha256:" + hashlib.sha256(data).hexdigest(), "size": len(data)}

    oci = "application/vnd.oci.image."
    image = json.dumps({"schemaVersion": 2, "mediaType": oci + "manifest.v1+json", "config": described(config, oci + "config.v1+json"),
                        "layers": [described(layer, oci + "layer.v1.tar")]}).encode()
    index = json.dumps({"schemaVersion": 2, "manifests": [described(image, oci + "manifest.v1+json") | {
        "platform": {"os": "linux", "architecture": "amd64"}, "annotations": {"org.opencontainers.image.ref.name": "b"}}]}).encode()
    layout = b'{"imageLayoutVersion":"1.0.0"}'
    seed("image_archive", "layout", members((2, layout), (99, config), (99, layer), (99, image), (1, index)))
    seed("manifest", "image", image)
    seed("manifest", "index", index)
    seed("manifest", "first", json.dumps({"schemaVersion": 1, "name": "a", "fsLayers": [{"blobSum": digest}]}))


def bodies():
    each = [
        {"Memory": 1, "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}, "BlkioWeightDevice": [{"Path": "/a", "Weight": 1}]},
        {"Cmd": ["a"], "Env": ["A=b"], "AttachStdin": True, "DetachKeys": "ctrl-p", "ConsoleSize": [1, 2]}, {"Detach": True, "Tty": None},
        {"Name": "a", "IPAM": {"Config": [{"Subnet": "10.0.0.0/8", "AuxiliaryAddresses": {"a": "10.0.0.1"}}]}, "Options": {}},
        {"Container": "a", "EndpointConfig": {"IPAMConfig": {"IPv4Address": "10.0.0.2"}, "Aliases": ["a"], "GwPriority": 1}},
        {"Container": "a", "Force": True}, {"Interface": "eth1"}, {"Destination": "10.0.0.0/8"},
        {"username": "a", "password": "b", "identitytoken": "c", "serveraddress": "d"},
        {"Name": "a", "DriverOpts": {"type": "tmpfs"}, "Labels": {"a": "b"}},
        {"Image": "a", "Healthcheck": {"Test": ["CMD", "a"], "Interval": 1000000}, "ExposedPorts": {"80/tcp": {}}, "Volumes": {"/a": {}}},
        {"label": ["a=b"], "status": {"running": True}}]
    for number, body in enumerate(each):
        seed("bodies", str(number), bytes([number]) + json.dumps(body).encode())
    seed("create_body", "whole", json.dumps(each[10] | {"HostConfig": each[0] | {
        "Binds": ["a:/b:ro"], "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "1-2"}]}, "LogConfig": {"Type": "json-file", "Config": {}},
        "Mounts": [{"Type": "bind", "Source": "/a", "Target": "/b", "BindOptions": {"Propagation": "rslave"}}], "Ulimits": [{"Name": "a"}],
        "DeviceRequests": [{"Driver": "nvidia", "Count": -1, "Capabilities": [["gpu"]]}], "Tmpfs": {"/t": "size=1m"}},
        "NetworkingConfig": {"EndpointsConfig": {"a": each[4]["EndpointConfig"]}}}))


def texts():
    for path in glob.glob(f"{here}/../examples/**/Dockerfile", recursive=True):
        with open(path, "rb") as file:
            seed("dockerfile", path.split("/")[-2], file.read())
    seed("dockerfile", "words", "# syntax=a\n# escape=`\nARG A=${B:-c}\nFROM --platform=$BUILDPLATFORM a:b AS c\nRUN --mount=type=cache,target=/a \\\n  <<E\nx\nE\n"
                                "COPY --from=c --chown=1:2 --link [\"a b\", \"/c\"]\nHEALTHCHECK --interval=1s CMD a\nONBUILD ADD a b\nEXPOSE 1-2/udp\n")
    for path in glob.glob(f"{here}/../examples/**/*.y*ml", recursive=True):
        with open(path, "rb") as file:
            seed("compose_file", path.replace("/", "-")[-40:], file.read())
    seed("compose_file", "words", "name: a\nx-a: &a {image: b}\nservices:\n  a: {<<: *a, ports: ['1-2:3-4/udp'], extends: {service: b}}\n  b:\n    build: .\n"
                                  "    deploy: {replicas: 2}\n    depends_on: {c: {condition: service_healthy}}\n  c: {image: 'x${A:-b}', volumes: ['v:/v:ro']}\nvolumes: {v: }\n")
    for number, text in enumerate(["${A:-${SET:?no}}$$ $EMPTY ${DOLLAR+x}", "A=b\nexport C='d $E'\nF=\"g\\n${SET}\" # h\n"]):
        seed("interpolate", str(number), text)
    for number, text in enumerate(["ubuntu", "a.b:5000/c/d:e", "c@" + digest, "[::1]:5000/a:b@" + digest]):
        seed("reference", str(number), text)
    for number, text in enumerate(["{{range $i, $x := .List}}{{if gt $x 1}}{{$i}}{{else}}-{{end}}{{end}}", "{{json .Map}}{{index .Map \"a\"}}",
                                   "{{with .Name}}{{printf \"%-5.2s|%q\" . .}}{{end}}", "{{define \"a\"}}{{.}}{{end}}{{template \"a\" .Name}}{{- /* c */ -}}"]):
        seed("template", str(number), text)


def frames():
    for number, body in enumerate([b'{"op":"start"}', b'{"op":"signal","signal":9,"session":"a","all":true}', b"{}"]):
        seed("shim_frame", str(number), struct.pack(">I", len(body)) + body)
        seed("shim_frame", f"{number}-little", struct.pack("<I", len(body)) + body)


def wire():
    put = (8 * 2 + 1).to_bytes(1, "big")
    post = (8 * 3 + 1).to_bytes(1, "big")
    get = b"\x01"
    oci = "application/vnd.oci.image.manifest.v1+json"
    seed("requests", "blob", post + f"v2/a/blobs/uploads/?digest={digest}\ncontent-type: application/octet-stream\n{{}}".encode())
    seed("requests", "manifest", put + f"v2/a/manifests/b\ncontent-type: {oci}\n".encode() + json.dumps({
        "schemaVersion": 2, "mediaType": oci, "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest, "size": 2},
        "layers": [], "subject": {"mediaType": oci, "digest": digest, "size": 2}}).encode())
    seed("requests", "range", get + f"v2/a/blobs/{digest}\nrange: bytes=0-0,1-\rif-none-match: \"x\"\n".encode())
    seed("requests", "mount", post + f"v2/b/blobs/uploads/?mount={digest}&from=a\n\n".encode())
    seed("requests", "list", get + b"v2/a/tags/list?n=1&last=a\naccept: application/json\n")
    seed("requests", "catalog", get + b"v2/_catalog?n=2\nauthorization: Basic YTpi\n")
    seed("requests", "referrers", get + f"v2/a/referrers/{digest}?artifactType=b\n\n".encode())
    seed("requests", "search", get + b"v1/search?q=a%20b&n=1&page=2\n\n")
    seed("requests", "start", post + b"v2/a/blobs/uploads/\n\n")
    seed("requests", "raw", b"\x00PATCH /v2/a/blobs/uploads/x HTTP/1.1\r\nhost: x\r\ncontent-range: 0-1\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    seed("answers", "login", b"\x00" + b'401 No\nwww-authenticate: Bearer realm="http://127.0.0.1:PORT/t",service="a",scope="b"\n\n----\n200 OK\n\n{"token":"a"}----\n'
                             b'200 OK\nlink: </v2/a/b/tags/list?n=1&last=x>; rel="next"\n\n{"tags":["x"]}----\n200 OK\n\n{"tags":["y"]}')
    seed("answers", "digest", b"\x01" + f"200 OK\ndocker-content-digest: {digest}\ncontent-type: {oci}\ncontent-length: 2\n\n".encode())
    seed("answers", "later", b"\x02" + b"429 Later\nretry-after: 0\n\n{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"a\"}]}----\n307 There\nlocation: http://127.0.0.1:PORT/x\n\n")
    seed("answers", "manifest", b"\x03" + f"200 OK\ncontent-type: {oci}\n\n".encode() + json.dumps({
        "schemaVersion": 2, "config": {"mediaType": "a", "digest": digest, "size": 2}, "layers": []}).encode())


for part in (archives, images, bodies, texts, frames, wire):
    part()
