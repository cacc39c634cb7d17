//! Rules as callers give them, checked, and the presets.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::sys::Errno;
use crate::sys::heap::try_slice;
use crate::xsk::error::{Error, error, fail};

/// More would make programs that the verifier gives up on.
pub const MOST: usize = 1024;

pub const IPV4: u16 = 0x0800;
pub const IPV6: u16 = 0x86dd;
const ARP: u16 = 0x0806;
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;
/// The protocols that have ports, both at the start of their headers.
pub const WITH_PORTS: [u8; 3] = [TCP, UDP, SCTP];

/// A VLAN tag: 0 for any or none, an id, or one of these.
pub const NO_TAG: u16 = 0x1000;
pub const ANY_TAG: u16 = 0x2000;
pub const PRIORITY_TAG: u16 = 0x4000; // the id 0

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The socket of the queue that it arrived on; the kernel where there is none.
    Socket,
    /// The kernel's network stack.
    Pass,
    Drop,
}

/// What packets a rule is for, 0 being any, and what becomes of them. Pairs are
/// source and destination.
#[derive(Clone, Copy)]
pub struct Rule {
    pub action: Action,
    /// Behind all tags, in host order.
    pub ether_type: u16,
    /// The outer tag and the inner.
    pub vlans: [u16; 2],
    pub ip_version: u8,
    pub ip_proto: u8,
    /// Addresses as they stand in a packet, and how many of their bits count.
    pub addrs: [[u32; 4]; 2],
    pub bits: [u8; 2],
    /// First and last.
    pub ports: [(u16, u16); 2],
    /// Instead: what tells a set of ports from others. The sets themselves are the
    /// program's, in the order in which its rules ask for them.
    pub sets: [u32; 2],
}

pub fn out_of_memory() -> Error {
    error!(Errno::ENOMEM, "program: out of memory")
}

/// Rules, the first that matches wins.
#[derive(Default)]
pub struct Rules {
    pub list: Box<[Rule]>,
    /// The ports of all sets, each below the number of its set, from 1 on.
    pub ports: Vec<u32>,
    pub sets: u32,
}

/// The bits of word `at` of an address that count.
pub fn mask(bits: u8, at: usize) -> u32 {
    let here = u32::from(bits).saturating_sub(32 * at as u32).min(32);
    u32::MAX.checked_shl(32 - here).unwrap_or(0).to_be()
}

impl Rule {
    fn looks_at_ports(&self) -> bool {
        self.ports != [(0, 0); 2] || self.sets != [0; 2]
    }

    /// The deepest layer that it looks at: 1 link, 2 network, 3 transport, 0 none.
    pub fn depth(&self) -> u32 {
        if self.ip_proto != 0 || self.looks_at_ports() {
            3
        } else if self.ip_version != 0 {
            2
        } else {
            (self.ether_type != 0 || self.vlans != [0; 2]).into()
        }
    }

    fn what_is_wrong(&self) -> &'static str {
        let Rule { ether_type, ip_version, ip_proto, .. } = *self;
        if ether_type != 0 && ether_type < 0x600 {
            return "ether_type is below 0x600: those are lengths";
        }
        if !matches!(ip_version, 0 | 4 | 6) {
            return "ip_version is neither 0, 4 nor 6";
        }
        if self.looks_at_ports() && ip_proto != 0 && !WITH_PORTS.contains(&ip_proto) {
            return "ports are TCP's, UDP's and SCTP's, and ip_proto is another";
        }
        let sides = self.vlans.iter().zip(&self.bits).zip(&self.addrs).zip(&self.ports);
        for (((vlan, bits), addr), (first, last)) in sides {
            if !matches!(*vlan, 0..=4094 | NO_TAG | ANY_TAG | PRIORITY_TAG) {
                return "a VLAN id is above 4094";
            }
            if *bits != 0 && ip_version == 0 {
                return "a prefix needs an ip_version, 4 or 6";
            }
            if *bits > 128 || (*bits > 32 && ip_version == 4) {
                return "a prefix is longer than an address";
            }
            if addr.iter().zip(0..).any(|(word, at)| word & !mask(*bits, at) != 0) {
                return "an address has bits behind its prefix";
            }
            if first > last {
                return "a port range ends before it begins";
            }
        }
        ""
    }
}

const PASS: Rule = Rule {
    action: Action::Pass,
    ether_type: 0,
    vlans: [0; 2],
    ip_version: 0,
    ip_proto: 0,
    addrs: [[0; 4]; 2],
    bits: [0; 2],
    ports: [(0, 0); 2],
    sets: [0; 2],
};

/// The presets: what keeps a machine reachable goes to the kernel, which is ARP, ICMP,
/// ICMPv6 with its neighbor discovery, and TCP port 22 of either side; and, the last
/// one, what goes to a UDP port.
pub static PRESETS: [Rule; 6] = [
    Rule { ether_type: ARP, ..PASS },
    Rule { ip_version: 4, ip_proto: ICMP, ..PASS },
    Rule { ip_version: 6, ip_proto: ICMPV6, ..PASS },
    Rule { ip_proto: TCP, ports: [(0, 0), (22, 22)], ..PASS },
    Rule { ip_proto: TCP, ports: [(22, 22), (0, 0)], ..PASS },
    Rule { ip_proto: UDP, action: Action::Socket, ..PASS },
];

impl Rules {
    /// Room for so many rules.
    pub fn new(count: usize) -> Result<Rules, Error> {
        if count > MOST {
            return fail!(Errno::E2BIG, "program: {count} rules, and {MOST} is the most");
        }
        let list = try_slice(PASS, count).map_err(|_| out_of_memory())?;
        Ok(Rules { list, ..Rules::default() })
    }

    /// The rule at that place.
    pub fn put(&mut self, at: usize, rule: &Rule) -> Result<(), Error> {
        let wrong = rule.what_is_wrong();
        if !wrong.is_empty() {
            return fail!(Errno::EINVAL, "program: rule {at}: {wrong}");
        }
        if let Some(to) = self.list.get_mut(at) {
            *to = *rule;
        }
        Ok(())
    }

    /// Makes the next set of these ports; gives what tells it from others, in whatever
    /// order they come.
    pub fn add_set(&mut self, ports: &[u16]) -> Result<u32, Error> {
        if self.ports.try_reserve(ports.len()).is_err() {
            return Err(out_of_memory());
        }
        self.sets += 1;
        let mut sum = 0u32;
        for port in ports {
            let port = u32::from(*port);
            self.ports.push(self.sets << 16 | port);
            // Each is spread over all bits, so that sums of others are others.
            let spread = (port + 1).wrapping_mul(0x9e37_79b1);
            sum = sum.wrapping_add((spread ^ spread >> 15).wrapping_mul(0x85eb_ca77));
        }
        Ok(sum.max(1))
    }

    /// Numbers that are the same for equal rules.
    pub fn words(&self, put: &mut dyn FnMut(u32)) {
        let both = |low: u16, high: u16| u32::from(low) | u32::from(high) << 16;
        for rule in &self.list {
            let Rule { vlans: [outer, inner], bits: [a, b], ports: [from, onto], .. } = *rule;
            let [[c, d, e, f], [g, h, i, j]] = rule.addrs;
            let [k, l] = rule.sets;
            let words: [u32; Rules::WORDS] = [
                both(rule.action as u16, rule.ether_type),
                both(outer, inner),
                u32::from_le_bytes([rule.ip_version, rule.ip_proto, a, b]),
                both(from.0, from.1),
                both(onto.0, onto.1),
                c,
                d,
                e,
                f,
                g,
                h,
                i,
                j,
                k,
                l,
            ];
            words.into_iter().for_each(&mut *put);
        }
    }

    /// How many of them tell of one rule.
    pub const WORDS: usize = 15;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xsk::error::sentence;

    #[test]
    fn a_mask_has_the_bits_of_its_word() {
        assert_eq!(mask(0, 0), 0);
        assert_eq!(mask(8, 0).to_ne_bytes(), [255, 0, 0, 0]);
        assert_eq!(mask(31, 0).to_ne_bytes(), [255, 255, 255, 254]);
        assert_eq!([mask(33, 0), mask(33, 2)], [u32::MAX, 0]);
        assert_eq!(mask(33, 1).to_ne_bytes(), [128, 0, 0, 0]);
        assert_eq!(mask(128, 3), u32::MAX);
    }

    #[test]
    fn a_rule_is_refused_with_its_number_and_reason() {
        let refused = |rule: Rule, word: &str| {
            let mut rules = Rules::new(2).unwrap();
            assert_eq!(rules.put(1, &rule).unwrap_err().errno(), Errno::EINVAL);
            assert!(sentence().contains("rule 1: ") && sentence().contains(word), "{}", sentence());
        };
        let any = PASS;
        let ten = [u32::from_ne_bytes([10, 0, 0, 1]), 0, 0, 0];
        refused(Rule { ether_type: 1500, ..any }, "0x600");
        refused(Rule { vlans: [4095, 0], ..any }, "4094");
        refused(Rule { vlans: [0, 0x1001], ..any }, "4094");
        refused(Rule { ip_version: 5, ..any }, "neither");
        refused(Rule { bits: [0, 8], ..any }, "needs an ip_version");
        refused(Rule { ip_version: 4, bits: [33, 0], ..any }, "longer");
        refused(Rule { ip_version: 6, bits: [0, 129], ..any }, "longer");
        refused(
            Rule { ip_version: 4, bits: [31, 0], addrs: [ten, [0; 4]], ..any },
            "behind its prefix",
        );
        refused(Rule { ports: [(0, 0), (9, 8)], ..any }, "ends before");
        refused(Rule { ip_proto: 1, ports: [(0, 0), (9, 9)], ..any }, "ports are");
        let host = Rule { ip_version: 4, bits: [32, 0], addrs: [ten, [0; 4]], ..any };
        assert!(Rules::new(1).unwrap().put(0, &host).is_ok());
        assert!(Rules::new(MOST + 1).is_err());
    }

    #[test]
    fn equal_sets_have_equal_words_in_any_order() {
        let words = |ports: &[u16]| {
            let mut rules = Rules::new(1).unwrap();
            let set = rules.add_set(ports).unwrap();
            rules.put(0, &Rule { sets: [0, set], ..PASS }).unwrap();
            let mut words = Vec::new();
            rules.words(&mut |word| words.push(word));
            assert_eq!(words.len(), Rules::WORDS);
            words
        };
        assert_eq!(words(&[5, 0, 65535]), words(&[65535, 5, 0]));
        assert_ne!(words(&[5]), words(&[6]));
        assert_ne!(words(&[]), words(&[0]));
        assert_ne!(words(&[1, 4]), words(&[2, 3]));
    }
}
