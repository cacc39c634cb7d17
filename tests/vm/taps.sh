#!/bin/sh
# taps.sh COMMAND...: in a network namespace of its own, so that the host has nothing of
# it: two taps of several queues, on a bridge that sends every frame on. A card with more
# than one queue needs a tap behind it.
set -e
for tap in tap0 tap1; do
	ip tuntap add dev $tap mode tap multi_queue
done
echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6
echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
ip link add br0 type bridge ageing_time 0 mcast_snooping 0
for tap in tap0 tap1; do
	ip link set $tap master br0 up
done
ip link set br0 up
exec "$@"
