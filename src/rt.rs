//! What a C library of Rust needs in place of `std`: an allocator, an end for
//! panics, and the names of an unwinder that is not there.
#![allow(unsafe_code)]

use crate::sys::text::character;
use core::alloc::{GlobalAlloc, Layout};
use core::fmt::Write;
use core::panic::PanicInfo;

#[cfg(not(panic = "abort"))]
compile_error!("build with panic=abort: nothing may unwind into C");

struct Malloc;

const MALLOC_ALIGN: usize = 16;

// SAFETY: malloc and posix_memalign give what GlobalAlloc asks for, and free takes
// back what either gave.
unsafe impl GlobalAlloc for Malloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGN {
            // SAFETY: takes a size.
            return unsafe { libc::malloc(layout.size()) }.cast();
        }
        let mut room = core::ptr::null_mut();
        // SAFETY: `room` is written once; a Layout's alignment is a power of two, and
        // above 16 it is a multiple of a pointer's size.
        match unsafe { libc::posix_memalign(&raw mut room, layout.align(), layout.size()) } {
            0 => room.cast(),
            _ => core::ptr::null_mut(),
        }
    }

    unsafe fn dealloc(&self, room: *mut u8, _: Layout) {
        // SAFETY: the caller got it from `alloc` above.
        unsafe { libc::free(room.cast()) }
    }
}

#[global_allocator]
static MALLOC: Malloc = Malloc;

/// A line on its way to standard error.
struct Line([u8; 256], usize);

impl Write for Line {
    fn write_char(&mut self, c: char) -> core::fmt::Result {
        self.write_str(character(c))
    }

    fn write_str(&mut self, part: &str) -> core::fmt::Result {
        let room = self.0.get_mut(self.1..).unwrap_or(&mut []);
        room.iter_mut().zip(part.bytes()).for_each(|(to, from)| *to = from);
        self.1 = self.0.len().min(self.1 + part.len());
        Ok(())
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let mut line = Line([0; 256], 0);
    let _ = writeln!(line, "libxsk: a bug in the library: {}", info.message());
    crate::sys::process::write_stderr(line.0.get(..line.1).unwrap_or(&[]));
    // SAFETY: does not return and takes nothing.
    unsafe { libc::abort() }
}

// The prebuilt core and alloc name these two, compiled as they are for unwinding.
// With panic=abort nobody calls them; the version script hides them.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    // SAFETY: does not return and takes nothing.
    unsafe { libc::abort() }
}
