//! Where log lines go when the library serves a C program: to a callback, or to
//! standard error if LIBXSK_LOG says so, or nowhere.

use core::ffi::CStr;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, Ordering};

use log::{Level, LevelFilter, Metadata, Record};

use crate::sys::process;
use crate::sys::text::character;
use crate::sys::thread::Mutex;

/// Logs a line; one function, since each `log!` is some hundred bytes.
#[cold]
#[inline(never)]
pub fn write(level: Level, what: fmt::Arguments<'_>) {
    log::log!(target: "xsk", level, "{what}");
}

/// Logs a line at `Warn`, where something goes another way than it was asked for, or at
/// `Info`.
macro_rules! tell {
    ($level:ident, $($what:tt)+) => {
        $crate::xsk::logger::write(log::Level::$level, format_args!($($what)+))
    };
}
pub(crate) use tell;

/// A callback as the facade keeps it: `deliver` knows what the other two are.
#[derive(Clone, Copy)]
pub struct Callback {
    pub deliver: fn(&Callback, level: u32, line: &CStr),
    pub function: usize,
    pub context: usize,
}

struct Sink {
    callback: Mutex<Option<Callback>>,
}

static SINK: Sink = Sink { callback: Mutex::new(None) };
static STARTED: AtomicBool = AtomicBool::new(false);

/// Takes the log over, once, and looks at LIBXSK_LOG. A logger that a Rust program
/// has set before stays.
pub fn start() {
    // The usual case is a load; the first call alone writes.
    if STARTED.load(Ordering::Relaxed) || STARTED.swap(true, Ordering::AcqRel) {
        return;
    }
    if log::set_logger(&SINK).is_ok() {
        log::set_max_level(filter_of_environment());
    }
}

fn filter_of_environment() -> LevelFilter {
    let filter = process::environment(c"LIBXSK_LOG", |value| match value {
        b"warn" => LevelFilter::Warn,
        b"info" => LevelFilter::Info,
        b"debug" => LevelFilter::Debug,
        _ => LevelFilter::Off,
    });
    filter.unwrap_or(LevelFilter::Off)
}

/// Sends lines up to `level` to a callback; None goes back to LIBXSK_LOG.
pub fn set(target: Option<(Callback, LevelFilter)>) {
    start();
    *SINK.callback.lock() = target.map(|(callback, _)| callback);
    log::set_max_level(target.map_or_else(filter_of_environment, |(_, level)| level));
}

/// The level as C programs know it.
fn number(level: Level) -> u32 {
    match level {
        Level::Error | Level::Warn => 1,
        Level::Info => 2,
        Level::Debug | Level::Trace => 3,
    }
}

/// The level of such a number; None if it is none.
pub fn level(number: u32) -> Option<LevelFilter> {
    match number {
        0 => Some(LevelFilter::Off),
        1 => Some(LevelFilter::Warn),
        2 => Some(LevelFilter::Info),
        3 => Some(LevelFilter::Debug),
        _ => None,
    }
}

/// A line being made, cut where it is too long; a NUL follows it.
struct Line {
    bytes: [u8; 512],
    len: usize,
}

impl Line {
    fn new() -> Line {
        Line { bytes: [0; 512], len: 0 }
    }

    fn text(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }
}

impl Write for Line {
    fn write_char(&mut self, c: char) -> fmt::Result {
        self.write_str(character(c))
    }

    fn write_str(&mut self, part: &str) -> core::fmt::Result {
        let end = self.bytes.len() - 1;
        let room = self.bytes.get_mut(self.len..end).unwrap_or(&mut []);
        room.iter_mut().zip(part.bytes()).for_each(|(to, from)| *to = from);
        self.len = end.min(self.len + part.len());
        Ok(())
    }
}

impl log::Log for Sink {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let mut line = Line::new();
        // Copied, so that the callback runs unlocked and may call the library.
        let callback = *self.callback.lock();
        match callback {
            Some(callback) => {
                let _ = write!(line, "{}", record.args());
                if let Ok(text) = CStr::from_bytes_until_nul(&line.bytes) {
                    (callback.deliver)(&callback, number(record.level()), text);
                }
            }
            None => {
                let level = match number(record.level()) {
                    1 => "warning",
                    2 => "info",
                    _ => "debug",
                };
                let _ = writeln!(line, "libxsk: {level}: {}", record.args());
                process::write_stderr(line.text());
            }
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_before_its_nul() {
        let mut line = Line::new();
        for _ in 0..100 {
            write!(line, "0123456789").unwrap();
        }
        assert_eq!((line.len, line.bytes[511]), (511, 0));
        assert_eq!(line.text().len(), 511);
    }
}
