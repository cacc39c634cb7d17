//! What a sender asks for single packets: a checksum, the time of completion, a time to
//! be launched at. It stands in front of the packet, as the kernel has it, and behind
//! that, where the kernel does not look, the program's cookie.

use alloc::boxed::Box;

use crate::sys::Errno;
use crate::sys::abi::{TXMD_CHECKSUM, TXMD_LAUNCH_TIME, TXMD_TIMESTAMP};
use crate::sys::area::Area;
use crate::sys::heap::try_slice;
use crate::xsk::error::{Error, fail};
use crate::xsk::frames::Ledger;
use crate::xsk::packet::Stamp;
use crate::xsk::wake::Place;

/// Bytes in front of a packet: `struct xsk_tx_metadata` of <linux/if_xdp.h> as Linux
/// 6.14 has it, and the cookie.
pub const TX_METADATA_LEN: u32 = 32;
const FLAGS: u64 = 0;
const CHECKSUM: u64 = 8; // two 16-bit numbers: start, and the offset from there
const TIMESTAMP: u64 = 8; // after completion, in their place
const LAUNCH_TIME: u64 = 16;
const COOKIE: u64 = 24;

/// Something to be asked for a packet.
#[derive(Clone, Copy, Debug)]
pub enum Request {
    /// The bytes from `start` on are summed up into the two at `start + offset`.
    Checksum { start: u16, offset: u16 },
    /// The time of completion, to be handed over with `cookie`.
    Timestamp { cookie: u64 },
    /// Nanoseconds of the device's clock, before which the packet is not sent.
    LaunchTime(u64),
}

impl Request {
    fn flag(self) -> u64 {
        match self {
            Request::Checksum { .. } => TXMD_CHECKSUM,
            Request::Timestamp { .. } => TXMD_TIMESTAMP,
            Request::LaunchTime(_) => TXMD_LAUNCH_TIME,
        }
    }
}

/// The metadata of the packets that one socket sends.
pub struct TxMetadata {
    area: Area,
    /// What the queue can do, as flags of requests.
    offers: u64,
    /// Frames with a packet whose time of completion was asked for.
    asked: Ledger,
    /// The last ones known, a ring: `written` in all, of which `read` were handed over.
    stamps: Box<[Stamp]>,
    written: u32,
    read: u32,
}

impl TxMetadata {
    /// For packets in `frame_count` frames; keeps `size` timestamps, a power of two.
    #[inline(never)]
    pub fn new(area: Area, frame_count: u32, size: u32) -> Result<TxMetadata, Errno> {
        let stamps = try_slice(Stamp::default(), size as usize)?;
        let asked = Ledger::new(frame_count)?;
        Ok(TxMetadata { area, offers: 0, asked, stamps, written: 0, read: 0 })
    }

    /// From now on packets go to a queue. `device` is what the driver tells of itself,
    /// with which the kernel helps out where it copies.
    pub fn bound(&mut self, device: Option<u64>, copies: bool) {
        // NETDEV_XSK_FLAGS_ of <linux/netdev.h> are the flags of the requests.
        let device = device.unwrap_or(0) & (TXMD_CHECKSUM | TXMD_TIMESTAMP | TXMD_LAUNCH_TIME);
        self.offers = device | if copies { TXMD_CHECKSUM | TXMD_TIMESTAMP } else { 0 };
    }

    /// Asks for something for the packet of `len` bytes at an address; `fresh` if nothing
    /// has been asked for it.
    pub fn ask(
        &self,
        place: &Place,
        addr: u64,
        len: u32,
        fresh: bool,
        request: Request,
    ) -> Result<(), Error> {
        if self.offers & request.flag() == 0 {
            return self.not_offered(place, request.flag());
        }
        let at = addr.wrapping_sub(TX_METADATA_LEN.into());
        let before = if fresh { 0 } else { self.word(at, FLAGS) };
        match request {
            Request::Checksum { start, offset } => {
                check_checksum(start, offset, len)?;
                let (start, offset) = (start.to_ne_bytes(), offset.to_ne_bytes());
                let bytes = [start[0], start[1], offset[0], offset[1], 0, 0, 0, 0];
                self.area.store(at + CHECKSUM, u64::from_ne_bytes(bytes));
            }
            Request::Timestamp { cookie } => {
                self.area.store(at + COOKIE, cookie);
            }
            Request::LaunchTime(time) => {
                self.area.store(at + LAUNCH_TIME, time);
            }
        }
        self.area.store(at + FLAGS, before | request.flag());
        Ok(())
    }

    /// Checks what stands in front of a packet: the kernel would not take the packet, nor
    /// any behind it, if it found that in disorder.
    pub fn check(&self, place: &Place, addr: u64, len: u32) -> Result<(), Error> {
        let at = addr.wrapping_sub(TX_METADATA_LEN.into());
        let flags = self.word(at, FLAGS);
        if flags & !self.offers != 0 {
            return self.not_offered(place, flags & !self.offers);
        }
        if flags & TXMD_CHECKSUM != 0 {
            let [a, b, c, d, ..] = self.word(at, CHECKSUM).to_ne_bytes();
            check_checksum(u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d]), len)?;
        }
        Ok(())
    }

    /// Notes that a packet goes out.
    pub fn sends(&mut self, addr: u64, frame: u64) {
        let at = addr.wrapping_sub(TX_METADATA_LEN.into());
        if self.word(at, FLAGS) & TXMD_TIMESTAMP != 0 {
            self.asked.notes().give(frame);
        }
    }

    /// Whether a packet is out whose time of completion was asked for.
    #[inline]
    pub fn awaits(&self) -> bool {
        self.asked.count() != 0
    }

    /// Keeps the time at which a packet was completed, if it was asked for.
    pub fn completed(&mut self, addr: u64, frame: u64) {
        if !self.asked.notes().take_back(frame) {
            return;
        }
        let at = addr.wrapping_sub(TX_METADATA_LEN.into());
        let stamp = Stamp { time_ns: self.word(at, TIMESTAMP), cookie: self.word(at, COOKIE) };
        let size = self.stamps.len() as u32;
        if let Some(place) = self.stamps.get_mut((self.written & size.wrapping_sub(1)) as usize) {
            *place = stamp;
            self.written = self.written.wrapping_add(1);
            // The oldest goes where nobody has read it.
            if self.written.wrapping_sub(self.read) > size {
                self.read = self.read.wrapping_add(1);
            }
        }
    }

    /// The oldest timestamp that was not handed over yet.
    pub fn fetch(&mut self) -> Option<Stamp> {
        if self.read == self.written {
            return None;
        }
        let mask = self.stamps.len().wrapping_sub(1);
        let stamp = self.stamps.get(self.read as usize & mask).copied();
        self.read = self.read.wrapping_add(1);
        stamp
    }

    /// 0 where there is none.
    fn word(&self, at: u64, offset: u64) -> u64 {
        self.area.load(at.wrapping_add(offset)).unwrap_or(0)
    }

    #[cold]
    fn not_offered(&self, place: &Place, flags: u64) -> Result<(), Error> {
        let what = match flags {
            f if f & TXMD_LAUNCH_TIME != 0 => "no launch time, or Linux is before 6.14",
            f if f & TXMD_CHECKSUM != 0 => "no checksums in zero-copy mode, XSK_BIND_COPY has",
            f if f & TXMD_TIMESTAMP != 0 => "no times in zero-copy mode, XSK_BIND_COPY has",
            _ => "no such thing",
        };
        fail!(Errno::EOPNOTSUPP, "metadata: flags {flags:#x}: {place} has {what}")
    }
}

#[inline(never)]
fn check_checksum(start: u16, offset: u16, len: u32) -> Result<(), Error> {
    let (start, offset) = (u32::from(start), u32::from(offset));
    if start + offset + 2 <= len {
        return Ok(());
    }
    fail!(
        Errno::EINVAL,
        "metadata: a checksum at {start} + {offset} does not fit a packet of {len} bytes"
    )
}
