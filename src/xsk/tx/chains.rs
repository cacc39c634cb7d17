//! Packets of a burst from the first on that is not one buffer without options, or that
//! cannot be sent: each whole or not at all.

use super::TxSide;
use crate::sys::Errno;
use crate::sys::abi::{Desc, PKT_CONTD, TX_METADATA};
use crate::xsk::error::{Error, fail};
use crate::xsk::packet::Buf;
use crate::xsk::ring::Span;

impl TxSide {
    /// Goes on with `enqueue` once `n` packets are described.
    #[cold]
    pub(super) fn enqueue_chains(
        &mut self,
        bufs: &[Buf],
        span: Span,
        mut n: u32,
        mut bytes: u64,
    ) -> (u32, Result<(), Error>) {
        let mut packets = n;
        let refused = loop {
            let rest = bufs.get(n as usize..).unwrap_or(&[]);
            let chain = match self.first_chain(rest) {
                // A packet of which not all has room waits.
                Ok(chain) if chain.len() > (span.count - n) as usize => break Ok(()),
                Ok(chain) => chain,
                Err(e) => break Err(e),
            };
            if let Err(e) = self.note_chain(chain) {
                break Err(e);
            }
            for (index, buf) in span.indices().skip(n as usize).zip(chain) {
                let addr = self.side.geometry.addr(buf.data);
                if let (true, Some(metadata)) = (buf.options & TX_METADATA != 0, &mut self.metadata)
                {
                    metadata.sends(addr, self.side.geometry.frame_at(addr));
                }
                self.tx.write(index, Desc { addr, len: buf.len, options: buf.options });
                bytes += u64::from(buf.len);
            }
            n += chain.len() as u32;
            packets += 1;
            if n == span.count {
                break Ok(());
            }
        };
        // What is not described is not claimed any more.
        self.tx.give(span.first(n));
        self.side.count(packets, bytes);
        (n, refused)
    }

    /// The buffers of the first packet.
    fn first_chain<'a>(&self, bufs: &'a [Buf]) -> Result<&'a [Buf], Error> {
        // The completion ring too takes all of a packet at once.
        let most = self.side.max_frags.min(self.tx.size()).min(self.comp.size()) as usize;
        let ends = |buf: &Buf| buf.options & PKT_CONTD == 0;
        let Some(last) = bufs.iter().take(most).position(ends) else {
            return self.explain_chain(bufs.len(), most);
        };
        Ok(bufs.get(..=last).unwrap_or(&[]))
    }

    /// Notes the frames of a packet as the kernel's, all or none.
    fn note_chain(&mut self, chain: &[Buf]) -> Result<(), Error> {
        let geometry = self.side.geometry;
        let mut known = PKT_CONTD;
        if let (Some(first), Some(metadata)) = (chain.first(), &self.metadata) {
            let addr = geometry.addr(first.data);
            if first.options & TX_METADATA != 0 && geometry.fits(first.addr, addr, first.len) {
                metadata.check(self.side.waker.place()?, addr, first.len)?;
            }
            known |= TX_METADATA;
        }
        let mut notes = self.side.given.notes();
        let send = |buf: &&Buf| {
            let addr = geometry.addr(buf.data);
            let sendable = geometry.fits(buf.addr, addr, buf.len) && buf.options & !known == 0;
            // Metadata is in front of a packet's first buffer only.
            known = PKT_CONTD;
            sendable && notes.give(geometry.frame_at(addr))
        };
        let sendable = chain.iter().take_while(send).count();
        let Some(buf) = chain.get(sendable) else { return Ok(()) };
        for buf in chain.iter().take(sendable) {
            notes.take_back(geometry.frame_at(buf.addr));
        }
        drop(notes);
        if sendable != 0 && buf.options & TX_METADATA != 0 {
            return fail!(
                Errno::EINVAL,
                "tx burst: metadata is for the first buffer of a packet only"
            );
        }
        self.explain(buf)
    }

    /// Why a packet whose end is not among the first `most` buffers is not sent.
    #[cold]
    fn explain_chain<T>(&self, there: usize, most: usize) -> Result<T, Error> {
        if self.side.max_frags == 1 {
            return fail!(
                Errno::EINVAL,
                "tx burst: XSK_BUF_MORE is for sockets bound with XSK_BIND_SG"
            );
        }
        if there <= most {
            return fail!(
                Errno::EINVAL,
                "tx burst: the packet goes on behind the last buffer, which has XSK_BUF_MORE: a \
                 call takes whole packets"
            );
        }
        fail!(
            Errno::EMSGSIZE,
            "tx burst: the packet has more than {most} buffers, the most that are sent as one here: \
             {} of the kernel's, {} in the TX ring, {} in the completion ring",
            self.side.max_frags,
            self.tx.size(),
            self.comp.size()
        )
    }
}
