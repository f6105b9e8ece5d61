#!/bin/sh
# Runs in the guest (see run.sh) on a kernel that was booted with SELinux: labels of processes, roots, mounts and volumes, and
# what a policy in force does with them. The policy is selinux.cil: the distribution's has no types for containers.
. /begin.sh
run() { gantry run --rm --network none "$@" 2>&1; }
label_of() { getfattr --absolute-names --only-values -h -n security.selinux "$1" | tr -d '\0'; }
own="cat /proc/self/attr/current"

mount -t selinuxfs selinuxfs /sys/fs/selinux || { echo "FAILED: the kernel was not booted with SELinux"; exit 1; }
launch --selinux-enabled
lacks "without a policy it is told" name=selinux "$(gantry info -f '{{.SecurityOptions}}')"
has "without a policy it is a warning" "SELinux is not used" "$(gantry info -f '{{.Warnings}}')"
gantry load -q -i /busybox.tar >/dev/null 2>&1
has "a label that cannot be applied is told" "labels asked for are not applied" "$(run --security-opt label=type:spc_t busybox true)"
end

dd if=/policy of=/sys/fs/selinux/load bs=16M 2>/dev/null
check "the policy is loaded" "system_u:system_r:kernel_t:s0" "$(cut -d- -f1 /proc/self/attr/current | tr -d '\0')"
mkdir -p /etc/selinux/default/contexts
printf 'SELINUX=enforcing\nSELINUXTYPE=default\n' >/etc/selinux/config
cat >/etc/selinux/default/contexts/lxc_contexts <<'CONTEXTS'
process = "system_u:system_r:container_t:s0"
content = "system_u:object_r:virt_var_lib_t:s0"
file = "system_u:object_r:container_file_t:s0"
ro_file = "system_u:object_r:container_ro_file_t:s0"
sandbox_lxc_process = "system_u:system_r:container_t:s0"
CONTEXTS
launch
lacks "not asked for, not used" name=selinux "$(gantry info -f '{{.SecurityOptions}}')"
lacks "not asked for, no label" container_t "$(run busybox $own)"
end

echo 1 >/sys/fs/selinux/enforce
launch --selinux-enabled
has "info" name=selinux "$(gantry info -f '{{.SecurityOptions}}')"
gantry run -d --name one --network none busybox sleep 1000 >/dev/null
gantry run -d --name two --network none busybox sleep 1000 >/dev/null
one=$(inspect one '{{.ProcessLabel}}')
has "a process label" "system_u:system_r:container_t:s0:c" "$one"
check "the mount label has the same level" "system_u:object_r:container_file_t:${one#*container_t:}" "$(inspect one '{{.MountLabel}}')"
check "the process has its label" "$one" "$(tr -d '\0' </proc/$(inspect one '{{.State.Pid}}')/attr/current)"
check "and so has an exec session" "$one" "$(gantry exec one $own | tr -d '\0')"
check "and a privileged one" "$one" "$(gantry exec --privileged one $own | tr -d '\0')"
[ "$one" != "$(inspect two '{{.ProcessLabel}}')" ] && echo "ok: levels differ" || { echo "FAILED: two containers have one level"; failed=1; }
mounts=$(gantry exec one cat /proc/mounts)
for place in / /dev /dev/shm /dev/pts; do
    has "context of $place" "container_file_t:${one#*container_t:}" "$(echo "$mounts" | grep " $place ")"
done
hosts=$(inspect one '{{.HostsPath}}')
check "the engine's own files" "$(inspect one '{{.MountLabel}}')" "$(label_of "$hosts")"
check "they can be read" "127.0.0.1" "$(gantry exec one head -n1 /etc/hosts | cut -f1)"
check "the root is writable" yes "$(gantry exec one sh -c 'echo yes >/file && cat /file' 2>&1)"

check "type, role, user, level" "system_u:system_r:spc_t:s0:c5,c6" "$(run --security-opt label=type:spc_t --security-opt label=level:s0:c5,c6 busybox $own | tr -d '\0')"
check "the old form" "system_u:system_r:spc_t:s0:c5,c6" "$(run --security-opt label:type:spc_t --security-opt label:level:s0:c5,c6 busybox $own | tr -d '\0')"
has "filetype" "host_file_t:s0:c7" "$(run --security-opt label=filetype:host_file_t --security-opt label=type:spc_t --security-opt label=level:s0:c7 busybox grep ' / ' /proc/mounts)"
has "disabled: the policy decides" ":spc_t:" "$(run --security-opt label=disable busybox $own)"
has "privileged: the policy decides" ":spc_t:" "$(run --privileged busybox $own)"
has "the host's processes: the policy decides" ":spc_t:" "$(run --pid host busybox $own)"
check "privileged: inspect" " [label=disable]" "$(gantry create --name free --privileged busybox >/dev/null; inspect free '{{.ProcessLabel}} {{.HostConfig.SecurityOpt}}')"
check "who joins has the owner's label" "$one" "$(run --pid container:one busybox $own | tr -d '\0')"
has "no label at all" "bad label option" "$(run --security-opt label=colour busybox true)"
has "no such key" "bad label option" "$(run --security-opt label=colour:red busybox true)"
has "no such type" "setting the security label" "$(run --security-opt label=type:no_such_t busybox true)"
check "SELinux is not seen from within" "" "$(run busybox ls /sys/fs/selinux)"
has "nested sees it" enforce "$(run --security-opt label=nested busybox ls /sys/fs/selinux)"

mkdir -p /srv/data/below
echo secret >/srv/data/below/file
ln -s /etc/passwd /srv/data/link
passwd=$(label_of /etc/passwd)
has "in force: the host's files are not to be written" "Permission denied" "$(run -v /srv/data:/data busybox sh -c 'echo x >/data/new')"
check "Z: one container's own" ok "$(gantry run --name mine --network none -v /srv/data:/data:Z busybox sh -c 'echo x >/data/new && echo ok' 2>&1)"
check "Z: all that is below has its label" "$(inspect mine '{{.MountLabel}}')" "$(label_of /srv/data/below/file)"
check "Z: a link has it, too" "$(inspect mine '{{.MountLabel}}')" "$(label_of /srv/data/link)"
check "Z: a link's target has not" "$passwd" "$(label_of /etc/passwd)"
has "Z: in force: no other container reads it" "Permission denied" "$(run -v /srv/data:/data busybox cat /data/below/file)"
check "z: every container reads it" secret "$(run -v /srv/data:/data:z busybox cat /data/below/file)"
check "z: the level is everybody's" "system_u:object_r:container_file_t:s0" "$(label_of /srv/data/below/file)"
check "z: also the next one, that asks for nothing" secret "$(run -v /srv/data:/data:ro busybox cat /data/below/file)"
has "what the host needs is never relabelled" "SELinux relabeling of /etc is not allowed" "$(run -v /etc:/data:Z busybox true)"
check "volumes are everybody's" kept "$(run -v named:/data busybox sh -c 'echo kept >/data/file'; run -v named:/data busybox cat /data/file)"
check "a tmpfs is its own" ok "$(run --tmpfs /t busybox sh -c 'echo x >/t/file && echo ok')"
check "another image's root" "/m/bin/busybox" "$(run --mount type=image,source=busybox,target=/m busybox sh -c 'ls /m/bin/busybox')"
gantry cp one:/file /srv/copied && check "cp" yes "$(cat /srv/copied)"
gantry commit one committed >/dev/null && check "commit" yes "$(run committed cat /file)"
printf 'FROM busybox\nRUN echo built >/built\n' | gantry build -q -t made - >/dev/null 2>&1
check "a build's step is labelled, its files are not" built "$(run made cat /built)"

kill -9 $engine
wait $engine 2>/dev/null
launch --selinux-enabled
check "the engine's restart leaves labels" "$one" "$(inspect one '{{.ProcessLabel}}')"
check "and the process" "$one" "$(gantry exec one $own | tr -d '\0')"
gantry restart -t 0 one >/dev/null
check "and the container's own" "$one" "$(gantry exec one $own | tr -d '\0')"
check "with what it wrote" yes "$(gantry exec one cat /file)"
gantry rm -f $(gantry ps -aq) >/dev/null
end

launch --selinux-enabled --storage-driver native --data-root /var/lib/native
gantry load -q -i /busybox.tar >/dev/null 2>&1
check "plain copies: the root is labelled" ok "$(run busybox sh -c 'echo x >/file && echo ok')"
check "plain copies: again" ok "$(run busybox sh -c 'echo x >/file && echo ok')"
end
check "no mount is left" 0 "$(grep -c gantry /proc/mounts)"
[ $failed = 0 ] || tail -40 /run/log
exit $failed
