//! Rings in plain memory, where the test plays the kernel.

use core::mem::MaybeUninit;

use super::*;
use crate::sys::abi::Desc;

const AT: RingOffset = RingOffset { producer: 0, consumer: 64, flags: 128, desc: 192 };

/// The kernel's end of a ring: counters and flags, set and read at will.
struct Kernel {
    producer: &'static AtomicU32,
    consumer: &'static AtomicU32,
    flags: &'static AtomicU32,
}

/// A mapping whose counters start at `start`; never unmapped, being a test's.
fn memory(start: u32) -> (Mmap, Kernel) {
    let map = Mmap::anonymous(4096, false, None).unwrap();
    let word = |offset: u64| {
        let at = map.addr().as_ptr().wrapping_byte_add(offset as usize).cast::<AtomicU32>();
        // SAFETY: inside the mapping, aligned, and used by this test's thread while
        // the ring that owns the mapping is.
        unsafe { &*at }
    };
    let kernel =
        Kernel { producer: word(AT.producer), consumer: word(AT.consumer), flags: word(AT.flags) };
    kernel.producer.store(start, Ordering::Relaxed);
    kernel.consumer.store(start, Ordering::Relaxed);
    (map, kernel)
}

fn producer(start: u32, size: u32) -> (Producer<u64>, Kernel) {
    let (map, kernel) = memory(start);
    (Producer::over(map, &AT, size, None).unwrap(), kernel)
}

fn consumer(start: u32, size: u32) -> (Consumer<u64>, Kernel) {
    let (map, kernel) = memory(start);
    (Consumer::over(map, &AT, size, None).unwrap(), kernel)
}

fn receiver(start: u32, size: u32) -> (Consumer<Desc>, Kernel) {
    let (map, kernel) = memory(start);
    (Consumer::over(map, &AT, size, None).unwrap(), kernel)
}

fn desc(addr: u64, len: u32) -> Desc {
    Desc { addr, len, options: 0 }
}

/// Packets come in, as the kernel does it.
fn arrive(ring: &Consumer<Desc>, kernel: &Kernel, items: &[Desc]) {
    let start = kernel.producer.load(Ordering::Relaxed);
    let span = Span { first: start, count: items.len() as u32 };
    for (index, item) in span.indices().zip(items) {
        // SAFETY: inside the mapping, which no other thread knows.
        unsafe { ring.slot(index).unwrap().write(*item) };
    }
    kernel.producer.store(start.wrapping_add(span.count), Ordering::Relaxed);
}

/// What `n` entries from `first` on hold.
fn entries(ring: &Producer<u64>, first: u32, n: u32) -> Vec<u64> {
    Span { first, count: n }.indices().map(|index| ring.read(index).unwrap()).collect()
}

const WRAP: u32 = u32::MAX - 1; // two below the wrap

#[test]
fn a_full_ring_refuses_until_the_kernel_consumes_across_the_wrap() {
    let (mut ring, kernel) = producer(WRAP, 4);
    assert_eq!(ring.reserve(4), Span { first: WRAP, count: 4 });
    assert_eq!(ring.reserve(1).count, 0, "all four entries are taken");
    assert_eq!(ring.submit(9), 4, "no more is given than was reserved");
    assert_eq!(kernel.producer.load(Ordering::Relaxed), 2);
    kernel.consumer.store(0, Ordering::Relaxed); // the kernel took two
    assert_eq!(ring.unconsumed(), Span { first: 0, count: 2 });
    assert_eq!(ring.reserve(3), Span { first: 2, count: 2 }, "two are free, not three");
    assert_eq!(ring.reserve(1).count, 0);
}

#[test]
fn a_reservation_is_given_in_part_or_given_up() {
    let (mut ring, kernel) = producer(WRAP, 8);
    assert_eq!(ring.reserve(5).count, 5);
    assert_eq!(ring.submit(2), 2);
    assert_eq!(ring.reserved(), 3);
    assert_eq!(ring.cancel(2), 2);
    assert_eq!(ring.submit(u32::MAX), 1);
    assert_eq!(kernel.producer.load(Ordering::Relaxed), WRAP.wrapping_add(3));
    assert_eq!(ring.cancel(1), 0, "what was submitted cannot be had back");
    assert_eq!(ring.submit(1), 0);
    assert_eq!(ring.reserve(9).count, 5);
}

#[test]
fn put_copies_across_the_end_of_the_ring() {
    let (mut ring, kernel) = producer(WRAP, 4);
    assert_eq!(ring.put(&[10, 11, 12, 13, 14]).0, 4, "as many as fit");
    assert_eq!(entries(&ring, WRAP, 4), [10, 11, 12, 13]);
    assert_eq!(ring.put(&[20]).0, 0);
    kernel.consumer.store(WRAP.wrapping_add(3), Ordering::Relaxed);
    assert_eq!(ring.put(&[20, 21]).0, 2);
    assert_eq!(entries(&ring, WRAP.wrapping_add(3), 3), [13, 20, 21]);
    assert_eq!(ring.put(&[]).0, 0);
}

#[test]
fn put_does_not_vouch_for_what_others_reserved() {
    let (mut ring, kernel) = producer(0, 4);
    assert_eq!(ring.reserve(1).count, 1);
    assert_eq!(ring.put(&[1]).0, 0);
    assert_eq!(kernel.producer.load(Ordering::Relaxed), 0);
    ring.cancel(1);
    assert_eq!(ring.put(&[1]).0, 1);
}

#[test]
fn the_sum_is_over_what_would_be_submitted() {
    let (map, _kernel) = memory(WRAP);
    let mut ring: Producer<Desc> = Producer::over(map, &AT, 4, None).unwrap();
    let span = ring.reserve(3);
    span.indices().zip([1, 10, 100]).for_each(|(index, len)| ring.write(index, desc(0, len)));
    assert_eq!(ring.reserved_bytes(2), 11);
    assert_eq!(ring.reserved_bytes(u32::MAX), 111);
}

#[test]
fn a_wakeup_is_needed_when_the_flag_stands() {
    let (ring, kernel) = producer(0, 4);
    assert!(!ring.needs_wakeup(false));
    kernel.flags.store(RING_NEED_WAKEUP | 2, Ordering::Relaxed);
    assert!(ring.needs_wakeup(false));
    kernel.flags.store(2, Ordering::Relaxed);
    assert!(!ring.needs_wakeup(false));
}

#[test]
fn nonsense_from_the_kernel_stays_within_the_ring() {
    let (mut ring, kernel) = producer(0, 4);
    kernel.consumer.store(1_000_000, Ordering::Relaxed);
    assert_eq!(ring.reserve(u32::MAX).count, 4);
    assert_eq!(ring.unconsumed().count, 4);
    let (mut ring, kernel) = consumer(0, 4);
    kernel.producer.store(1_000_000, Ordering::Relaxed);
    assert_eq!(ring.peek(u32::MAX).count, 4);
    let mut to = [MaybeUninit::uninit(); 16];
    ring.cancel(4);
    assert_eq!(ring.get(&mut to).0, 4);
}

#[test]
fn peek_gives_what_there_is_and_release_gives_it_back_across_the_wrap() {
    let (mut ring, kernel) = consumer(WRAP, 4);
    assert_eq!(ring.peek(1).count, 0, "empty");
    kernel.producer.store(1, Ordering::Relaxed); // three entries
    assert_eq!(ring.peek(2), Span { first: WRAP, count: 2 });
    assert_eq!(ring.peek(9), Span { first: 0, count: 1 });
    assert_eq!(ring.cancel(1), 1);
    assert_eq!(ring.peek(9), Span { first: 0, count: 1 }, "peeked again");
    assert_eq!(ring.release(9), 3, "no more than was peeked");
    assert_eq!(kernel.consumer.load(Ordering::Relaxed), 1);
    assert_eq!(ring.cancel(1), 0, "what was released cannot be had back");
    assert_eq!(ring.release(1), 0);
}

#[test]
fn peek_looks_for_more_before_it_gives_less_than_was_asked_for() {
    let (mut ring, kernel) = consumer(0, 8);
    kernel.producer.store(3, Ordering::Relaxed);
    assert_eq!(ring.peek(2).count, 2);
    kernel.producer.store(6, Ordering::Relaxed);
    assert_eq!(ring.peek(4).count, 4, "one was known, three are new");
}

#[test]
fn get_copies_across_the_end_of_the_ring_and_sums() {
    // A producer writes the entries that the consumer reads: one memory, two views.
    let (mut ring, kernel) = receiver(WRAP, 4);
    arrive(&ring, &kernel, &[desc(1, 5), desc(2, 6), desc(3, 7)]);
    let mut to = [MaybeUninit::new(Desc::default()); 2];
    assert_eq!(ring.get(&mut to), (2, 11));
    assert_eq!(ring.peeked_bytes(9), 0);
    assert_eq!(ring.get(&mut to), (1, 7));
    // SAFETY: both were written.
    assert_eq!(to.map(|item| unsafe { item.assume_init() }), [desc(3, 7), desc(2, 6)]);
    assert_eq!(kernel.consumer.load(Ordering::Relaxed), WRAP.wrapping_add(3));
}

#[test]
fn entries_are_copied_whole_however_many_there_are() {
    for n in [1u32, 7, 31, 32, 33, 64] {
        let (map, kernel) = memory(WRAP);
        let mut ring: Producer<Desc> = Producer::over(map, &AT, 64, None).unwrap();
        let items: Vec<Desc> =
            (0..n).map(|i| Desc { addr: u64::from(i) << 40, len: i, options: !i }).collect();
        assert_eq!(ring.put(&items), (n, u64::from(n * (n - 1) / 2)));
        let there = Span { first: WRAP, count: n }.indices().map(|i| ring.read(i).unwrap());
        assert_eq!(there.collect::<Vec<Desc>>(), items);
        assert_eq!(kernel.producer.load(Ordering::Relaxed), WRAP.wrapping_add(n));
    }
}

#[test]
fn a_run_ends_where_the_ring_does() {
    let (mut ring, kernel) = receiver(WRAP, 4);
    arrive(&ring, &kernel, &[desc(1, 5), desc(2, 6), desc(3, 7)]);
    let first = ring.peek_run(9);
    assert_eq!((first.count, ring.peeked_bytes(9)), (2, 11));
    let rest = ring.peek_run(9);
    assert_eq!((rest.count, ring.peeked_bytes(9)), (1, 18));
    // SAFETY: one entry is there, and nobody writes it.
    assert_eq!(unsafe { rest.first.read() }, desc(3, 7));
    assert_eq!(ring.peek_run(1).count, 0);
    let (mut fill, _kernel) = producer(WRAP, 4);
    let (first, rest) = (fill.reserve_run(3), fill.reserve_run(9));
    assert_eq!((first.count, rest.count, fill.reserve_run(1).count), (2, 2, 0));
    assert_eq!(fill.slot(0).unwrap().as_ptr(), rest.first);
}

#[test]
fn recycled_frames_are_in_the_fill_ring_without_their_offset() {
    let (mut rx, kernel) = receiver(WRAP, 4);
    let (mut fill, filled) = producer(WRAP, 4);
    arrive(&rx, &kernel, &[desc(2048 | 7 << UNALIGNED_OFFSET_SHIFT, 5), desc(4096, 6)]);
    assert_eq!(rx.recycle(&mut fill), Some((0, 0)), "nothing was peeked");
    rx.peek(2);
    assert_eq!(fill.reserve(3).count, 3);
    assert_eq!(rx.recycle(&mut fill), None, "others are reserved");
    fill.submit(3);
    assert_eq!(rx.recycle(&mut fill), None, "room for one");
    assert_eq!((fill.reserved(), rx.peeked()), (0, 2), "as before");
    filled.consumer.store(WRAP.wrapping_add(1), Ordering::Relaxed);
    assert_eq!(rx.recycle(&mut fill), Some((2, 11)));
    assert_eq!(entries(&fill, WRAP.wrapping_add(3), 2), [2048, 4096]);
    assert_eq!(filled.producer.load(Ordering::Relaxed), WRAP.wrapping_add(5));
    assert_eq!(kernel.consumer.load(Ordering::Relaxed), WRAP.wrapping_add(2));
}

#[test]
fn addresses_become_descriptors_of_one_length() {
    let (map, kernel) = memory(WRAP);
    let mut tx: Producer<Desc> = Producer::over(map, &AT, 4, None).unwrap();
    assert_eq!(tx.put_addrs(&[1, 2, 3, 4, 5], 60), 4);
    assert_eq!(tx.read(1), Some(desc(4, 60)));
    assert_eq!(kernel.producer.load(Ordering::Relaxed), 2);
    assert_eq!(tx.put_addrs(&[1], 60), 0);
}

#[test]
fn get_does_not_release_what_others_peeked() {
    let (mut ring, kernel) = consumer(0, 4);
    kernel.producer.store(2, Ordering::Relaxed);
    assert_eq!(ring.peek(1).count, 1);
    assert_eq!(ring.get(&mut [MaybeUninit::uninit(); 4]).0, 0);
    assert_eq!(kernel.consumer.load(Ordering::Relaxed), 0);
}

#[test]
fn a_ring_that_is_absent_or_unmapped_gives_nothing() {
    let mut tx: Producer<u64> = Producer::absent().unwrap();
    assert_eq!((tx.size(), tx.reserve(1).count, tx.submit(1), tx.cancel(1)), (0, 0, 0, 0));
    assert_eq!((tx.put(&[1]).0, tx.slot(0), tx.needs_wakeup(false)), (0, None, false));
    let (mut rx, kernel) = consumer(0, 4);
    kernel.producer.store(2, Ordering::Relaxed);
    rx.unmap();
    assert_eq!((rx.size(), rx.peek(1).count, rx.release(1), rx.slot(0)), (0, 0, 0, None));
}

#[test]
fn offsets_outside_the_mapping_make_no_ring() {
    let over = |at: RingOffset, size| {
        Producer::<u64>::over(Mmap::anonymous(4096, false, None).unwrap(), &at, size, None).err()
    };
    assert_eq!(over(AT, 4), None);
    assert_eq!(over(AT, 512), Some(Errno::EINVAL), "512 entries and 192 bytes do not fit");
    assert_eq!(over(AT, 3), Some(Errno::EINVAL));
    assert_eq!(over(AT, 0), Some(Errno::EINVAL));
    assert_eq!(over(RingOffset { producer: 4094, ..AT }, 4), Some(Errno::EINVAL));
    assert_eq!(over(RingOffset { flags: 1, ..AT }, 4), Some(Errno::EINVAL), "misaligned");
    assert_eq!(over(RingOffset { desc: u64::MAX, ..AT }, 4), Some(Errno::EINVAL));
}

#[test]
fn two_threads_pass_every_item_in_order() {
    // The test's second thread is the kernel of a TX ring: it consumes what comes.
    let (mut ring, kernel) = producer(WRAP, 8);
    let Kernel { producer, consumer, .. } = kernel;
    const ITEMS: u64 = 20_000;
    let slots = ring.slot(0).unwrap().as_ptr() as usize;
    let reader = std::thread::spawn(move || {
        let (mut at, mut next) = (WRAP, 0);
        while next < ITEMS {
            while at != producer.load(Ordering::Acquire) {
                let slot = (slots as *const u64).wrapping_add((at % 8) as usize);
                // SAFETY: in the ring, whose owner waits for this thread.
                assert_eq!(unsafe { slot.read() }, next);
                (at, next) = (at.wrapping_add(1), next + 1);
                consumer.store(at, Ordering::Release);
            }
            std::hint::spin_loop();
        }
    });
    let mut next = 0;
    while next < ITEMS {
        let batch: Vec<u64> = (next..ITEMS.min(next + 5)).collect();
        next += u64::from(ring.put(&batch).0);
        std::thread::yield_now();
    }
    reader.join().unwrap();
}

#[test]
fn a_lent_ring_keeps_what_was_done_when_it_moves() {
    let (map, kernel) = memory(WRAP);
    let (mut first, mut second) = (Ring::absent(), Ring::absent());
    // SAFETY: both outlive the ring.
    let lent = |ring: *mut Ring| unsafe { Lent::new(ring) }.unwrap();
    let (first, second) = (lent(&raw mut first), lent(&raw mut second));
    let mut ring: Producer<u64> = Producer::over(map, &AT, 4, Some(first)).unwrap();
    assert!(ring.is_lent() && ring.is_at(first));
    assert_eq!(ring.put(&[1, 2]).0, 2);
    ring.move_to(second);
    assert!(ring.is_at(second) && !ring.is_at(first));
    assert_eq!(ring.reserve(4), Span { first: 0, count: 2 });
    let mut other = ring.alias();
    assert_eq!(other.submit(9), 2, "an alias sees what the other reserved");
    assert_eq!(kernel.producer.load(Ordering::Relaxed), 2);
    ring.unmap();
    assert_eq!(other.size(), 4, "the mapping lives as long as its last alias");
}
