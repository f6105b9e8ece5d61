#!/bin/bash
# Boots the distribution's own kernel in an emulated machine (cgroup v2 with all controllers, AppArmor) and runs a script in it.
# Needs no hardware help; a boot takes some seconds. The script's exit code is this script's.
# A program that is handed over brings its libraries; a folder comes whole.
# GANTRY_GUEST_KERNEL is said to the kernel beside what it needs (security=selinux).
# usage: tests/guest/run.sh SCRIPT [FILE=/path/in/guest ...]
set -euo pipefail

script=$1
shift
cache=${GANTRY_GUEST_CACHE:-${CARGO_TARGET_DIR:-$PWD/target}/guest}
mkdir -p "$cache"

if ! command -v qemu-system-x86_64 >/dev/null || ! command -v cpio >/dev/null || ! command -v depmod >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends qemu-system-x86 cpio kmod >/dev/null
fi
if ! ls "$cache"/kernel/boot/vmlinuz-* >/dev/null 2>&1; then
    package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends:/ { print $2; exit }')
    (cd "$cache" && apt-get download -qq "$package" 2>/dev/null && dpkg -x "$package"_*.deb kernel && rm "$package"_*.deb)
fi
kernel=$(ls "$cache"/kernel/boot/vmlinuz-*)
version=${kernel##*/vmlinuz-}

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,dev,etc,proc,sys,run,tmp,root,lib/modules,usr/bin,usr/sbin,sbin,var/lib}
cp /bin/busybox "$root/bin/busybox"
for name in $(/bin/busybox --list); do
    [ "$name" = busybox ] || ln -s busybox "$root/bin/$name"
done
printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n' >"$root/etc/passwd"
printf 'root:x:0:\nnogroup:x:65534:\n' >"$root/etc/group"
cp "$script" "$root/script"
cp "$(dirname "$0")/begin.sh" "$root/begin.sh"
chmod +x "$root/script"
for pair in "$@"; do
    mkdir -p "$root$(dirname "${pair#*=}")"
    cp -rL "${pair%%=*}" "$root${pair#*=}"
    if [ -f "${pair%%=*}" ] && [ -x "${pair%%=*}" ]; then
        for library in $(ldd "${pair%%=*}" 2>/dev/null | grep -o '/[^ ]*'); do
            mkdir -p "$root$(dirname "$library")"
            cp -L "$library" "$root$library"
        done
    fi
done

# The modules that containers need, each with what it depends on, in an order that insmod can follow.
modules="$cache/kernel/lib/modules/$version"
[ -e "$modules/modules.dep" ] || depmod -b "$cache/kernel" "$version"
filters=$(grep -oE '/nft_[a-z0-9_]+\.ko' "$modules/modules.dep" | sort -u | sed 's|^/||; s|\.ko$||')
for module in overlay bridge veth nf_tables nf_conntrack $filters br_netfilter macvlan ipvlan 8021q sctp dummy xfs loop; do
    line=$(grep -E "/$module\.ko(\.xz|\.zst)?:" "$modules/modules.dep" || true)
    [ -n "$line" ] || continue
    for file in $(echo "${line#*:}" | tr ' ' '\n' | tac) "${line%%:*}"; do
        name=$(basename "${file%%.ko*}")
        [ -e "$root/lib/modules/$name.ko" ] && continue
        case $file in
        *.xz) xz -dc "$modules/$file" >"$root/lib/modules/$name.ko" ;;
        *) cp "$modules/$file" "$root/lib/modules/$name.ko" ;;
        esac
        echo "$name" >>"$root/lib/modules/order"
    done
done

cat >"$root/init" <<'INIT'
#!/bin/sh
# The first root cannot be left by pivot_root; a tmpfs takes its place.
if [ ! -e /second ]; then
    mkdir /second-root
    mount -t tmpfs -o size=80% tmpfs /second-root
    for entry in *; do [ $entry = second-root ] || cp -a /$entry /second-root/; done
    touch /second-root/second
    exec switch_root /second-root /init
fi
export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /dev/mqueue
mount -t mqueue mqueue /dev/mqueue
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t securityfs securityfs /sys/kernel/security 2>/dev/null
for module in $(cat /lib/modules/order 2>/dev/null); do insmod /lib/modules/$module.ko 2>/dev/null; done
# Controllers reach children only where a cgroup has no processes of its own.
mkdir /sys/fs/cgroup/init
echo $$ >/sys/fs/cgroup/init/cgroup.procs
for controller in $(cat /sys/fs/cgroup/cgroup.controllers); do echo +$controller >/sys/fs/cgroup/cgroup.subtree_control; done
ip link set lo up
echo "guest: $(uname -r), controllers: $(cat /sys/fs/cgroup/cgroup.controllers)"
/script
echo "guest-exit: $?"
poweroff -f
INIT
chmod +x "$root/init"
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$cache/initrd.$$"
output="$cache/output.$$"
timeout "${GANTRY_GUEST_SECONDS:-600}" qemu-system-x86_64 -M q35,accel=tcg -cpu max -m 2048 -smp 2 -no-reboot -nographic -nodefaults \
    -serial stdio -kernel "$kernel" -initrd "$cache/initrd.$$" \
    -append "console=ttyS0 quiet loglevel=3 panic=-1 no_timer_check systemd.unified_cgroup_hierarchy=1 ${GANTRY_GUEST_KERNEL:-}" </dev/null | sed -u 's|\r||' | tee "$output"
rm -f "$cache/initrd.$$"
code=$(sed -n 's/^guest-exit: //p' "$output" | tail -1)
rm -f "$output"
exit "${code:-99}"
