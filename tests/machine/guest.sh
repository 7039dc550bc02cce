# Runs in the guest as root: the command in the checkout; what it prints and its exit code go to the host.
exec > >(exec cat >/dev/virtio-ports/out) 2>&1 # a pipe, because the port can be opened only once

# qemu's user-mode network has these addresses, always.
ip link set eth0 up
ip address add 10.0.2.15/24 dev eth0
ip route add default via 10.0.2.2
echo "nameserver 10.0.2.3" >/etc/resolv.conf
printf '127.0.0.1 localhost\n127.0.1.1 machine\n' >/etc/hosts

state=$(systemctl is-system-running --wait)
echo "machine: $state after $(cut -d. -f1 /proc/uptime) s, $(uname -sr), $(stat -fc %T /sys/fs/cgroup)," \
  "AppArmor $(cat /sys/module/apparmor/parameters/enabled)"
systemctl --failed --no-legend --no-pager

set -a
. /root/machine/environment
set +a
cd "$CHECKOUT" || exit
git init --quiet --initial-branch main
git add --all
git -c user.name=machine -c user.email=machine@localhost commit --quiet --allow-empty --message "As it is now"
bash -e /root/machine/command
printf '\036machine-exit %d\n' $?
sleep infinity # until the host ends the machine
