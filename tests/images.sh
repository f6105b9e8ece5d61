#!/bin/bash
# Makes real images from the distribution's packages, as docker-archives that any engine loads: no registry needed.
# usage: tests/images.sh FOLDER [busybox] [debian] [debian-with]        (default: busybox)
set -euo pipefail

folder=$(mkdir -p "$1" && cd "$1" && pwd)
shift
here=$(cd "$(dirname "$0")" && pwd)

busybox() { # 1 MB: a static busybox with all its names
    local root
    root=$(mktemp -d)
    chmod 755 "$root"
    mkdir -p "$root"/{bin,etc,home,proc,root,sys,tmp,usr/bin,usr/sbin,sbin,var/www,dev}
    chmod 1777 "$root/tmp"
    install -m 755 /bin/busybox "$root/bin/busybox"
    local name
    for name in $(/bin/busybox --list); do
        [ "$name" = busybox ] || ln "$root/bin/busybox" "$root/bin/$name"
    done
    printf 'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nwww-data:x:33:33:www-data:/var/www:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n' >"$root/etc/passwd"
    printf 'root:x:0:\ndaemon:x:1:\nadm:x:4:www-data\nwww-data:x:33:\nnogroup:x:65534:\n' >"$root/etc/group"
    tar -C "$root" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf "$folder/busybox.layer" .
    rm -r "$root"
    python3 "$here/archive.py" "$folder/busybox.tar" busybox:latest '["sh"]' "$folder/busybox.layer"
    rm "$folder/busybox.layer"
}

debian() { # 120 MB and more: the distribution's own base system
    mmdebstrap --variant=minbase --mode=root --format=tar --quiet --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --aptopt='Acquire::Languages "none"' \
        "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$folder/debian.layer"
    python3 "$here/archive.py" "$folder/debian.tar" debian:latest '["bash"]' "$folder/debian.layer"
    rm "$folder/debian.layer"
}

debian-with() { # the same, with the packages that the light examples install: they are then built without a network
    mmdebstrap --variant=minbase --mode=root --format=tar --quiet --dpkgopt='path-exclude=/usr/share/man/*' \
        --include=python3-minimal,libpython3-stdlib,python3-redis,redis-server,haproxy \
        --customize-hook='rm -rf "$1"/etc/apt/sources.list* "$1"/var/lib/apt/lists/*' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --aptopt='Acquire::Languages "none"' \
        "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$folder/debian-with.layer"
    python3 "$here/archive.py" "$folder/debian-with.tar" debian:latest '["bash"]' "$folder/debian-with.layer"
    rm "$folder/debian-with.layer"
}

for image in "${@:-busybox}"; do
    [ -s "$folder/$image.tar" ] || "$image"
    echo "$folder/$image.tar"
done
