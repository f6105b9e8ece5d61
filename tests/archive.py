"""Puts layers into a docker-archive that `docker load` reads.

usage: archive.py OUT.tar NAME:TAG CMD-AS-JSON LAYER.tar [LAYER.tar ...]
"""
import hashlib
import io
import json
import sys
import tarfile


def main(out, name, cmd, *layers):
    digests = []
    for layer in layers:
        digest = hashlib.sha256()
        with open(layer, "rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        digests.append(digest.hexdigest())
    machine = {"x86_64": "amd64", "aarch64": "arm64"}
    import platform
    config = {
        "architecture": machine.get(platform.machine(), platform.machine()),
        "config": {"Cmd": json.loads(cmd), "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]},
        "created": "2026-01-01T00:00:00Z",
        "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "tests/images.sh"} for _ in layers],
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest for digest in digests]},
    }
    config = json.dumps(config).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    names = [digest + "/layer.tar" for digest in digests]
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": names}]).encode()
    with tarfile.open(out + ".part", "w") as tar:
        def put(path, data):
            info = tarfile.TarInfo(path)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        put(config_name, config)
        for path, layer in zip(names, layers):
            tar.add(layer, path)
        put("manifest.json", manifest)
    import os
    os.rename(out + ".part", out)


main(*sys.argv[1:])
