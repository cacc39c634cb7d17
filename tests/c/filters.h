/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Filter expressions for the translation of classic BPF: what libpcap's language has,
 * each where it can go wrong. Those that a libpcap does not know are passed over. */
#ifndef FILTERS_H
#define FILTERS_H

static const char *const filters[] = {
	"ip",
	"ip6",
	"arp",
	"rarp",
	"tcp",
	"udp",
	"sctp",
	"icmp",
	"icmp6",
	"igmp",
	"esp",
	"ah",
	"pim",
	"vrrp",
	"igrp",
	"stp",
	"iso",
	"ipx",
	"aarp",
	"atalk",
	"decnet",
	"lat",
	"moprc",
	"mopdl",
	"netbeui",
	"llc",
	"clnp",
	"esis",
	"isis",
	"ether proto 0x88cc",
	"not ip",
	"not ip6",
	"not tcp",
	"not (tcp or udp)",
	"ip or ip6",
	"ip and not ip6",
	"not (ip or arp)",
	"tcp or udp or sctp",
	"ip and (tcp or udp)",
	"ip6 and (tcp or udp)",
	"broadcast",
	"multicast",
	"ether broadcast",
	"ether multicast",
	"ip multicast",
	"ip6 multicast",
	"ether host ff:ff:ff:ff:ff:ff",
	"port 22",
	"port 53",
	"port 80",
	"port 443",
	"port 5353",
	"port 0",
	"port 65535",
	"portrange 50-60",
	"portrange 1024-65535",
	"tcp port 22",
	"udp port 53",
	"sctp port 80",
	"udp portrange 53-60",
	"ip6 and tcp port 443",
	"ip and udp port 53",
	"not port 22",
	"host 10.0.0.1",
	"host 192.168.1.2",
	"net 10.0.0.0/8",
	"net 192.168.0.0/16",
	"net 10.0.0.0 mask 255.255.255.128",
	"host fe80::1",
	"net 2001:db8::/32",
	"net fe80::/10",
	"ip host 10.0.0.1",
	"arp host 10.0.0.1",
	"ip6 host 2001:db8::2",
	"ether host 02:00:00:00:00:01",
	"src port 22",
	"src port 53",
	"src port 80",
	"src port 443",
	"src port 5353",
	"src port 0",
	"src port 65535",
	"src portrange 50-60",
	"src portrange 1024-65535",
	"tcp src port 22",
	"udp src port 53",
	"sctp src port 80",
	"udp src portrange 53-60",
	"ip6 and tcp src port 443",
	"ip and udp src port 53",
	"not src port 22",
	"src host 10.0.0.1",
	"src host 192.168.1.2",
	"src net 10.0.0.0/8",
	"src net 192.168.0.0/16",
	"src net 10.0.0.0 mask 255.255.255.128",
	"src host fe80::1",
	"src net 2001:db8::/32",
	"src net fe80::/10",
	"ip src host 10.0.0.1",
	"arp src host 10.0.0.1",
	"ip6 src host 2001:db8::2",
	"ether src host 02:00:00:00:00:01",
	"dst port 22",
	"dst port 53",
	"dst port 80",
	"dst port 443",
	"dst port 5353",
	"dst port 0",
	"dst port 65535",
	"dst portrange 50-60",
	"dst portrange 1024-65535",
	"tcp dst port 22",
	"udp dst port 53",
	"sctp dst port 80",
	"udp dst portrange 53-60",
	"ip6 and tcp dst port 443",
	"ip and udp dst port 53",
	"not dst port 22",
	"dst host 10.0.0.1",
	"dst host 192.168.1.2",
	"dst net 10.0.0.0/8",
	"dst net 192.168.0.0/16",
	"dst net 10.0.0.0 mask 255.255.255.128",
	"dst host fe80::1",
	"dst net 2001:db8::/32",
	"dst net fe80::/10",
	"ip dst host 10.0.0.1",
	"arp dst host 10.0.0.1",
	"ip6 dst host 2001:db8::2",
	"ether dst host 02:00:00:00:00:01",
	"src or dst port 22",
	"src or dst port 53",
	"src or dst port 80",
	"src or dst port 443",
	"src or dst port 5353",
	"src or dst port 0",
	"src or dst port 65535",
	"src or dst portrange 50-60",
	"src or dst portrange 1024-65535",
	"tcp src or dst port 22",
	"udp src or dst port 53",
	"sctp src or dst port 80",
	"udp src or dst portrange 53-60",
	"ip6 and tcp src or dst port 443",
	"ip and udp src or dst port 53",
	"not src or dst port 22",
	"src or dst host 10.0.0.1",
	"src or dst host 192.168.1.2",
	"src or dst net 10.0.0.0/8",
	"src or dst net 192.168.0.0/16",
	"src or dst net 10.0.0.0 mask 255.255.255.128",
	"src or dst host fe80::1",
	"src or dst net 2001:db8::/32",
	"src or dst net fe80::/10",
	"ip src or dst host 10.0.0.1",
	"arp src or dst host 10.0.0.1",
	"ip6 src or dst host 2001:db8::2",
	"ether src or dst host 02:00:00:00:00:01",
	"src and dst port 22",
	"src and dst port 53",
	"src and dst port 80",
	"src and dst port 443",
	"src and dst port 5353",
	"src and dst port 0",
	"src and dst port 65535",
	"src and dst portrange 50-60",
	"src and dst portrange 1024-65535",
	"tcp src and dst port 22",
	"udp src and dst port 53",
	"sctp src and dst port 80",
	"udp src and dst portrange 53-60",
	"ip6 and tcp src and dst port 443",
	"ip and udp src and dst port 53",
	"not src and dst port 22",
	"src and dst host 10.0.0.1",
	"src and dst host 192.168.1.2",
	"src and dst net 10.0.0.0/8",
	"src and dst net 192.168.0.0/16",
	"src and dst net 10.0.0.0 mask 255.255.255.128",
	"src and dst host fe80::1",
	"src and dst net 2001:db8::/32",
	"src and dst net fe80::/10",
	"ip src and dst host 10.0.0.1",
	"arp src and dst host 10.0.0.1",
	"ip6 src and dst host 2001:db8::2",
	"ether src and dst host 02:00:00:00:00:01",
	"host 10.0.0.1 and port 53",
	"host 10.0.0.1 and not port 53",
	"src 10.0.0.1 and dst 10.0.0.2",
	"(src 10.0.0.1 or src 10.0.0.2) and udp",
	"net 10 and not host 10.0.0.1",
	"host 10.0.0.1 or host 192.168.1.2 or host fe80::1",
	"port 53 or port 80 or port 443",
	"port 53 and port 80",
	"tcp port 22 or arp or icmp or icmp6",
	"not (arp or icmp or icmp6 or tcp port 22)",
	"udp port 53 and host 10.0.0.1 and ip",
	"src host 10.0.0.1 and tcp dst port 80",
	"ip host 10.0.0.1 and tcp[13] & 2 != 0",
	"vlan",
	"vlan 5",
	"vlan 100",
	"vlan 5 and ip",
	"vlan 5 and udp",
	"vlan and vlan",
	"vlan 5 and vlan 100",
	"vlan and udp port 53",
	"vlan 5 and vlan 100 and udp port 53",
	"vlan and host 10.0.0.1",
	"not vlan",
	"vlan 5 or vlan 100",
	"vlan 0",
	"vlan 4095",
	"vlan and ip6",
	"vlan and arp",
	"vlan and ip6 and tcp",
	"mpls",
	"mpls 16",
	"mpls and ip",
	"mpls 16 and mpls",
	"mpls and udp port 53",
	"pppoed",
	"pppoes",
	"pppoes and ip",
	"pppoes 5",
	"pppoes and tcp port 80",
	"vlan and mpls",
	"vlan 5 and pppoes",
	"udp port 6081",
	"ip proto 17",
	"ip proto \\tcp",
	"ip proto 132",
	"ip6 proto 17",
	"ip6 proto 58",
	"ip protochain 6",
	"ip6 protochain 17",
	"ip6 protochain \\tcp",
	"ip protochain \\udp",
	"proto 17",
	"proto 47",
	"ip proto 51",
	"ip6 proto 44",
	"ether proto 0x0800",
	"ether proto 0x86dd",
	"ether proto 0x88b5",
	"ether proto 0x8100",
	"ether proto \\arp",
	"ip6 protochain 58",
	"len > 64",
	"len < 64",
	"len = 100",
	"len >= 1000",
	"less 64",
	"greater 128",
	"less 100 and udp",
	"greater 200 or arp",
	"len - 14 = ip[2:2]",
	"len > ip[2:2] + 13",
	"ip[0] = 0x45",
	"ip[0:2] > 0x1000",
	"ip[4:4] != 0",
	"ip[1] & 0xf = 0",
	"ip[ip[0] & 7] = 1",
	"tcp[0] = 0x45",
	"tcp[0:2] > 0x1000",
	"tcp[4:4] != 0",
	"tcp[1] & 0xf = 0",
	"tcp[tcp[0] & 7] = 1",
	"udp[0] = 0x45",
	"udp[0:2] > 0x1000",
	"udp[4:4] != 0",
	"udp[1] & 0xf = 0",
	"udp[udp[0] & 7] = 1",
	"icmp[0] = 0x45",
	"icmp[0:2] > 0x1000",
	"icmp[4:4] != 0",
	"icmp[1] & 0xf = 0",
	"icmp[icmp[0] & 7] = 1",
	"ether[0] = 0x45",
	"ether[0:2] > 0x1000",
	"ether[4:4] != 0",
	"ether[1] & 0xf = 0",
	"ether[ether[0] & 7] = 1",
	"ip6[0] = 0x45",
	"ip6[0:2] > 0x1000",
	"ip6[4:4] != 0",
	"ip6[1] & 0xf = 0",
	"ip6[ip6[0] & 7] = 1",
	"arp[0] = 0x45",
	"arp[0:2] > 0x1000",
	"arp[4:4] != 0",
	"arp[1] & 0xf = 0",
	"arp[arp[0] & 7] = 1",
	"icmp6[0] = 0x45",
	"icmp6[0:2] > 0x1000",
	"icmp6[4:4] != 0",
	"icmp6[1] & 0xf = 0",
	"icmp6[icmp6[0] & 7] = 1",
	"sctp[0] = 0x45",
	"sctp[0:2] > 0x1000",
	"sctp[4:4] != 0",
	"sctp[1] & 0xf = 0",
	"sctp[sctp[0] & 7] = 1",
	"rarp[0] = 0x45",
	"rarp[0:2] > 0x1000",
	"rarp[4:4] != 0",
	"rarp[1] & 0xf = 0",
	"rarp[rarp[0] & 7] = 1",
	"igmp[0] = 0x45",
	"igmp[0:2] > 0x1000",
	"igmp[4:4] != 0",
	"igmp[1] & 0xf = 0",
	"igmp[igmp[0] & 7] = 1",
	"ip[0] & 0xf != 5",
	"ip[6:2] & 0x1fff = 0",
	"ip[6:2] & 0x3fff != 0",
	"ip[8] < 64",
	"ip[9] = 17 or ip[9] = 6",
	"ip[2:2] > 576",
	"ip[12:4] = 0x0a000001",
	"ip[16:4] & 0xff000000 = 0x0a000000",
	"tcp[tcpflags] & tcp-syn != 0",
	"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
	"tcp[13] = 18",
	"tcp[12] >> 4 > 5",
	"tcp[2:2] = 80 and tcp[13] & 16 != 0",
	"udp[4:2] > 20",
	"udp[8:4] = 0x01020304",
	"icmp[icmptype] = icmp-echo",
	"icmp[icmptype] != icmp-echoreply",
	"icmp6[icmp6type] = icmp6-neighborsolicit",
	"icmp6[0] = 135",
	"ip6[6] = 17",
	"ip6[6] = 44",
	"ip6[40] = 17",
	"ip6[4:2] > 100",
	"ip6[8:4] = 0x20010db8",
	"ether[0] & 1 = 1",
	"ether[12:2] = 0x0800",
	"ether[14:2] & 0xfff = 5",
	"ether[20:4] > 0x80000000",
	"ether[1000] = 0",
	"ether[60] = 0",
	"ether[1499] = 1",
	"arp[6:2] = 1",
	"arp[14:4] = 0x0a000001",
	"ip[0] + ip[1] = 0x45",
	"ip[8] * 2 > 100",
	"ip[2:2] / 3 > 20",
	"ip[2:2] % 7 = 3",
	"ip[8] - 65 > 5",
	"ip[1] | 1 = 1",
	"ip[4:2] ^ ip[10:2] > 0x100",
	"ip[0] << 2 = 0x114",
	"ip[0] >> 4 = 4",
	"ip[8] / ip[1] = 2",
	"ip[8] % ip[1] = 2",
	"udp[0:2] - udp[2:2] > 100",
	"ip[ip[8] - 60] = 0",
	"ether[ip[8]] = 0",
	"ip[((ip[0] & 0xf) << 2)] = 0",
	"tcp[((tcp[12] & 0xf0) >> 2)] = 0x47",
	"tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420",
	"-ip[8] = 0xffffffc0",
	"ip[8] = -(0 - 64)",
	"ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2) != 0",
	"ether[len - 1] = 0",
	"ether[len - 4:4] = 0",
	"ether[len - 2:4] = 0",
	"ip[ip[0]:2] > ip[1:2]",
	"(ip[8] & 1) * 5 + (ip[9] % 3) = 5",
	"ip[8] << ip[1] > 100",
	"ip[4:4] >> ip[1] > 3",
	"ip[8] - ip[9] > 0x80000000",
	"len % 2 = 0",
	"len * len > 10000",
	"ip[len - 14] = 0",
	"host 127.0.0.1",
	"ether src 02:00:00:00:00:01 and ip",
	"ether dst ff:ff:ff:ff:ff:ff and arp",
	"ether[6:4] = 0x02000000",
	"ip and tcp and port 80 and host 10.0.0.1 and len > 100",
	"not host 10.0.0.1 and not net 192.168.0.0/16 and not arp",
	"(tcp[13] & 7 != 0) and (src net 10.0.0.0/8 or dst net 10.0.0.0/8)",
	"(udp and port 53) or (tcp and (port 80 or port 443)) or icmp",
	"port 1 or port 2 or port 3 or port 4 or port 5 or port 6 or port 7 or port 8 or "
	"port 9 or port 10 or port 11 or port 12 or port 13 or port 14 or port 15 or port"
	" 16 or port 17 or port 18 or port 19 or port 20 or port 21 or port 22 or port 23"
	" or port 24 or port 25 or port 26 or port 27 or port 28 or port 29 or port 30 or"
	" port 31 or port 32 or port 33 or port 34 or port 35 or port 36 or port 37 or "
	"port 38 or port 39 or port 40 or port 41 or port 42 or port 43 or port 44 or "
	"port 45 or port 46 or port 47 or port 48 or port 49 or port 50 or port 51 or "
	"port 52 or port 53 or port 54 or port 55 or port 56 or port 57 or port 58 or "
	"port 59 or port 60 or port 61 or port 62 or port 63 or port 64",
	"host 10.0.0.0 or host 10.0.0.1 or host 10.0.0.2 or host 10.0.0.3 or host "
	"10.0.0.4 or host 10.0.0.5 or host 10.0.0.6 or host 10.0.0.7 or host 10.0.1.8 or "
	"host 10.0.1.9 or host 10.0.1.10 or host 10.0.1.11 or host 10.0.1.12 or host "
	"10.0.1.13 or host 10.0.1.14 or host 10.0.1.15 or host 10.0.2.16 or host "
	"10.0.2.17 or host 10.0.2.18 or host 10.0.2.19 or host 10.0.2.20 or host "
	"10.0.2.21 or host 10.0.2.22 or host 10.0.2.23 or host 10.0.3.24 or host "
	"10.0.3.25 or host 10.0.3.26 or host 10.0.3.27 or host 10.0.3.28 or host "
	"10.0.3.29 or host 10.0.3.30 or host 10.0.3.31 or host 10.0.4.32 or host "
	"10.0.4.33 or host 10.0.4.34 or host 10.0.4.35 or host 10.0.4.36 or host "
	"10.0.4.37 or host 10.0.4.38 or host 10.0.4.39 or host 10.0.5.40 or host "
	"10.0.5.41 or host 10.0.5.42 or host 10.0.5.43 or host 10.0.5.44 or host "
	"10.0.5.45 or host 10.0.5.46 or host 10.0.5.47 or host 10.0.6.48 or host "
	"10.0.6.49 or host 10.0.6.50 or host 10.0.6.51 or host 10.0.6.52 or host "
	"10.0.6.53 or host 10.0.6.54 or host 10.0.6.55 or host 10.0.7.56 or host "
	"10.0.7.57 or host 10.0.7.58 or host 10.0.7.59 or host 10.0.7.60 or host "
	"10.0.7.61 or host 10.0.7.62 or host 10.0.7.63 or host 10.0.8.64 or host "
	"10.0.8.65 or host 10.0.8.66 or host 10.0.8.67 or host 10.0.8.68 or host "
	"10.0.8.69 or host 10.0.8.70 or host 10.0.8.71 or host 10.0.9.72 or host "
	"10.0.9.73 or host 10.0.9.74 or host 10.0.9.75 or host 10.0.9.76 or host "
	"10.0.9.77 or host 10.0.9.78 or host 10.0.9.79 or host 10.0.10.80 or host "
	"10.0.10.81 or host 10.0.10.82 or host 10.0.10.83 or host 10.0.10.84 or host "
	"10.0.10.85 or host 10.0.10.86 or host 10.0.10.87 or host 10.0.11.88 or host "
	"10.0.11.89 or host 10.0.11.90 or host 10.0.11.91 or host 10.0.11.92 or host "
	"10.0.11.93 or host 10.0.11.94 or host 10.0.11.95 or host 10.0.12.96 or host "
	"10.0.12.97 or host 10.0.12.98 or host 10.0.12.99",
	"net 10.0.0.0/16 or net 10.1.0.0/16 or net 10.2.0.0/16 or net 10.3.0.0/16 or net "
	"10.4.0.0/16 or net 10.5.0.0/16 or net 10.6.0.0/16 or net 10.7.0.0/16 or net "
	"10.8.0.0/16 or net 10.9.0.0/16 or net 10.10.0.0/16 or net 10.11.0.0/16 or net "
	"10.12.0.0/16 or net 10.13.0.0/16 or net 10.14.0.0/16 or net 10.15.0.0/16 or net "
	"10.16.0.0/16 or net 10.17.0.0/16 or net 10.18.0.0/16 or net 10.19.0.0/16 or net "
	"10.20.0.0/16 or net 10.21.0.0/16 or net 10.22.0.0/16 or net 10.23.0.0/16 or net "
	"10.24.0.0/16 or net 10.25.0.0/16 or net 10.26.0.0/16 or net 10.27.0.0/16 or net "
	"10.28.0.0/16 or net 10.29.0.0/16 or net 10.30.0.0/16 or net 10.31.0.0/16 or net "
	"10.32.0.0/16 or net 10.33.0.0/16 or net 10.34.0.0/16 or net 10.35.0.0/16 or net "
	"10.36.0.0/16 or net 10.37.0.0/16 or net 10.38.0.0/16 or net 10.39.0.0/16 or net "
	"10.40.0.0/16 or net 10.41.0.0/16 or net 10.42.0.0/16 or net 10.43.0.0/16 or net "
	"10.44.0.0/16 or net 10.45.0.0/16 or net 10.46.0.0/16 or net 10.47.0.0/16 or net "
	"10.48.0.0/16 or net 10.49.0.0/16 and udp",
	"not port 1000 and not port 1001 and not port 1002 and not port 1003 and not port"
	" 1004 and not port 1005 and not port 1006 and not port 1007 and not port 1008 "
	"and not port 1009 and not port 1010 and not port 1011 and not port 1012 and not "
	"port 1013 and not port 1014 and not port 1015 and not port 1016 and not port "
	"1017 and not port 1018 and not port 1019 and not port 1020 and not port 1021 and"
	" not port 1022 and not port 1023 and not port 1024 and not port 1025 and not "
	"port 1026 and not port 1027 and not port 1028 and not port 1029 and not port "
	"1030 and not port 1031 and not port 1032 and not port 1033 and not port 1034 and"
	" not port 1035 and not port 1036 and not port 1037 and not port 1038 and not "
	"port 1039",
	"(tcp port 1 and host 10.0.0.1) or (tcp port 2 and host 10.0.0.2) or (tcp port 3 "
	"and host 10.0.0.3) or (tcp port 4 and host 10.0.0.4) or (tcp port 5 and host "
	"10.0.0.5) or (tcp port 6 and host 10.0.0.6) or (tcp port 7 and host 10.0.0.7) or"
	" (tcp port 8 and host 10.0.0.8) or (tcp port 9 and host 10.0.0.9) or (tcp port "
	"10 and host 10.0.0.10) or (tcp port 11 and host 10.0.0.11) or (tcp port 12 and "
	"host 10.0.0.12) or (tcp port 13 and host 10.0.0.13) or (tcp port 14 and host "
	"10.0.0.14) or (tcp port 15 and host 10.0.0.15) or (tcp port 16 and host "
	"10.0.0.16) or (tcp port 17 and host 10.0.0.17) or (tcp port 18 and host "
	"10.0.0.18) or (tcp port 19 and host 10.0.0.19) or (tcp port 20 and host "
	"10.0.0.20) or (tcp port 21 and host 10.0.0.21) or (tcp port 22 and host "
	"10.0.0.22) or (tcp port 23 and host 10.0.0.23) or (tcp port 24 and host "
	"10.0.0.24) or (tcp port 25 and host 10.0.0.25) or (tcp port 26 and host "
	"10.0.0.26) or (tcp port 27 and host 10.0.0.27) or (tcp port 28 and host "
	"10.0.0.28) or (tcp port 29 and host 10.0.0.29) or (tcp port 30 and host "
	"10.0.0.30) or (tcp port 31 and host 10.0.0.31) or (tcp port 32 and host "
	"10.0.0.32)",
	"ip[0] = 0 or ip[1] = 1 or ip[2] = 2 or ip[3] = 3 or ip[4] = 4 or ip[5] = 5 or "
	"ip[6] = 6 or ip[7] = 7 or ip[8] = 8 or ip[9] = 9 or ip[10] = 10 or ip[11] = 11 "
	"or ip[12] = 12 or ip[13] = 13 or ip[14] = 14 or ip[15] = 15 or ip[16] = 16 or "
	"ip[17] = 17 or ip[18] = 18 or ip[19] = 19 or ip[20] = 20 or ip[21] = 21 or "
	"ip[22] = 22 or ip[23] = 23 or ip[24] = 24 or ip[25] = 25 or ip[26] = 26 or "
	"ip[27] = 27 or ip[28] = 28 or ip[29] = 29 or ip[30] = 30 or ip[31] = 31 or "
	"ip[32] = 32 or ip[33] = 33 or ip[34] = 34 or ip[35] = 35 or ip[36] = 36 or "
	"ip[37] = 37 or ip[38] = 38 or ip[39] = 39",
	"vlan 1 or vlan 2 or vlan 3 or vlan 4",
	"ether[14] != 0xff and ether[15] != 0xff and ether[16] != 0xff and ether[17] != "
	"0xff and ether[18] != 0xff and ether[19] != 0xff and ether[20] != 0xff and "
	"ether[21] != 0xff and ether[22] != 0xff and ether[23] != 0xff and ether[24] != "
	"0xff and ether[25] != 0xff and ether[26] != 0xff and ether[27] != 0xff and "
	"ether[28] != 0xff and ether[29] != 0xff and ether[30] != 0xff and ether[31] != "
	"0xff and ether[32] != 0xff and ether[33] != 0xff and ether[34] != 0xff and "
	"ether[35] != 0xff and ether[36] != 0xff and ether[37] != 0xff and ether[38] != "
	"0xff and ether[39] != 0xff and ether[40] != 0xff and ether[41] != 0xff and "
	"ether[42] != 0xff and ether[43] != 0xff and ether[44] != 0xff and ether[45] != "
	"0xff and ether[46] != 0xff and ether[47] != 0xff and ether[48] != 0xff and "
	"ether[49] != 0xff and ether[50] != 0xff and ether[51] != 0xff and ether[52] != "
	"0xff and ether[53] != 0xff and ether[54] != 0xff and ether[55] != 0xff and "
	"ether[56] != 0xff and ether[57] != 0xff and ether[58] != 0xff and ether[59] != "
	"0xff",
	"host fe80::1 or host fe80::2 or host fe80::3 or host fe80::4 or host fe80::5 or "
	"host fe80::6 or host fe80::7 or host fe80::8 or host fe80::9 or host fe80::a or "
	"host fe80::b or host fe80::c or host fe80::d or host fe80::e or host fe80::f or "
	"host fe80::10 or host fe80::11 or host fe80::12 or host fe80::13",
};

#endif
