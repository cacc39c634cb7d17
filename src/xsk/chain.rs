//! Packets in several buffers, called chains here: buffers or descriptors one behind
//! the other, of which all but the last say that there is more.

use crate::sys::abi::{Desc, PKT_CONTD, SKB_FRAGS, USE_SG};
use crate::sys::{Errno, RawFd, genetlink, sysfs};
use crate::xsk::error::{Error, fail};
use crate::xsk::probe::has_bind_flag;
use crate::xsk::ring::{Place, Span};

/// Refuses with that number on a kernel that has no chains; `fd` is not bound.
#[cold]
pub fn check_kernel(fd: RawFd, errno: Errno) -> Result<(), Error> {
    if has_bind_flag(fd, USE_SG) != Some(false) {
        return Ok(());
    }
    fail!(errno, "bind: XSK_BIND_SG (XDP_USE_SG) needs Linux 6.6: this kernel does not know it")
}

/// How many buffers a packet to be sent may have; one of more the kernel would drop, and
/// in some versions never complete.
#[cold]
pub fn longest(ifindex: u32, zero_copy: bool, aligned: bool) -> u32 {
    if zero_copy {
        let most = genetlink::features(ifindex).ok().and_then(|it| it.zero_copy_max_segments);
        // It would not have been bound with fewer.
        return most.unwrap_or(0).max(2);
    }
    // So many pass with every driver. With one that wants the start of a packet in its
    // head, which not all do (virtio_net), it is one more; nothing tells which.
    let pages = sysfs::max_skb_frags().unwrap_or(0).max(SKB_FRAGS);
    // A chunk that lies anywhere may be on two.
    if aligned { pages } else { pages / 2 }
}

/// How many descriptors of a span are not the last of their packet: it has so many
/// packets fewer.
#[cold]
pub fn unended(ring: &Place<Desc>, span: Span) -> u32 {
    span.indices().filter(|index| goes_on(ring, *index)).count() as u32
}

/// How many descriptors at the end of a span are of a packet that goes on behind it.
#[cold]
pub fn cut(ring: &Place<Desc>, span: Span) -> u32 {
    span.indices().rev().take_while(|index| goes_on(ring, *index)).count() as u32
}

/// Whether the packet of a descriptor goes on in the next one.
#[inline]
pub fn goes_on(ring: &Place<Desc>, index: u32) -> bool {
    ring.read(index).is_some_and(|desc| desc.options & PKT_CONTD != 0)
}
