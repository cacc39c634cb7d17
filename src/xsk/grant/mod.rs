//! Sockets for processes without privileges: a privileged process makes them and hands
//! them over a Unix socket, with the map that they enter and the link that holds the
//! program.

mod client;
mod message;
mod offer;
mod server;

pub use client::{Lease, receive};
pub use server::{Granter, GranterConfig};
