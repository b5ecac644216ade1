#!/usr/bin/env bash
# The machine that a node runs on: namespaces and control groups of its own. The network is the caller's.
#
#   machine.sh start LOWER FOLDER PROGRAMS IMAGES   starts it and stays; prints "ready" when it is up
#   machine.sh enter PID FOLDER COMMAND...          runs a command in it; PID is that of its process 1
#   machine.sh clear FOLDER                         removes its control groups, when it is gone
#   machine.sh try FOLDER                           fails, saying why, where none can be started below this empty folder
#
# LOWER is a root filesystem, which is only read; what is written goes below FOLDER, which the machine sees as /node.
# PROGRAMS is its /opt/cluster, IMAGES its /images. A SIGKILL of process 1 ends everything in it.
set -euo pipefail

# The folders of the machine's control group, below our own: one for each hierarchy.
groups_of() {
  local name controllers path
  name=kruntimes-node-$(basename "$(dirname "$1")")
  while IFS=: read -r _ controllers path; do
    case $controllers in
      '')
        # Of the second kind, only where there is no first: its root alone may have processes beside groups.
        ! [ -e /sys/fs/cgroup/cgroup.controllers ] || echo "/sys/fs/cgroup/$name"
        ;;
      *) echo "/sys/fs/cgroup/${controllers#name=}${path%/}/$name" ;;
    esac
  done </proc/self/cgroup
}

join_groups() {
  local group
  for group in $(groups_of "$1"); do
    if ! [ -d "$group" ]; then
      mkdir "$group"
      [ ! -e "$group/cpuset.cpus" ] || [ -e "$group/cgroup.controllers" ] || {
        cat "$group/../cpuset.cpus" >"$group/cpuset.cpus"
        cat "$group/../cpuset.mems" >"$group/cpuset.mems"
      }
    fi
    if [ -d "$group/init" ]; then echo $$ >"$group/init/cgroup.procs"; else echo $$ >"$group/cgroup.procs"; fi
  done
}

case $1 in
  start)
    join_groups "$3"
    exec unshare --mount --uts --ipc --pid --cgroup --fork --kill-child --propagation private \
      bash "${BASH_SOURCE[0]}" inside "${@:2}"
    ;;
  enter)
    join_groups "$3"
    exec nsenter --target "$2" --mount --uts --ipc --pid --cgroup --root --wd=/ -- "${@:4}"
    ;;
  clear)
    for group in $(groups_of "$2"); do
      # Deepest first; a process that has just been killed may need a moment to leave.
      for _ in $(seq 50); do
        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
        [ -d "$group" ] || break
        sleep 0.1
      done
    done
    exit
    ;;
  try)
    for group in $(groups_of "$2"); do
      mkdir "$group" && rmdir "$group"
    done
    exec unshare --mount --net --uts --ipc --pid --cgroup --fork --kill-child --propagation private \
      bash "${BASH_SOURCE[0]}" tried "$2"
    ;;
  tried)
    mkdir -p "$2"/{lower,upper,work,root}
    mount -t overlay overlay -o "lowerdir=$2/lower,upperdir=$2/upper,workdir=$2/work" "$2/root"
    mkdir "$2/root/proc"
    mount -t proc proc "$2/root/proc"
    ip link add node0 type bridge
    exit
    ;;
  inside) ;;
  *)
    sed -n '2,11s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac

lower=$2 folder=$3 programs=$4 images=$5
root=$folder/root
hostname node-1
mkdir -p "$folder"/{upper,work,root,var-lib}
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$folder/upper,workdir=$folder/work" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir "$root"/dev/{pts,shm} "$root"/{node,images,.old} "$root/opt/cluster"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
for device in null zero full random urandom tty; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
# The kubelet looks for the kernel's complaints about memory: there are none.
: >"$folder/kmsg"
touch "$root/dev/kmsg"
mount --bind "$folder/kmsg" "$root/dev/kmsg"
mount --bind "$folder" "$root/node"
mount --bind -o ro "$programs" "$root/opt/cluster"
mount --bind -o ro "$images" "$root/images"

# No overlay below: containerd's snapshots are overlays themselves.
cp -a "$root/var/lib/." "$folder/var-lib/"
mount --bind "$folder/var-lib" "$root/var/lib"

if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
  # A group with members cannot divide its resources.
  mkdir "$root/sys/fs/cgroup/init"
  echo $$ >"$root/sys/fs/cgroup/init/cgroup.procs"
  for controller in $(cat "$root/sys/fs/cgroup/cgroup.controllers"); do
    echo "+$controller" >"$root/sys/fs/cgroup/cgroup.subtree_control"
  done
else
  mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
  while IFS=: read -r _ controllers _; do
    [ -n "$controllers" ] || continue
    mkdir "$root/sys/fs/cgroup/${controllers#name=}"
    case $controllers in
      name=*) mount -t cgroup -o "none,$controllers" cgroup "$root/sys/fs/cgroup/${controllers#name=}" ;;
      *) mount -t cgroup -o "$controllers" cgroup "$root/sys/fs/cgroup/$controllers" ;;
    esac
  done </proc/self/cgroup
fi

# What the kubelet asks of the whole kernel: copies that are so already.
while read -r name value; do
  echo "$value" >"$folder/$name"
  mount --bind "$folder/$name" "$root/proc/sys/${name//.//}"
done <<'SETTINGS'
vm.overcommit_memory 1
vm.panic_on_oom 0
kernel.panic 10
kernel.panic_on_oops 1
kernel.keys.root_maxkeys 1000000
kernel.keys.root_maxbytes 25000000
SETTINGS

cd "$root"
pivot_root . .old
umount -l /.old
echo ready
exec >/dev/null 2>&1 </dev/null
# Bash reaps whatever is left to process 1.
while :; do
  sleep 1000000 &
  wait
done
