//! XDP programs for C programs: from rules, from classic BPF, or the default one.

use core::ffi::c_int;
use core::ptr;

use super::socket::{socket_ref, xsk_socket};
use super::{Sized32, array, check_flags, copy_params, copy_struct, guard, guard_count, null};
use crate::xsk::error::{error, fail};
use crate::xsk::program::rules::{self, Action, Rule, Rules};
use crate::xsk::program::{DEFAULT, MOST_INSTRUCTIONS, Matcher, Program};
use crate::xsk::{Errno, Error, SockFilter, try_box, try_slice};

/// An XDP program for the queues of an interface: which packets go to sockets, which
/// to the kernel's network stack, and which nowhere.
///
/// It is a description: any number of sockets and interfaces may use one, and it may
/// be destroyed as soon as they are bound. Sockets and processes share what is attached
/// to an interface if their programs are equal: the same rules in the same order, or
/// the same instructions, and the same actions.
///
/// A program decides by rules, of which the first that matches wins; by a filter in
/// classic BPF; or not at all, which is the default: what arrives on a queue that has
/// a socket goes to it.
///
/// Rules look at headers as follows. The link layer is Ethernet, with up to two VLAN
/// tags (0x8100 or 0x88a8) in the packet; a tag that the device took out is not seen
/// (ethtool -K IF rxvlan off). Behind IPv4 there are its options, behind IPv6 up to
/// eight extension headers (hop-by-hop, routing, destination, fragment,
/// authentication) before the protocol. Ports are those of TCP, UDP and SCTP; what is
/// inside of a tunnel is not looked at. What cannot be parsed goes to the kernel: a
/// packet that has a third tag or more extension headers, that is shorter than its
/// headers or its IP length say, or whose IP header is not of the version that the
/// type says. It does so at the first rule that looks at that layer; rules before it
/// are applied. A fragment of an IP packet, the first one too, has no ports, since
/// they would tell of one fragment only: where all but the ports is as a rule wants
/// it, the packet goes to the kernel, as does one that ends before its ports.
pub struct xsk_program {
    _opaque: [u8; 0],
}

/// What becomes of a packet: the default of the place where it is said.
pub const XSK_ACTION_DEFAULT: u32 = 0;
/// To the socket of the queue that it arrived on; to the kernel if there is none.
pub const XSK_ACTION_SOCKET: u32 = 1;
/// To the kernel's network stack.
pub const XSK_ACTION_PASS: u32 = 2;
/// Nowhere.
pub const XSK_ACTION_DROP: u32 = 3;

/// `vlan`: there is no tag.
pub const XSK_VLAN_NONE: u16 = 0x1000;
/// `vlan`: there is a tag, whatever its id.
pub const XSK_VLAN_ANY: u16 = 0x2000;
/// `vlan`: there is a tag of id 0, which is for priority only.
pub const XSK_VLAN_PRIORITY: u16 = 0x4000;

/// What packets a rule is for, and what becomes of them. A member that is 0 matches
/// every packet; those that are not must all match.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct xsk_rule {
    /// XSK_ACTION_...; default XSK_ACTION_SOCKET.
    pub action: u32,
    /// The Ethernet type behind all VLAN tags, in host byte order, from 0x600.
    pub ether_type: u16,
    /// The id of the outer VLAN tag, 1 to 4094, or XSK_VLAN_...
    pub vlan: u16,
    /// The same of the inner one, where there are two.
    pub inner_vlan: u16,
    /// 4 or 6.
    pub ip_version: u8,
    /// The protocol that IP carries, behind extension headers: 17 for UDP.
    pub ip_proto: u8,
    /// How many bits of src_addr count, up to 32 or 128; needs ip_version.
    pub src_bits: u8,
    /// The same of dst_addr.
    pub dst_bits: u8,
    /// 0.
    pub reserved: u16,
    /// Addresses in network byte order, IPv4's in the first four bytes; 0 behind the
    /// bits that count.
    pub src_addr: [u8; 16],
    /// The same of the destination.
    pub dst_addr: [u8; 16],
    /// Ports of TCP, UDP and SCTP, in host byte order: the first of a range, and the
    /// last. With 0 for the last, the first alone.
    pub src_port: u16,
    /// The last.
    pub src_port_last: u16,
    /// The same of the destination.
    pub dst_port: u16,
    /// The last.
    pub dst_port_last: u16,
    /// Instead of a range any number of ports, each once, in any order; 1000 cost as
    /// one. Read during the call only.
    pub src_ports: *const u16,
    /// The same of the destination.
    pub dst_ports: *const u16,
    /// Ports at src_ports.
    pub src_port_count: u32,
    /// Ports at dst_ports.
    pub dst_port_count: u32,
}

/// `preset`: what keeps a machine reachable goes to the kernel, the rest to sockets.
/// Rules for ARP, ICMP, ICMPv6 (with neighbor discovery), and TCP port 22 as the
/// destination and as the source; default_action is XSK_ACTION_SOCKET.
pub const XSK_PRESET_ALL_BUT_CONTROL: u32 = 1;
/// `preset`: what goes to UDP port `preset_port` goes to sockets, the rest to the
/// kernel. One rule.
pub const XSK_PRESET_UDP_PORT: u32 = 2;

/// What a program is to be; 0 means default everywhere but in `size` and, with rules,
/// `rule_size`. All 0: the default program.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct xsk_program_params {
    /// sizeof(struct xsk_program_params).
    pub size: u32,
    /// sizeof(struct xsk_rule); XSK_PROGRAM_PARAMS() sets it.
    pub rule_size: u32,
    /// Rules, in order; read during the call only.
    pub rules: *const xsk_rule,
    /// Rules at `rules`, at most 1024.
    pub rule_count: u32,
    /// Instructions at `filter`, at most 4096.
    pub filter_len: u32,
    /// Instead of rules: classic BPF, from pcap_compile() or `tcpdump -dd`, for
    /// Ethernet. Read during the call only. It does what it would do on a packet
    /// socket of Linux: a load outside of the packet, or a division by 0, is no match;
    /// X plus an offset, and shifts by X, wrap at 32 bits; what was not written to M[]
    /// is 0. It returns 0 for no match; any other number is a match, of a whole packet.
    /// Of what the network stack knows about a packet (SKF_AD_OFF) it may load the
    /// interface's index, the CPU, a random number, and the VLAN tag, which is 0 as
    /// tags are in the packet.
    pub filter: *const SockFilter,
    /// What becomes of packets that the filter matches; default XSK_ACTION_SOCKET.
    pub filter_action: u32,
    /// What becomes of packets that nothing matches; default XSK_ACTION_PASS.
    pub default_action: u32,
    /// XSK_PRESET_...: rules that follow those at `rules`; or 0.
    pub preset: u32,
    /// For XSK_PRESET_UDP_PORT: 1 to 65535.
    pub preset_port: u32,
}

// SAFETY: repr(C), the size first, zero is a value of each member.
unsafe impl Sized32 for xsk_program_params {
    const NAME: &'static str = "xsk_program_params";
}

/// Packets that a rule decided on, and their bytes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct xsk_counter {
    /// Packets.
    pub packets: u64,
    /// Bytes of them, from the Ethernet header on.
    pub bytes: u64,
}

/// The program behind a handle; the default one for NULL.
///
/// # Safety
/// `program` is NULL or alive.
pub(super) unsafe fn program_ref<'a>(program: *const xsk_program) -> &'a Program {
    // SAFETY: handles are made in xsk_program_create only.
    unsafe { program.cast::<Program>().as_ref() }.unwrap_or(&DEFAULT)
}

/// Creates a program, to be given to xsk_socket_bind() or xsk_program_replace().
///
/// @param[out] out     the new program; untouched on failure. Release it with
///                     xsk_program_destroy(), whenever.
/// @param[in]  params  read during the call only; NULL for the default program
/// @retval 0        created; nothing is loaded yet
/// @retval -EINVAL  out is NULL, a parameter is out of range, or a rule or an
///                  instruction is wrong: the sentence says which and why
/// @retval -E2BIG   too many rules, or a program too long for any kernel
/// @retval -ENOMEM  no memory
/// @note Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_program_create(
    out: *mut *mut xsk_program,
    params: *const xsk_program_params,
) -> c_int {
    guard(|| {
        if out.is_null() {
            return null("out");
        }
        // SAFETY: NULL or readable for its size, as documented.
        let params = unsafe { copy_params(params) }?;
        // SAFETY: its pointers are NULL or have what the numbers say, as documented.
        let program = unsafe { program(&params) }?;
        let program = try_box(program).map_err(|e| error!(e, "program: out of memory"))?;
        let handle = ptr::from_mut(alloc::boxed::Box::leak(program)).cast();
        // SAFETY: not NULL, and the caller's to be written.
        unsafe { out.write(handle) };
        Ok(())
    })
}

/// Destroys a program. Sockets that were bound with it go on.
///
/// @param[in] program  gone afterwards; NULL is nothing to do
/// @note Threads: no other call with this program may run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_program_destroy(program: *mut xsk_program) {
    guard(|| {
        if !program.is_null() {
            // SAFETY: made by Box::leak in xsk_program_create, given up by the caller.
            drop(unsafe { alloc::boxed::Box::from_raw(program.cast::<Program>()) });
        }
        Ok(())
    });
}

/// Puts another program in the place of the one that brings a socket its packets.
///
/// It does so between two packets: none is lost, and every socket stays where it is.
/// It holds for all sockets and processes that share the program; who joins later
/// must want the new one. Counters start at 0.
///
/// @param[in] socket   bound, with a program of the library's
/// @param[in] program  the new one; NULL for the default program
/// @retval 0          replaced
/// @retval -EINVAL    socket is NULL
/// @retval -ENOTCONN  the socket is not bound, or uses no program of the library's
/// @retval -EPERM     CAP_NET_ADMIN or CAP_BPF is missing
/// @retval -EACCES    CAP_PERFMON is missing, which rules and filters need
/// @retval -E2BIG     the program is too complex for the kernel
/// @note Threads: any, but for xsk_socket_bind() and xsk_socket_destroy() on this
///       socket. May sleep some tens of milliseconds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_program_replace(
    socket: *mut xsk_socket,
    program: *const xsk_program,
) -> c_int {
    guard(|| {
        // SAFETY: NULL or alive, as documented.
        let socket = unsafe { socket_ref(socket) }?;
        // SAFETY: NULL or alive, as documented.
        socket.attachment()?.replace(unsafe { program_ref(program) })
    })
}

/// Reads how many packets each rule has decided on.
///
/// One counter for each rule, in order (one for a filter); then one for packets that
/// nothing matched; then one for those that went to the kernel because they could not
/// be parsed. They are of all queues and all processes since the program was attached.
///
/// @param[in]  socket    bound, with a program of the library's
/// @param[out] counters  room for n; the first n are written, or as many as there are
/// @param[in]  n         0 to ask how many there are
/// @retval >=0        how many there are; 0 for the default program, which counts
///                    nothing
/// @retval -EINVAL    socket is NULL, or counters is and n is not 0
/// @retval -ENOTCONN  the socket is not bound, or uses no program of the library's
/// @retval -EPERM     another process has replaced the program, and CAP_SYS_ADMIN is
///                    missing to find the new one
/// @retval -ENOMEM    no memory
/// @note Threads: as for xsk_program_replace(). A packet may be counted between two
///       counters; a counter's bytes may lag behind its packets by one packet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn xsk_program_counters(
    socket: *const xsk_socket,
    counters: *mut xsk_counter,
    n: u32,
) -> c_int {
    guard_count(|| {
        // SAFETY: NULL or alive, as documented.
        let socket = unsafe { socket_ref(socket) }?;
        if counters.is_null() && n != 0 {
            return null("counters");
        }
        let mut to = counters;
        socket.attachment()?.count(n, |[packets, bytes]| {
            // SAFETY: called at most n times, and there is room for n.
            unsafe { to.write(xsk_counter { packets, bytes }) };
            to = to.wrapping_add(1);
        })
    })
}

fn action(action: u32, default: Action) -> Result<Action, Error> {
    match action {
        XSK_ACTION_DEFAULT => Ok(default),
        XSK_ACTION_SOCKET => Ok(Action::Socket),
        XSK_ACTION_PASS => Ok(Action::Pass),
        XSK_ACTION_DROP => Ok(Action::Drop),
        _ => fail!(Errno::EINVAL, "program: no action has the number {action}"),
    }
}

/// # Safety
/// As xsk_program_create documents.
#[inline(never)]
unsafe fn program(params: &xsk_program_params) -> Result<Program, Error> {
    let missing = match (params.rules.is_null(), params.filter.is_null()) {
        (true, _) if params.rule_count != 0 => "rules",
        (_, true) if params.filter_len != 0 => "filter",
        _ => "",
    };
    if !missing.is_empty() {
        return null(missing);
    }
    let usual = match params.preset {
        XSK_PRESET_ALL_BUT_CONTROL => Action::Socket,
        _ => Action::Pass,
    };
    let otherwise = action(params.default_action, usual)?;
    if params.filter_len != 0 {
        if params.rule_count != 0 || params.preset != 0 {
            return fail!(Errno::EINVAL, "program: a filter excludes rules and a preset");
        }
        // SAFETY: not NULL, and as long as the caller says.
        let insns = unsafe { array(params.filter, params.filter_len) };
        if insns.len() > MOST_INSTRUCTIONS {
            return fail!(
                Errno::EINVAL,
                "filter: it has {} instructions, and {MOST_INSTRUCTIONS} is the most",
                insns.len()
            );
        }
        let Ok(mut filter) = try_slice(SockFilter::default(), insns.len()) else {
            return Err(rules::out_of_memory());
        };
        filter.copy_from_slice(insns);
        let matched = action(params.filter_action, Action::Socket)?;
        return Program::new(Matcher::Filter(filter, matched), otherwise);
    }
    check_flags(params.filter_action, 0, "xsk_program_params.filter_action without a filter")?;
    let count = params.rule_count as usize;
    let port = params.preset_port as u16;
    let control = rules::PRESETS.len() - 1;
    let preset = match (params.preset, params.preset_port) {
        (0, 0) => 0..0,
        (XSK_PRESET_ALL_BUT_CONTROL, 0) => 0..control,
        (XSK_PRESET_UDP_PORT, 1..=0xffff) => control..control + 1,
        (preset, port) => {
            return fail!(
                Errno::EINVAL,
                "program: preset {preset} is none, or preset_port {port} is no port for it"
            );
        }
    };
    let mut rules = Rules::new(count + preset.len())?;
    let mut from = params.rules;
    for at in 0..count {
        // SAFETY: so many rules of that size are there, as the caller says.
        let rule = unsafe { copy_struct(from, params.rule_size, "xsk_rule") }?;
        from = from.wrapping_byte_add(params.rule_size as usize);
        // SAFETY: its ports are there, as the caller says.
        unsafe { put_rule(&mut rules, at, &rule) }?;
    }
    for (at, rule) in (count..).zip(rules::PRESETS.get(preset).unwrap_or(&[])) {
        let mut rule = *rule;
        if port != 0 {
            rule.ports = [(0, 0), (port, port)];
        }
        rules.put(at, &rule)?;
    }
    match (rules.list.is_empty(), params.default_action) {
        (true, 0) => Program::new(Matcher::None, otherwise),
        _ => Program::new(Matcher::Rules(rules), otherwise),
    }
}

/// # Safety
/// The rule's ports are NULL or as many as it says.
#[inline(never)]
unsafe fn put_rule(rules: &mut Rules, at: usize, rule: &xsk_rule) -> Result<(), Error> {
    check_flags(rule.reserved.into(), 0, "xsk_rule.reserved")?;
    let range = |first, last| (first, if last == 0 { first } else { last });
    let ports =
        [range(rule.src_port, rule.src_port_last), range(rule.dst_port, rule.dst_port_last)];
    let given = [(rule.src_ports, rule.src_port_count), (rule.dst_ports, rule.dst_port_count)];
    let mut sets = [0; 2];
    for ((set, (from, count)), range) in sets.iter_mut().zip(given).zip(ports) {
        if from.is_null() != (count == 0) || (count != 0 && range != (0, 0)) {
            return fail!(
                Errno::EINVAL,
                "program: rule {at}: ports come as a range, or as an array and its length"
            );
        }
        if count != 0 {
            // SAFETY: not NULL, and as many as the caller says.
            *set = rules.add_set(unsafe { array(from, count) })?;
        }
    }
    let words = |addr: &[u8; 16]| {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *addr;
        [[a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, p]].map(u32::from_ne_bytes)
    };
    let rule = Rule {
        action: action(rule.action, Action::Socket)?,
        ether_type: rule.ether_type,
        vlans: [rule.vlan, rule.inner_vlan],
        ip_version: rule.ip_version,
        ip_proto: rule.ip_proto,
        addrs: [words(&rule.src_addr), words(&rule.dst_addr)],
        bits: [rule.src_bits, rule.dst_bits],
        ports,
        sets,
    };
    rules.put(at, &rule)
}
